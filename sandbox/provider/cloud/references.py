"""Who refers to whom: what a resource names must exist, and what others hold cannot be deleted."""

import re
from typing import Any

from sandbox.provider.cloud import paths, rules
from sandbox.provider.cloud.rules import Row
from sandbox.provider.cloud.store import Object, Store
from sandbox.provider.contract import ProviderError
from sandbox.provider.values import UNKNOWN, Properties

# What an object may be called by others.
NAMES = ("name", "arn", "selfLink", "email", "keyId")


def require(row: Row, properties: Properties, store: Store) -> None:
    """Everything that a resource refers to exists. Raises ProviderError."""
    for path, target in row.refers.items():
        type, _, by = target.partition("#")
        for value in paths.values(properties, path):
            if value is UNKNOWN or value is None or _outside(row, path, value):
                continue
            if not any(_means(value, item, by) for item in store.objects(type)):
                raise ProviderError(
                    f"{path} names {value!r}, and no such {rules.row(type).kind} exists in the pretended cloud."
                )


def holders(item: Object, store: Store) -> list[Object]:
    """The objects that refer to an object and that its cloud would not leave without it."""
    found: list[Object] = []
    for other in store.objects():
        if other.type == item.type and other.id == item.id:
            continue
        row = rules.row(other.type)
        for path, target in row.refers.items():
            type, _, by = target.partition("#")
            if type != item.type or path in row.loose:
                continue
            if any(_means(value, item, by) for value in paths.values(other.properties, path)):
                found.append(other)
                break
    return found


def _outside(row: Row, path: str, value: Any) -> bool:
    """Whether the cloud itself owns what this names, e.g. AWS's managed policies."""
    pattern = row.outside.get(path)
    return pattern is not None and re.search(pattern, str(value)) is not None


def _means(value: Any, item: Object, by: str) -> bool:
    """Whether a reference means this object: its id, its name, or a path or URL that ends in it."""
    if by:
        return value == item.properties.get(by)
    if not isinstance(value, str):
        return False
    names = {item.id, *(item.properties.get(name) for name in NAMES)}
    return value in names or value.endswith(f"/{item.id}") or ("/" in value and item.id.endswith(f"/{value}"))
