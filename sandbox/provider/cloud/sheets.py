"""A type's complete sheet: the shapes from the SDK with the API's limits laid on, kept on disk.

Making one imports the SDK's module and reads the API's description, which takes up to seconds; a kept one takes a
millisecond. Its key holds everything it is made of.
"""

import functools
import hashlib
import json
import os
import threading
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sandbox.paths import cache_root
from sandbox.provider.cloud import rules
from sandbox.provider.cloud.introspect import PACKAGES, Shape

# One at a time: two threads would import and read the same.
_lock = threading.Lock()


@dataclass(frozen=True)
class Sheet:
    """What a type takes and gives; `limited` are the input paths with limits from the API's description."""

    inputs: Shape
    outputs: Shape
    limited: list[str]


@functools.cache
def sheet(token: str) -> Sheet:
    """The sheet of a type that has a row. Raises ProviderError where it has none, or the SDK does not know it."""
    row = rules.row(token)
    file = _folder(row.package) / f"{_key(row)}.json"
    with _lock:
        try:
            return Sheet(**json.loads(file.read_text()))
        except (OSError, ValueError, TypeError):
            made = make(row)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.{os.getpid()}")
        part.write_text(json.dumps(vars(made)))
        part.replace(file)
        return made


def make(row: rules.Row) -> Sheet:
    """A sheet from the SDK and the API's description."""
    from sandbox.provider.cloud import introspect

    inputs, outputs = introspect.resource(row.token)
    if row.package == "aws":
        from sandbox.provider.cloud.amazon import constrain
    else:
        from sandbox.provider.cloud.google import constrain
    return Sheet(inputs, outputs, constrain(row, inputs))


def _key(row: rules.Row) -> str:
    text = json.dumps([row.token, row.api, row.fields])
    return f"{row.package}-{row.kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@functools.cache
def _folder(package: str) -> Path:
    """Sheets of one set of versions and of this code."""
    made = hashlib.sha256()
    for name in (PACKAGES[package].replace("_", "-"), "botocore", "google-api-python-client"):
        made.update(metadata.version(name).encode())
    for module in ("introspect", "constraints", "amazon", "google"):
        made.update(Path(__file__).with_name(f"{module}.py").read_bytes())
    return cache_root() / "cloud-sheets" / f"{package}-{made.hexdigest()[:12]}"
