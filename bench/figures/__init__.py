"""The figures, in groups that are measured together."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.figures import clouds, gateway, programs, starting, states
from bench.platform import Platform
from bench.results import Result

Say = Callable[[str], None]


@dataclass(frozen=True)
class Group:
    """Figures that come from the same measurement. `ids` maps each to its goal."""

    name: str
    ids: dict[str, float]
    measure: Callable[[Platform, Say], list[Result]]


GROUPS = (
    Group("starting", starting.IDS, starting.measure),
    Group("gateway", gateway.IDS, gateway.measure),
    Group("programs", programs.IDS, programs.measure),
    Group("states", states.IDS, states.measure),
    Group("clouds", clouds.IDS, clouds.measure),
)


def chosen(only: list[str]) -> list[Group]:
    """The groups of the named figures; a group's name or the beginning of an ID will do. Raises ValueError."""
    if not only:
        return list(GROUPS)
    for name in only:
        if not any(name == group.name or any(i.startswith(name) for i in group.ids) for group in GROUPS):
            known = ", ".join(i for group in GROUPS for i in group.ids)
            raise ValueError(f"There is no figure {name!r}; there are {known}.")
    return [
        group
        for group in GROUPS
        if any(name == group.name or any(i.startswith(name) for i in group.ids) for name in only)
    ]
