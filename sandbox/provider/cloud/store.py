"""The pretended cloud: one JSON file an object under the instance's state directory.

A test or a person may edit, add or remove files by hand: that is drift, and the next refresh sees it. Files are written
whole or not at all, and one lock covers every look-then-write, so that concurrent creates see each other.
"""

import fcntl
import json
import os
import shutil
import urllib.parse
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.paths import state_dir

# Why an object is still there after its deletion: it keeps its name taken, and `list` shows it apart.
LEFT = "left"


@dataclass(kw_only=True)
class Object:
    """One object of the pretended cloud."""

    type: str
    id: str
    urn: str
    seed: str
    # Everything a Read returns; `given` names the properties that were inputs.
    properties: dict[str, Any]
    given: list[str]
    # What the object holds that no Pulumi resource stands for, e.g. the keys in a bucket.
    contents: list[str] = field(default_factory=list[str])
    # Set when the object was deleted but the real cloud keeps it: a key ring for ever, a secret for its window.
    left: str = ""

    @property
    def inputs(self) -> dict[str, Any]:
        """The properties that were given, as they are now."""
        return {name: self.properties[name] for name in self.given if name in self.properties}


class Store:
    """The objects of one instance."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or state_dir() / "cloud"

    @contextmanager
    def locked(self) -> Generator[None]:
        """Nobody else changes the cloud meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(self.folder / ".lock", "a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def read(self, type: str, identifier: str) -> Object | None:
        """One object, deleted ones that remain included."""
        try:
            return _load(self._path(type, identifier))
        except FileNotFoundError:
            return None

    def get(self, type: str, identifier: str) -> Object | None:
        """One object that exists."""
        found = self.read(type, identifier)
        return None if found is None or found.left else found

    def write(self, item: Object) -> None:
        """Put an object there, or change it."""
        path = self._path(item.type, item.id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f".{path.name}.{os.getpid()}.{id(item)}")
        # Contents of secrets are among them, as in the real cloud: for their owner's eyes.
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(vars(item), file, indent=1)
        os.replace(part, path)

    def remove(self, type: str, identifier: str) -> None:
        """Forget an object."""
        self._path(type, identifier).unlink(missing_ok=True)

    def objects(self, type: str | None = None, *, left: bool = False) -> list[Object]:
        """All objects (of one type); with `left`, deleted ones that remain too."""
        folders = [self.folder / _name(type)] if type else sorted(f for f in self.folder.glob("*") if f.is_dir())
        found = [_load(file) for folder in folders for file in sorted(folder.glob("*.json"))]
        return [item for item in found if left or not item.left]

    def clear(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, type: str, identifier: str) -> Path:
        name = urllib.parse.quote(identifier, safe="")
        if len(name) > 200:  # a file's name has at most 255 bytes
            import hashlib

            name = f"{name[:150]}-{hashlib.sha256(identifier.encode()).hexdigest()[:16]}"
        return self.folder / _name(type) / f"{name}.json"


def _name(type: str) -> str:
    """`aws:ec2/vpc:Vpc` → `aws-ec2-Vpc`."""
    package, module, name = type.split(":")
    return f"{package}-{module.partition('/')[0]}-{name}"


def _load(path: Path) -> Object:
    return Object(**json.loads(path.read_text()))
