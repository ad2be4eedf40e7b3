"""Limits on values, as API descriptions state them, laid onto the shapes of inputs."""

import re
from dataclasses import dataclass
from typing import Any

from sandbox.provider.cloud.introspect import Shape

NUMBERS = ("integer", "long", "number", "float", "double")


@dataclass(kw_only=True)
class Limits:
    """What an API says of one field. `least` and `most` count letters, items or the value itself."""

    kind: str
    enum: list[str] | None = None
    pattern: str | None = None
    least: float | None = None
    most: float | None = None
    item: "Limits | None" = None


def tighten(node: Shape, limits: Limits) -> bool:
    """Lay limits onto a shape of the same kind; whether there were any."""
    if node["t"] == "list" and limits.kind == "list":
        counted = _set(node, min=limits.least, max=limits.most)
        return (tighten(node["of"], limits.item) if limits.item else False) or counted
    if node["t"] == "list" or limits.kind == "list":
        # One of the two holds a single item in place of the list: the limits of the item are the same.
        inner = node["of"] if node["t"] == "list" else node
        return tighten(inner, limits.item or limits) if limits.item or limits.kind != "list" else False
    if node["t"] == "string" and limits.kind == "string":
        return _set(node, enum=limits.enum, pattern=readable(limits.pattern), min=limits.least, max=limits.most)
    if node["t"] in ("integer", "number") and limits.kind in NUMBERS:
        return _set(node, min=limits.least, max=limits.most)
    return False


def _set(node: Shape, **limits: Any) -> bool:
    known = {name: value for name, value in limits.items() if value is not None}
    node.update(known)
    return bool(known)


def readable(pattern: str | None) -> str | None:
    """A pattern in Python's dialect; None for one that it cannot express (these stay unchecked).

    The models are written for Java, whose classes of letters (`\\p{L}`) Python's own module does not have.
    """
    if not pattern or pattern in (".*", "[\\s\\S]*", "[\\S\\s]*"):
        return None
    translated = pattern.replace("\\p{L}", "^\\W\\d_") if "[\\p{L}]" in pattern else pattern
    try:
        re.compile(translated)
    except re.error:
        return None
    return translated
