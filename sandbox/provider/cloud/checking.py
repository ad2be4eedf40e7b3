"""Whether property values have the shape that a resource type takes: every fault with its path and the fix."""

import difflib
import re
from collections.abc import Iterator
from typing import Any

from sandbox.provider.cloud.introspect import Shape
from sandbox.provider.contract import Failure
from sandbox.provider.differences import join
from sandbox.provider.values import UNKNOWN

NAMES = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "a text"}
LONGEST = 60  # characters of a value that are shown


def faults(shape: Shape, value: Any, path: str = "") -> Iterator[Failure]:
    """What is wrong with a value; nothing is said about what is not known yet."""
    if value is None or value is UNKNOWN or shape["t"] == "any":
        return
    match shape["t"]:
        case "object":
            yield from _object(shape, value, path)
        case "list":
            yield from _list(shape, value, path)
        case "map":
            if not isinstance(value, dict):
                yield _kind("a map", value, path)
                return
            for name, item in value.items():
                yield from faults(shape["of"], item, join(path, str(name)))
        case "union":
            yield from _union(shape["of"], value, path)
        case _:
            yield from _plain(shape, value, path)


def _object(shape: Shape, value: Any, path: str) -> Iterator[Failure]:
    if not isinstance(value, dict):
        yield _kind("an object", value, path)
        return
    for name, item in value.items():
        if str(name).startswith("__"):
            continue
        if name not in shape["props"]:
            close = difflib.get_close_matches(str(name), shape["props"], 1)
            hint = f", did you mean {close[0]!r}?" if close else f"; there is {', '.join(sorted(shape['props']))}."
            yield Failure(join(path, str(name)), f"unknown property {name!r}{hint}")
        else:
            yield from faults(shape["props"][name], item, join(path, str(name)))
    for name in shape["required"]:
        if value.get(name) is None:
            yield Failure(join(path, name), f"missing required property {name!r}.")


def _list(shape: Shape, value: Any, path: str) -> Iterator[Failure]:
    if not isinstance(value, list):
        yield _kind("a list", value, path)
        return
    yield from _between(shape, len(value), path, "items")
    for index, item in enumerate(value):
        yield from faults(shape["of"], item, f"{path}[{index}]")


def _union(shapes: list[Shape], value: Any, path: str) -> Iterator[Failure]:
    tried = [list(faults(shape, value, path)) for shape in shapes]
    if all(tried):
        # The shape whose faults lie deepest is the one that was meant.
        yield from max(tried, key=lambda found: len(found[0].property))


def _plain(shape: Shape, value: Any, path: str) -> Iterator[Failure]:
    if not _is(shape["t"], value):
        yield _kind(NAMES[shape["t"]], value, path)
        return
    if shape["t"] == "string":
        if (allowed := shape.get("enum")) and value not in allowed:
            close = difflib.get_close_matches(value, allowed, 1, 0.5)
            hint = f", did you mean {close[0]!r}?" if close else f": use one of {', '.join(map(str, allowed))}."
            yield Failure(path, f"{_show(value)} is not allowed{hint}")
        elif (pattern := shape.get("pattern")) and not re.fullmatch(pattern, value, re.DOTALL):
            yield Failure(path, f"{_show(value)} does not match {pattern}.")
        yield from _between(shape, len(value), path, "characters")
    elif shape["t"] in ("integer", "number"):
        yield from _between(shape, value, path, "")


def _between(shape: Shape, count: float, path: str, what: str) -> Iterator[Failure]:
    least, most = shape.get("min"), shape.get("max")
    if (least is not None and count < least) or (most is not None and count > most):
        limits = [f"at least {least:g}" if least is not None else "", f"at most {most:g}" if most is not None else ""]
        text = " and ".join(limit for limit in limits if limit)
        yield Failure(
            path, f"must be {text}, not {count:g}." if not what else f"must have {text} {what}, not {count:g}."
        )


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return not isinstance(value, bool) and isinstance(value, int | float) and float(value).is_integer()
        case _:
            return not isinstance(value, bool) and isinstance(value, int | float)


def _kind(expected: str, value: Any, path: str) -> Failure:
    return Failure(path, f"expected {expected}, got {_show(value)}.")


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
