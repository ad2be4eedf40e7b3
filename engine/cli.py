"""The steps as commands. Each imports only what it needs, so that `verify` runs on the standard library."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from engine.errors import EngineError
from engine.log import Log

EXIT_CODES = "exit status: 0 done, 1 failed, 2 unusable input, 3 corrupt version, 4 version exists with other content"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step; its record goes to standard output as JSON. Returns the exit status (see EXIT_CODES)."""
    given = _parser().parse_args(arguments)
    log = Log(step=given.step)
    try:
        return STEPS[given.step](given, log)
    except EngineError as error:
        print(f"{given.step}: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print(f"{given.step}: interrupted; nothing was published. Run it again to go on.", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"{given.step}: {error.filename or 'input/output'}: {error.strerror or error}.", file=sys.stderr)
        return 1


def _train(given: argparse.Namespace, log: Log) -> int:
    from engine.recipe import CORPUS, Recipe
    from engine.train import train

    recipe = Recipe(steps=given.max_steps) if given.max_steps else Recipe()
    _print(asdict(train(given.out, recipe, log, given.text or CORPUS)))
    return 0


def _key(given: argparse.Namespace, log: Log) -> int:
    from engine.train import key

    print(key())
    return 0


STEPS = {"train": _train, "key": _key}


def _print(record: object) -> None:
    print(json.dumps(record, indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine", description=__doc__, epilog=EXIT_CODES)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")

    train = steps.add_parser("train", help="train the tiny model and write a Hugging Face checkpoint")
    train.add_argument("--out", type=Path, required=True, help="directory of the checkpoint, replaced when it exists")
    train.add_argument("--text", type=Path, help="text to learn from (default: the corpus shipped with the engine)")
    train.add_argument("--max-steps", type=int, help="fewer steps, for a worse model on purpose")

    steps.add_parser("key", help="print the key of the checkpoint that `train` would write")
    return parser
