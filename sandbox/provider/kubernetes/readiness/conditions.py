"""Kinds that say by `status.conditions` whether they are ready."""

from collections.abc import Callable
from typing import Any

from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.rest import Json


def of(*types: str) -> Callable[[Cluster, Json], str | None]:
    """Ready when every one of these conditions is True for the current generation."""

    def rule(_cluster: Cluster, live: Json) -> str | None:
        return missing((live.get("status") or {}).get("conditions"), live, types)

    return rule


def missing(conditions: Any, live: Json, types: tuple[str, ...]) -> str | None:
    """What is missing of the conditions `types`."""
    found = {c.get("type"): c for c in conditions or []}
    for name in types:
        condition = found.get(name)
        if condition is None:
            return f"condition {name}"
        if condition.get("observedGeneration", generation(live)) < generation(live):
            return f"condition {name} for the latest change"
        if condition.get("status") != "True":
            return f"condition {name}: {describe(condition)}"
    return None


def describe(condition: Json) -> str:
    """A condition's reason and message in one line."""
    parts = [str(condition.get(k)).strip().rstrip(".") for k in ("reason", "message") if condition.get(k)]
    return " ".join(": ".join(parts).split()) or "no reason given"


def generation(live: Json) -> int:
    """The generation of what was applied last."""
    return int(live.get("metadata", {}).get("generation") or 0)


def namespace(_cluster: Cluster, live: Json) -> str | None:
    """Ready when active."""
    phase = (live.get("status") or {}).get("phase")
    return None if phase == "Active" else f"phase {phase}"


def route(_cluster: Cluster, live: Json) -> str | None:
    """Ready when every parent that the route names has accepted it and resolved its backends."""
    named = (live.get("spec") or {}).get("parentRefs") or []
    reports = (live.get("status") or {}).get("parents") or []
    return _reports(live, "parent", len(named), [(_parent(r), r) for r in reports], ("Accepted", "ResolvedRefs"))


def policy(_cluster: Cluster, live: Json) -> str | None:
    """Ready when every ancestor that reports has accepted the policy, and at least one does."""
    reports = (live.get("status") or {}).get("ancestors") or []
    return _reports(live, "target", 1, [(_parent(r), r) for r in reports], ("Accepted",))


def _reports(
    live: Json, noun: str, expected: int, reports: list[tuple[str, Json]], types: tuple[str, ...]
) -> str | None:
    if len(reports) < expected:
        return f"an answer of {expected - len(reports)} {noun}(s) by their controller"
    for name, report in reports:
        if lacking := missing(report.get("conditions"), live, types):
            return f"{noun} {name}: {lacking}"
    return None


def _parent(report: Json) -> str:
    reference = report.get("parentRef") or report.get("ancestorRef") or {}
    section = reference.get("sectionName")
    return f"{reference.get('name', '?')}" + (f"/{section}" if section else "")
