"""Rules on single values that no API description states, by name: a row's `checks` and `json`."""

import ipaddress
import json
import re
from collections.abc import Iterator
from typing import Any

from sandbox.provider.cloud import paths
from sandbox.provider.cloud.rules import Row
from sandbox.provider.contract import Failure
from sandbox.provider.values import UNKNOWN, Properties

# https://cloud.google.com/iam/docs/principal-identifiers
MEMBER = re.compile(
    r"allUsers|allAuthenticatedUsers|(user|group|serviceAccount|domain|principal|principalSet|deleted|project[A-Z]\w+):.+"
)


def faults(row: Row, inputs: Properties) -> Iterator[Failure]:
    """What a row's own rules say of the inputs."""
    for path, rule in row.checks.items():
        name, _, rest = rule.partition(" ")
        for value in paths.values(inputs, path):
            if value is not UNKNOWN and (fault := RULES[name](value, rest)):
                yield Failure(path, fault)
    for path in row.json:
        for value in paths.values(inputs, path):
            if value is not UNKNOWN and (fault := _json(value, "")):
                yield Failure(path, fault)
    yield from _exclusions(row, inputs)


def _exclusions(row: Row, inputs: Properties) -> Iterator[Failure]:
    for one, other in row.conflicts:
        if _given(inputs.get(one)) and _given(inputs.get(other)):
            yield Failure(one, f"conflicts with {other}: set one of the two.")
    for group in row.one_of:
        given = [name for name in group if _given(inputs.get(name))]
        if len(given) != 1:
            what = f"{', '.join(given)} are set" if given else "none is"
            yield Failure(given[0] if given else group[0], f"exactly one of {', '.join(group)} must be set; {what}.")


def _given(value: Any) -> bool:
    """Whether Terraform counts it as set: zero values do not conflict."""
    return value is UNKNOWN or value not in (None, "", False, 0, [], {})


def _cidr(value: Any, rest: str) -> str | None:
    least, most = map(int, rest.split())
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        return f"{error}."
    if not least <= network.prefixlen <= most:
        return f"must be between /{least} and /{most}, not /{network.prefixlen}."
    return None


def _one(value: Any, rest: str) -> str | None:
    return None if str(value) in rest.split() else f"{value!r} is not allowed: use one of {', '.join(rest.split())}."


def _each(value: Any, rest: str) -> str | None:
    items: list[Any] = value if isinstance(value, list) else [value]
    return next((fault for item in items if item is not UNKNOWN and (fault := _one(item, rest))), None)


def _range(value: Any, rest: str) -> str | None:
    least, most = map(int, rest.split())
    if isinstance(value, int | float) and least <= value <= most:
        return None
    return f"must be from {least} to {most}, not {value!r}."


def _match(value: Any, rest: str) -> str | None:
    return None if re.fullmatch(rest, str(value)) else f"{value!r} does not match {rest}."


def _json(value: Any, rest: str) -> str | None:
    if not isinstance(value, str):
        return None  # the SDK lets some policies be given as objects
    try:
        json.loads(value)
    except ValueError as error:
        return f"is not JSON ({error})."
    return None


def _member(value: Any, rest: str) -> str | None:
    if MEMBER.fullmatch(str(value)):
        return None
    return f"{value!r} is not a principal: use user:…, group:…, serviceAccount:…, domain:… or principal://…."


RULES = {
    "cidr": _cidr,
    "one": _one,
    "each": _each,
    "range": _range,
    "match": _match,
    "json": _json,
    "member": _member,
}
