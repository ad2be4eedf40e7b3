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

    steps = given.max_steps
    recipe = Recipe() if steps is None else Recipe(steps=steps, warm_up=min(Recipe.warm_up, steps // 2))
    _print(asdict(train(given.out, recipe, log, given.text or CORPUS)))
    return 0


def _key(given: argparse.Namespace, log: Log) -> int:
    from engine.train import key

    print(key())
    return 0


def _publish(given: argparse.Namespace, log: Log) -> int:
    from engine.publish import Version, publish
    from engine.sizes import Sizes

    sizes = {name: getattr(given, name) for name in SIZES if getattr(given, name) is not None}
    wanted = Version(
        model=given.model,
        version=given.version,
        checkpoint=given.checkpoint,
        mode=given.mode,
        sizes=Sizes(**sizes) if sizes else None,
        root=given.root,
    )
    _print(asdict(publish(given.store, wanted, log)))
    return 0


def _verify(given: argparse.Namespace, log: Log) -> int:
    from engine.manifest import verify

    found = verify(given.version_dir)
    size = sum(one.size for one in found.files)
    log.say("verified", version=f"{found.model}/{found.version}", files=len(found.files), bytes=size)
    return 0


STEPS = {"train": _train, "key": _key, "publish": _publish, "verify": _verify}
SIZES = {
    "max_batch_size": "sequences generated at once",
    "max_seq_len": "tokens of prompt and answer together",
    "max_num_tokens": "tokens computed in one step",
    "kv_cache_tokens": "tokens that the key-value cache holds for all sequences",
    "cpu_threads": "threads that compute",
}


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def _print(record: object) -> None:
    print(json.dumps(record, indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine", description=__doc__, epilog=EXIT_CODES)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")

    train = steps.add_parser("train", help="train the tiny model and write a Hugging Face checkpoint")
    train.add_argument("--out", type=Path, required=True, help="directory of the checkpoint, replaced when it exists")
    train.add_argument("--text", type=Path, help="text to learn from (default: the corpus shipped with the engine)")
    train.add_argument("--max-steps", type=_positive, help="fewer steps, for a worse model on purpose")

    steps.add_parser("key", help="print the key of the checkpoint that `train` would write")

    publish = steps.add_parser("publish", help="build a version from a checkpoint and publish it in a store")
    publish.add_argument("--store", type=Path, required=True, help="directory that holds <model>/<version>")
    publish.add_argument("--model", required=True, help="name of the model")
    publish.add_argument("--version", required=True, help="name of the version; its content never changes")
    publish.add_argument("--checkpoint", type=Path, required=True, help="Hugging Face directory of a Llama model")
    publish.add_argument("--mode", default="cpu", help="cpu: OpenVINO behind Triton's python backend (default)")
    publish.add_argument("--root", default="/model", help="where pods mount the version (default: /model)")
    for name, meaning in SIZES.items():
        publish.add_argument(f"--{name.replace('_', '-')}", type=int, help=meaning)

    verify = steps.add_parser("verify", help="check every file of a published version")
    verify.add_argument("--version-dir", type=Path, required=True, help="the version's directory")
    return parser
