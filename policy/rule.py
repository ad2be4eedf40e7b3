"""What a rule is, and what of the stack's settings rules may know."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from policy.resource import Resource


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a stack's settings allow. The defaults are those of the settings."""

    max_gpus: int = 64
    max_monthly_cost: int | None = None  # USD
    require_digests: bool = False
    ephemeral: bool = False
    # Whether GPU nodes carry a taint: those of the clouds do, an existing cluster's may not.
    tainted: bool = True


# One sentence for everything that is wrong with a resource.
Check = Callable[[Resource, Limits], Iterator[str]]
# The same for what only all resources together show: (URN or "", sentence).
StackCheck = Callable[[Sequence[Resource], Limits], Iterator[tuple[str, str]]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule about one resource at a time."""

    name: str
    description: str
    check: Check


@dataclass(frozen=True, kw_only=True)
class StackRule:
    """A rule about a whole stack."""

    name: str
    description: str
    check: StackCheck
