"""Places inside property values: `vpcConfig.subnetIds[]` names every item of a list inside an object."""

import re
from collections.abc import Iterator
from typing import Any

from sandbox.provider.values import UNKNOWN

INDEX = re.compile(r"\[\d+\]")


def values(properties: Any, path: str) -> Iterator[Any]:
    """Every value at a place; nothing where something on the way is absent. UNKNOWN on the way is yielded itself."""
    head, _, rest = path.partition(".")
    name, each = (head[:-2], True) if head.endswith("[]") else (head, False)
    if properties is UNKNOWN:
        yield UNKNOWN
        return
    if isinstance(properties, list):
        for item in properties:
            yield from values(item, path)
        return
    value = properties.get(name) if isinstance(properties, dict) else None
    if value is None:
        return
    if value is UNKNOWN:
        yield UNKNOWN
        return
    for item in value if each and isinstance(value, list) else [value]:
        if rest:
            yield from values(item, rest)
        else:
            yield item


def first(properties: Any, path: str) -> Any:
    """The first value at a place, or None."""
    return next(values(properties, path), None)


def put(properties: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a place where nothing is yet; objects on the way are copied, missing ones made."""
    head, _, rest = path.partition(".")
    if match := re.fullmatch(r"(\w+)\[(\d+)\]", head):
        name, index = match[1], int(match[2])
        items: list[Any] = list(properties.get(name) or [])
        if index < len(items) and isinstance(items[index], dict) and rest:
            items[index] = dict(items[index])
            put(items[index], rest, value)
            properties[name] = items
        return
    if not rest:
        if properties.get(head) is None:
            properties[head] = value
        return
    inner = properties.get(head)
    if inner is UNKNOWN or not isinstance(inner, dict | None):
        return
    copy: dict[str, Any] = dict(inner or {})
    put(copy, rest, value)
    properties[head] = copy


def plain(path: str) -> str:
    """A difference's path without list positions: `rules[0].status` → `rules.status`."""
    return INDEX.sub("", path)


def touches(entry: str, path: str) -> bool:
    """Whether a difference lies at a place, inside it, or around it: a whole object may come or go at once."""
    here = plain(path)
    return here == entry or here.startswith((f"{entry}.", f"{entry}[")) or entry.startswith(f"{here}.")
