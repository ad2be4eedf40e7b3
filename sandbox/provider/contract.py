"""What the gRPC service asks of a provider: resource types with plain Python values."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sandbox.provider.differences import Kind
from sandbox.provider.values import Properties

if TYPE_CHECKING:
    from pulumi.runtime.proto import provider_pb2 as pb


class ProviderError(RuntimeError):
    """Shown to the person as it is: one sentence."""


class NotReadyError(ProviderError):
    """The object exists but did not become ready. Pulumi keeps it in the state and tries again at the next update."""

    def __init__(self, identifier: str, outputs: Properties, inputs: Properties, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.identifier, self.outputs, self.inputs, self.reasons = identifier, outputs, inputs, reasons


@dataclass(frozen=True, kw_only=True)
class Task:
    """One operation on one resource."""

    urn: str
    type: str
    name: str
    # Shown beside the resource while it works; replaced by the next one.
    status: Callable[[str], None]
    warn: Callable[[str], None]
    cancelled: threading.Event
    # Seconds from `customTimeouts`; 0 where none was given.
    timeout: float = 0.0
    preview: bool = False


@dataclass(frozen=True)
class Failure:
    """An input that cannot be used."""

    property: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Naming:
    """How a resource without a name of its own gets one: the project's wish, else a seed for our own."""

    proposed: str | None = None
    seed: bytes = b""


@dataclass(kw_only=True)
class Changes:
    """The outcome of a comparison. `replace` holds paths of `paths` that force a new object."""

    paths: dict[str, Kind] = field(default_factory=dict[str, Kind])
    replace: set[str] = field(default_factory=set[str])
    delete_first: bool = False


@dataclass(frozen=True, kw_only=True)
class Live:
    """What Read found."""

    identifier: str
    outputs: Properties
    inputs: Properties


class ResourceType(Protocol):
    """The rules of one resource type."""

    def check(
        self, task: Task, olds: Properties, news: Properties, naming: Naming
    ) -> tuple[Properties, list[Failure]]: ...

    def diff(
        self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties
    ) -> Changes: ...

    def create(self, task: Task, inputs: Properties) -> tuple[str, Properties]: ...

    def update(
        self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties
    ) -> Properties: ...

    def read(self, task: Task, identifier: str, state: Properties, inputs: Properties) -> Live | None: ...

    def delete(self, task: Task, identifier: str, state: Properties) -> None: ...


class Session(Protocol):
    """A configured provider instance."""

    def resource_type(self, token: str) -> ResourceType:
        """The rules for a type token. Raises ProviderError where there are none."""
        ...


class Provider(Protocol):
    """A package."""

    name: str
    version: str

    def check_config(self, config: Properties) -> list[Failure]: ...

    def diff_config(self, old: Properties, new: Properties) -> Changes: ...

    def configure(self, config: Properties) -> Session: ...

    def invoke(self, token: str, arguments: Properties) -> Properties: ...


@runtime_checkable
class Invoker(Protocol):
    """A session that answers functions itself: where it is configured matters."""

    def invoke(self, token: str, arguments: Properties) -> Properties: ...


@runtime_checkable
class Constructor(Protocol):
    """A package of components."""

    def construct(self, request: "pb.ConstructRequest", engine: str) -> "pb.ConstructResponse": ...


def refuse(what: str, known: list[str]) -> ProviderError:
    """One sentence for something that has no rule."""
    return ProviderError(f"{what} has no rule in the sandbox's stand-in; there is {', '.join(sorted(known))}.")
