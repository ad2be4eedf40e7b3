"""What a published version consists of, and whether it still does. Standard library only: pods run this."""

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import CorruptError

NAME = "manifest.json"
SCHEMA = 1
CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, order=True)
class File:
    """One file of a version: its path within it, its size in bytes, its SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The record of one version. Equal `key` means equal inputs, so nothing has to be built again."""

    model: str
    version: str
    mode: str
    key: str
    created: str
    files: tuple[File, ...]
    schema: int = SCHEMA

    def to_text(self) -> str:
        """The content of `manifest.json`."""
        return json.dumps(asdict(self), indent=2) + "\n"


def load(version: Path) -> Manifest:
    """Read a version's manifest. Raises CorruptError where there is none or it is not one of ours."""
    path = version / NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("schema") != SCHEMA:
            raise CorruptError(f"{path} has another schema than {SCHEMA}; use the engine that published it.")
        files = tuple(File(**one) for one in content.pop("files"))
        return Manifest(files=files, **content)
    except FileNotFoundError as error:
        raise CorruptError(f"{version} is no published version: it has no {NAME}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(f"{path} is damaged; publish this version again.") from error


def describe(version: Path) -> tuple[File, ...]:
    """Size and hash of every file under `version` but the manifest, sorted by path."""
    paths = [path for path in _files(version) if path != version / NAME]
    with ThreadPoolExecutor() as pool:
        hashes = pool.map(sha256, paths)
        return tuple(
            sorted(
                File(path=path.relative_to(version).as_posix(), size=path.stat().st_size, sha256=digest)
                for path, digest in zip(paths, hashes, strict=True)
            )
        )


def verify(version: Path) -> Manifest:
    """Check every file against the manifest, in parallel. Raises CorruptError naming the first bad file."""
    manifest = load(version)
    listed = {one.path for one in manifest.files}
    found = {path.relative_to(version).as_posix() for path in _files(version)} - {NAME}
    if missing := sorted(listed - found):
        raise CorruptError(f"{version / missing[0]} is missing; publish this version again.")
    if extra := sorted(found - listed):
        raise CorruptError(f"{version / extra[0]} is not in the manifest; remove it or publish a new version.")
    with ThreadPoolExecutor() as pool:  # hashlib releases the interpreter lock
        for fault in pool.map(lambda one: _fault(version, one), manifest.files):
            if fault:
                raise CorruptError(f"{fault}; publish this version again.")
    return manifest


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as opened:
        while block := opened.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def _fault(version: Path, expected: File) -> str | None:
    path = version / expected.path
    if (size := path.stat().st_size) != expected.size:
        return f"{path} has {size} bytes instead of {expected.size}"
    return None if sha256(path) == expected.sha256 else f"{path} is not the content that was published"


def _files(directory: Path) -> Iterable[Path]:
    return (path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())
