"""`publish`: build a version beside the others and make it visible in one rename."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine import checkpoint, gguf_build, manifest
from engine.errors import ConflictError, InputError
from engine.log import Log
from engine.repository import BACKENDS, Repository
from engine.sizes import Sizes

MODES = ("cpu",)
POD_ROOT = "/model"
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")
STAGING = ".staging-"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json")
# What, besides the checkpoint, a version's content depends on.
CODE = ("checkpoint.py", "gguf_build.py", "llama.py", "publish.py", "repository.py", "sizes.py")


@dataclass(frozen=True, kw_only=True)
class Version:
    """What to publish. `root` is where the serving process will see the version directory."""

    model: str
    version: str
    checkpoint: Path
    mode: str = "cpu"
    sizes: Sizes | None = None
    root: str = POD_ROOT

    def __post_init__(self) -> None:
        for field, value in (("model", self.model), ("version", self.version)):
            if not NAME.fullmatch(value):
                raise InputError(
                    f"{field} {value!r} must be 1 to 63 lower-case letters, digits, dots and dashes, "
                    "starting and ending with a letter or digit."
                )
        if self.mode not in MODES:
            raise InputError(f"mode {self.mode!r} is not one of {', '.join(MODES)}.")


def publish(store: Path, wanted: Version, log: Log) -> manifest.Manifest:
    """Publish `wanted` in `store`; the same version with the same key is verified and left as it is.

    Raises ConflictError when the version exists with another key, CorruptError when it exists and is damaged,
    InputError when the checkpoint cannot be served.
    """
    source = checkpoint.read(wanted.checkpoint)
    sizes = wanted.sizes or _fitting(source.shape.max_position_embeddings)
    sizes.check(source.shape)
    key = _key(source, sizes, wanted)
    home = store / wanted.model
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home, log):
        final = home / wanted.version
        if final.exists():
            return _published(final, key, log)
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=home))
        try:
            _fill(staging, source, sizes, wanted, log)
            record = manifest.Manifest(
                model=wanted.model,
                version=wanted.version,
                mode=wanted.mode,
                key=key,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                files=manifest.describe(staging),
            )
            (staging / manifest.NAME).write_text(record.to_text(), encoding="utf-8")
            _settle(staging)
            staging.rename(final)
            _sync(home)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    log.say("published", version=f"{wanted.model}/{wanted.version}", files=len(record.files), key=key)
    return record


def _published(final: Path, key: str, log: Log) -> manifest.Manifest:
    existing = manifest.verify(final)
    if existing.key != key:
        raise ConflictError(
            f"{final} is published already with other content (key {existing.key}, not {key}); "
            "versions never change: publish under another version."
        )
    log.say("published before, verified", version=f"{existing.model}/{existing.version}", key=key)
    return existing


def _fill(staging: Path, source: checkpoint.Checkpoint, sizes: Sizes, wanted: Version, log: Log) -> None:
    gguf_build.build(source, staging / "engine", wanted.model, log)
    config = json.dumps(sizes.engine_config(source.shape), indent=2) + "\n"
    (staging / "engine" / "config.json").write_text(config, encoding="utf-8")
    (staging / "tokenizer").mkdir()
    for name in TOKENIZER_FILES:
        if (source.path / name).is_file():
            shutil.copyfile(source.path / name, staging / "tokenizer" / name)
    repository = Repository(root=wanted.root, sizes=sizes, end_id=source.shape.eos_token_ids[0])
    repository.write(staging / "repository")


def _fitting(positions: int) -> Sizes:
    default = Sizes()
    return Sizes(max_seq_len=min(default.max_seq_len, positions))


def _key(source: checkpoint.Checkpoint, sizes: Sizes, wanted: Version) -> str:
    """Sixteen hexadecimal digits over everything the version's content depends on."""
    here = Path(__file__).resolve().parent
    facts = {"mode": wanted.mode, "model": wanted.model, "root": wanted.root, "sizes": asdict(sizes)}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    inputs = {source.path / name for name in (*TOKENIZER_FILES, "config.json")} | set(source.files.values())
    code = [here / name for name in CODE] + sorted(BACKENDS.glob("*/1/*.py"))
    for path in [*sorted(path for path in inputs if path.is_file()), *code]:
        digest.update(f"\0{path.name}\0{manifest.sha256(path)}".encode())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _alone(home: Path, log: Log) -> Generator[None]:
    """One publisher a model at a time; whatever a killed one left behind is removed first."""
    with (home / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.say("waiting for another publisher", model=home.name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        # The kernel drops the lock of a dead publisher, so its staging directory is nobody's.
        for left in home.glob(f"{STAGING}*"):
            shutil.rmtree(left)
        yield


def _settle(staging: Path) -> None:
    """Make every file readable for any user of a pod and safe on disk before it becomes visible."""
    for path in (*staging.rglob("*"), staging):
        path.chmod(0o755 if path.is_dir() else 0o644)
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
