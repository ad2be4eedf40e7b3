"""Typed reading of one JSON object: wrong types and bounds become a 400 that names the field."""

from __future__ import annotations

import math
from typing import cast

import orjson

from frontend.errors import bad_request

Json = dict[str, object]

_TYPE_NAMES = {
    "bool": "a boolean",
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "list": "an array",
    "dict": "an object",
}


def parse_object(body: bytes) -> Json:
    """Parse a request body; anything but one JSON object in UTF-8 is a 400.

    orjson refuses NaN, Infinity, lone surrogates, invalid UTF-8 and deep nesting by itself.
    """
    try:
        value = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise bad_request(f"We could not parse the JSON body of your request: {error}.") from None
    if not isinstance(value, dict):
        raise bad_request("The body of your request is not a JSON object.")
    return cast(Json, value)


def wrong_type(param: str, wanted: str, value: object) -> Exception:
    """The error for a value of the wrong JSON type."""
    got = "null" if value is None else _TYPE_NAMES.get(type(value).__name__, "something else")
    return bad_request(f"Invalid type for '{param}': expected {wanted}, but got {got}.", param, "invalid_type")


def number(body: Json, name: str, default: float, low: float, high: float) -> float:
    """A finite number in [low, high]; null and absence mean ``default``."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(name, "a number", value)
    if not (low <= value <= high) or not math.isfinite(value):
        message = f"Invalid value for '{name}': {value!r:.40} is not between {low:g} and {high:g}."
        raise bad_request(message, name, "invalid_value")
    return float(value)


def integer(body: Json, name: str, low: int, high: int) -> int | None:
    """A whole number in [low, high], or None for null and absence."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(name, "an integer", value)
    if not low <= value <= high:
        message = f"Invalid value for '{name}': {value!r:.40} is not between {low} and {high}."
        raise bad_request(message, name, "invalid_value")
    if value != int(value):
        raise wrong_type(name, "an integer", value)
    return int(value)


def boolean(body: Json, name: str) -> bool:
    """A boolean; null and absence mean false."""
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise wrong_type(name, "a boolean", value)
    return value


def string(body: Json, name: str) -> str:
    """A string that has to be there."""
    value = body.get(name)
    if value is None:
        raise bad_request(f"You must provide a '{name}' parameter.", name, "missing_required_parameter")
    if not isinstance(value, str):
        raise wrong_type(name, "a string", value)
    return value
