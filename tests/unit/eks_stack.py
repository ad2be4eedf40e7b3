"""The EKS stack, built against Pulumi's mocks, for tests to look at."""

import functools
import json
from typing import Any

from stacks import eks
from stacks.settings import parse
from tests.unit import checked_in
from tests.unit.recorder import Amazon


def config() -> dict[str, Any]:
    """The checked-in stack's values."""
    return checked_in.values("aws")


def with_eks(**changes: Any) -> dict[str, Any]:
    """The checked-in `eks` block with changes."""
    return {"eks": {**config()["eks"], **changes}}


def build(stack: str = "aws", **changes: Any) -> Amazon:
    """What the stack registers with these changes; a stack is built once, however many tests look at it."""
    return _build(stack, json.dumps(changes))


@functools.cache
def _build(stack: str, changes: str) -> Amazon:
    settings = parse({**config(), **json.loads(changes)})
    return Amazon.record(stack, lambda: eks.build(settings))
