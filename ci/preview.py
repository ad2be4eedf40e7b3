"""What `pulumi preview --json --show-sames` says, read once."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from policy.resource import Resource, plain

# The operations of a step, worst first: one resource may have several (a replacement is three steps).
REPLACE, DELETE, CREATE, UPDATE, SAME = "replace", "delete", "create", "update", "same"
OPERATIONS = {
    "replace": REPLACE,
    "create-replacement": REPLACE,
    "delete-replaced": REPLACE,
    "delete": DELETE,
    "discard": DELETE,
    "create": CREATE,
    "import": CREATE,
    "import-replacement": REPLACE,
    "update": UPDATE,
    "refresh": SAME,
    "read": SAME,
    "read-replacement": SAME,
    "same": SAME,
}
ORDER = (REPLACE, DELETE, CREATE, UPDATE, SAME)
# What is no resource of anybody's: the stack itself and the providers.
INTERNAL = ("pulumi:pulumi:Stack", "pulumi:providers:")


class PreviewError(Exception):
    """A preview's output cannot be read; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happens to one resource."""

    operation: str
    type: str
    name: str
    urn: str
    because: tuple[str, ...] = ()  # the properties that force a replacement, or that change


@dataclass(frozen=True, kw_only=True)
class Preview:
    """One stack's preview."""

    changes: tuple[Change, ...]
    before: tuple[Resource, ...]
    after: tuple[Resource, ...]
    errors: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """How many resources there are of each operation."""
        counted = Counter(change.operation for change in self.changes)
        return {operation: counted[operation] for operation in ORDER if counted[operation]}

    def of(self, operation: str) -> list[Change]:
        """The changes of one operation, by type and name."""
        return sorted((c for c in self.changes if c.operation == operation), key=lambda c: (c.type, c.name))


def read(file: Path) -> Preview:
    """The preview in a file. Raises PreviewError."""
    return parse(_text(file), str(file))


def read_steps(file: Path) -> list[dict[str, Any]]:
    """The steps of the preview in a file, as Pulumi writes them. Raises PreviewError."""
    return _digest(_text(file), str(file)).get("steps") or []


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise PreviewError(f"{file} cannot be read: {error}.") from None


def _digest(text: str, where: str) -> dict[str, Any]:
    start = text.find("{\n")
    try:
        digest: Any = json.JSONDecoder().raw_decode(text, start)[0] if start >= 0 else None
    except ValueError as error:
        raise PreviewError(f"{where} is not the output of `pulumi preview --json`: {error}.") from None
    if not isinstance(digest, dict) or not digest:
        raise PreviewError(f"{where} holds no preview; Pulumi ended before it had one.")
    return cast("dict[str, Any]", digest)


def parse(text: str, where: str = "the preview") -> Preview:
    """The preview in a text that may begin with other output. Raises PreviewError."""
    digest = _digest(text, where)
    try:
        return _preview(digest)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PreviewError(f"{where} is not the output of `pulumi preview --json`: {error!r}.") from None


def _preview(digest: dict[str, Any]) -> Preview:
    steps: list[dict[str, Any]] = digest.get("steps") or []
    return Preview(
        changes=tuple(_changes(steps)),
        before=tuple(_resources(steps, "oldState")),
        after=tuple(_resources(steps, "newState")),
        errors=tuple(
            " ".join(str(d.get("message", "")).split())
            for d in digest.get("diagnostics") or []
            if d.get("severity") == "error"
        ),
    )


def _changes(steps: list[dict[str, Any]]) -> Iterator[Change]:
    found: dict[str, Change] = {}
    for step in steps:
        state: dict[str, Any] = step.get("newState") or step.get("oldState") or {}
        kind = str(state.get("type", ""))
        if kind.startswith(INTERNAL):
            continue
        operation = OPERATIONS.get(str(step.get("op")), UPDATE)
        urn = str(step.get("urn", ""))
        reasons = step.get("replaceReasons") or step.get("diffReasons") or list(step.get("detailedDiff") or {})
        change = Change(
            operation=operation,
            type=kind,
            name=urn.rpartition("::")[2],
            urn=urn,
            because=tuple(dict.fromkeys(str(reason) for reason in reasons)),
        )
        known = found.get(urn)
        if (
            known is None
            or ORDER.index(operation) < ORDER.index(known.operation)
            or (known.operation == operation and not known.because)
        ):
            found[urn] = change
    yield from found.values()


def _resources(steps: list[dict[str, Any]], side: str) -> Iterator[Resource]:
    """The resources before or after, each once, as the rules see them."""
    states: dict[str, dict[str, Any]] = {}
    for step in steps:
        state: dict[str, Any] | None = step.get(side)
        # A replaced resource is there before; a deleted one is not there after.
        if state and not (side == "newState" and step.get("op") in ("delete", "delete-replaced", "discard")):
            states[str(step.get("urn"))] = state
    providers = {urn: state for urn, state in states.items() if str(state.get("type")).startswith("pulumi:providers:")}
    for urn, state in states.items():
        if str(state.get("type")).startswith(INTERNAL):
            continue
        yield resource_of(urn, state, providers)


def resource_of(urn: str, state: Mapping[str, Any], providers: Mapping[str, Mapping[str, Any]]) -> Resource:
    """One state of a preview as the rules see it."""
    reference = str(state.get("provider") or "").rpartition("::")[0]  # without the provider's id
    sources: dict[str, Any] = state.get("propertyDependencies") or {}
    return Resource(
        type=str(state.get("type")),
        props=plain(state.get("inputs") or {}),
        name=urn.rpartition("::")[2],
        urn=urn,
        protect=bool(state.get("protect")),
        provider=plain((providers.get(reference) or {}).get("inputs") or {}),
        sources={key: tuple(urns or ()) for key, urns in sources.items()},
    )
