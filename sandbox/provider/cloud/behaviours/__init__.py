"""What data cannot say: the few types whose objects do something. A row names its class (`behaviour: eks.Cluster`)."""

import functools
import importlib
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.provider.cloud.place import Place
from sandbox.provider.cloud.store import Object, Store
from sandbox.provider.contract import Failure, Task
from sandbox.provider.values import Properties


@dataclass(kw_only=True)
class Work:
    """One operation on one resource. Behaviours change `properties` in place."""

    task: Task
    store: Store
    place: Place
    identifier: str
    properties: Properties


class Behaviour:
    """Nothing special. Each method may raise ProviderError with one sentence."""

    def check(self, inputs: Properties) -> Iterator[Failure]:
        """Faults of the inputs by themselves."""
        yield from ()

    def creating(self, work: Work) -> None:
        """Before the object is there, with the cloud locked: what the API would refuse."""

    def create(self, work: Work) -> None:
        """Make what stands behind the object; may take its time, and be repeated after an interruption."""

    def update(self, work: Work, old: Object) -> None:
        """Change what stands behind it."""

    def delete(self, work: Work, old: Object) -> str:
        """Take it away; a text says why the cloud keeps the object all the same."""
        return ""


@functools.cache
def behaviour(name: str) -> Behaviour:
    """The behaviour that a row names."""
    if not name:
        return Behaviour()
    module, _, cls = name.partition(".")
    found = getattr(importlib.import_module(f"{__name__}.{module}"), cls)()
    assert isinstance(found, Behaviour)
    return found
