"""The local stack's model store: the checkpoints that its models name, built and published before pods mount them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from sandbox import paths
from sandbox.progress import Progress, Step
from stacks.settings import ServedModel

TINY = "builtin:tiny"


class ModelError(Exception):
    """A model could not be made or published; the text is the engine's own sentence."""


def publish(models: tuple[ServedModel, ...], progress: Progress) -> Path:
    """Publish every model into the instance's store, training the built-in one at most once; the store's path."""
    store = paths.models_dir()
    store.mkdir(parents=True, exist_ok=True)
    for model in models:
        with progress.step(f"Publish {model.name} version {model.version}") as step:
            checkpoint = _tiny(step) if model.source == TINY else _given(model)
            _publish(model, store, checkpoint)
    return store


def _publish(model: ServedModel, store: Path, checkpoint: Path) -> None:
    try:
        _engine(
            "publish",
            *("--store", str(store), "--model", model.name, "--version", model.version),
            *("--checkpoint", str(checkpoint), "--mode", model.mode),
        )
    except ModelError as error:
        if "published already with other content" not in str(error):
            raise
        raise ModelError(
            f"llmops:models {model.name!r}: version {model.version!r} was published with other content before, and "
            "versions never change; give the model a new version in the stack's file, or start afresh with `make down`"
        ) from None


def _given(model: ServedModel) -> Path:
    path = Path(model.source).expanduser().absolute()
    if not path.is_dir():
        raise ModelError(
            f"llmops:models {model.name!r}: source {model.source!r} is not a directory; "
            f"give a Hugging Face checkpoint's directory, or {TINY}"
        )
    return path


def _tiny(step: Step) -> Path:
    """The built-in checkpoint, from the cache or trained now."""
    key = _engine("key").strip()
    checkpoint = paths.cache_root() / "models" / key
    if not checkpoint.is_dir():
        step.note("training the tiny model, about a minute and a half")
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        for abandoned in checkpoint.parent.glob(f".{key}.*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        _engine("train", "--out", str(checkpoint))
    return checkpoint


def _engine(step: str, *arguments: str) -> str:
    """Run one of the engine's steps, as the release pipeline does; its standard output."""
    result = subprocess.run(
        [sys.executable, "-m", "engine", step, *arguments], cwd=paths.REPOSITORY, capture_output=True, text=True
    )
    if result.returncode != 0:
        raise ModelError(_last_sentence(result.stderr) or f"engine {step} ended with {result.returncode}")
    return result.stdout


def _last_sentence(text: str) -> str:
    """The engine's error: its last line that is not a JSON log record."""
    lines = [line for line in text.strip().splitlines() if line and not _is_record(line)]
    return lines[-1] if lines else ""


def _is_record(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
