"""What differs between two values, as the property paths that Pulumi shows."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from sandbox.provider.values import UNKNOWN

Kind = Literal["add", "delete", "update"]
PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def differences(old: Any, new: Any) -> dict[str, Kind]:
    """Property path → what happens there. An unknown new value counts as an update."""
    found: dict[str, Kind] = {}
    _compare("", old, new, found)
    return found


def join(path: str, key: str) -> str:
    """`path` followed by `key`, quoted where Pulumi needs it: `data["app.conf"]`."""
    if not PLAIN_KEY.fullmatch(key):
        escaped = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'{path}["{escaped}"]'
    return f"{path}.{key}" if path else key


def top(path: str) -> str:
    """The first key of a path."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def _compare(path: str, old: Any, new: Any, found: dict[str, Kind]) -> None:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            if not str(key).startswith("__"):
                _compare(join(path, str(key)), old.get(key), new.get(key), found)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            _compare(f"{path}[{index}]", before, after, found)
    elif new is UNKNOWN or type(old) is not type(new) or old != new:
        if old is None and new is None:
            return
        found[path] = "add" if old is None else "delete" if new is None else "update"
