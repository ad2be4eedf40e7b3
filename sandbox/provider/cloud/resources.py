"""The rules of one resource type, from its row and its sheet: what Pulumi asks of a provider."""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sandbox.provider.cloud import checking, checks, comparing, filling, references, rules, sheets
from sandbox.provider.cloud import naming as names
from sandbox.provider.cloud.behaviours import Behaviour, Work, behaviour
from sandbox.provider.cloud.faults import Faults
from sandbox.provider.cloud.place import Place
from sandbox.provider.cloud.store import Object, Store
from sandbox.provider.contract import Changes, Failure, Live, Naming, ProviderError, Task
from sandbox.provider.values import Properties, has_unknown

# Computed values are known in a preview already, so that what depends on them is previewed too.
KNOWN = "LLMOPS_STANDIN_KNOWN"


@dataclass
class Session:
    """One configured provider, and what the engine has shown us of the state it holds."""

    place: Place
    store: Store
    faults: Faults
    # (type, id) of objects that are in the engine's state.
    known: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def resource_type(self, token: str) -> "CloudResource":
        """The rules of a type. Raises ProviderError where there are none."""
        row = rules.row(token)
        return CloudResource(self, row, sheets.sheet(token), behaviour(row.behaviour))

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """The answer of a function. Raises ProviderError where it has no rule."""
        from sandbox.provider.cloud.functions import call

        return call(token, arguments, self.place)


@dataclass(frozen=True)
class CloudResource:
    """One type in one session."""

    session: Session
    row: rules.Row
    sheet: sheets.Sheet
    behaviour: Behaviour

    def check(self, task: Task, olds: Properties, news: Properties, naming: Naming) -> tuple[Properties, list[Failure]]:
        seed, _ = self._seed(task)
        inputs = names.named(self.row, self.sheet.inputs, olds, news, task.name, seed, naming)
        failures = [
            *checking.faults(self.sheet.inputs, inputs),
            *checks.faults(self.row, inputs),
            *self._placed(inputs),
        ]
        if not failures:  # behaviours may rely on the types
            failures += self.behaviour.check(inputs)
        return inputs, failures

    def diff(self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties) -> Changes:
        self._note(identifier)
        return comparing.compare(self.row, self.sheet.inputs, old_inputs, news)

    def create(self, task: Task, inputs: Properties) -> tuple[str, Properties]:
        seed, orphan = self._seed(task)
        identifier, properties = self._fill(inputs, seed, orphan)
        work = Work(
            task=task, store=self.session.store, place=self.session.place, identifier=identifier, properties=properties
        )
        if task.preview:
            if not os.environ.get(KNOWN):
                return "", filling.mask(self.row, inputs, properties)
            if not has_unknown(inputs):
                self.behaviour.create(work)
            return "" if has_unknown(identifier) else identifier, filling.closed(self.row, work.properties)
        if has_unknown(identifier):
            raise ProviderError(f"{task.name}: the id depends on a value that is not known.")
        self.session.faults.strike(task, "create")
        with self.session.store.locked():
            self._admit(work, orphan)
        self.behaviour.create(work)
        with self.session.store.locked():
            if orphan is None:
                self._admit(work, orphan)
            else:
                task.warn(
                    f"{self.row.kind} {identifier} is left from an update that was interrupted, and was taken over; a "
                    "real account would keep it beside the new one, or refuse its name."
                )
            self.session.store.write(self._object(task, identifier, seed, work.properties, inputs))
        self._note(identifier)
        return identifier, filling.closed(self.row, work.properties)

    def update(
        self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties
    ) -> Properties:
        self._note(identifier)
        found = self.session.store.get(task.type, identifier)
        if found is None:
            if task.preview:
                return self._fill(news, task.urn, None)[1]
            raise ProviderError(f"{self.row.kind} {identifier} does not exist any more: run `pulumi refresh`.")
        _, properties = self._fill(news, found.seed, found)
        work = Work(
            task=task, store=self.session.store, place=self.session.place, identifier=identifier, properties=properties
        )
        if task.preview:
            return filling.closed(self.row, properties)
        self.session.faults.strike(task, "update")
        with self.session.store.locked():
            if not has_unknown(properties):
                references.require(self.row, properties, self.session.store)
        self.behaviour.update(work, found)
        with self.session.store.locked():
            changed = self._object(task, identifier, found.seed, work.properties, news)
            changed.contents = found.contents
            self.session.store.write(changed)
        return filling.closed(self.row, work.properties)

    def read(self, task: Task, identifier: str, state: Properties, inputs: Properties) -> Live | None:
        self.session.faults.strike(task, "read")
        found = self.session.store.get(task.type, identifier)
        if found is None:
            return None
        self._note(identifier)
        marks = {names.DEFAULTS: inputs.get(names.DEFAULTS) or []}
        return Live(
            identifier=identifier,
            outputs=filling.closed(self.row, found.properties),
            inputs={**filling.closed(self.row, found.inputs), **marks},
        )

    def delete(self, task: Task, identifier: str, state: Properties) -> None:
        self._note(identifier)
        self.session.faults.strike(task, "delete")
        store = self.session.store
        with store.locked():
            found = store.get(task.type, identifier)
            if found is None:
                return
            if held := references.holders(found, store):
                names = ", ".join(f"{item.type.rpartition(':')[2]} {item.id}" for item in held[:3])
                raise ProviderError(
                    f"DependencyViolation: {self.row.kind} {identifier} cannot be deleted while it has {names}"
                    f"{' and others' if len(held) > 3 else ''}."
                )
        work = Work(
            task=task, store=store, place=self.session.place, identifier=identifier, properties=found.properties
        )
        left = self.behaviour.delete(work, found)
        if self.row.permanent:
            left = "cannot be deleted: the cloud keeps it, and its name, for ever"
        with store.locked():
            if left:
                found.left = left
                store.write(found)
            else:
                store.remove(task.type, identifier)

    # -- parts -------------------------------------------------------------------------------------------------------

    def _note(self, identifier: str) -> None:
        self.session.known.add((self.row.token, identifier))

    def _seed(self, task: Task) -> tuple[str, Object | None]:
        """What a new object's made-up values come from, and the object that an interrupted create left."""
        own = [item for item in self.session.store.objects(task.type, left=True) if item.urn == task.urn]
        orphan = next((o for o in own if not o.left and (o.type, o.id) not in self.session.known), None)
        if orphan is not None:
            return orphan.seed, orphan
        taken = {item.seed for item in own}
        number = 0
        while f"{task.urn}#{number}" in taken:
            number += 1
        return f"{task.urn}#{number}", None

    def _fill(self, inputs: Properties, seed: str, old: Object | None) -> tuple[str, Properties]:
        created = old.properties.get("createdAt") if old else None
        now = created if isinstance(created, str) else datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        before = old.properties if old else None
        return filling.fill(self.row, self.sheet.outputs, inputs, self.session.place, seed, now, before)

    def _admit(self, work: Work, orphan: Object | None) -> None:
        """What the API would refuse. Raises ProviderError."""
        references.require(self.row, work.properties, self.session.store)
        found = self.session.store.read(self.row.token, work.identifier)
        if found is not None and (orphan is None or found.id != orphan.id):
            why = f" ({found.left})" if found.left else ""
            raise ProviderError(f"{self.row.kind} {work.identifier!r} already exists{why}.")
        self.behaviour.creating(work)

    def _object(self, task: Task, identifier: str, seed: str, properties: Properties, inputs: Properties) -> Object:
        given = [name for name in inputs if not name.startswith("__")]
        return Object(type=task.type, id=identifier, urn=task.urn, seed=seed, properties=properties, given=given)

    def _placed(self, inputs: Properties) -> list[Failure]:
        place, known = self.session.place, self.sheet.inputs["props"]
        if place.package == "gcp" and "project" in known and not inputs.get("project") and not place.project:
            return [Failure("project", "is not set: set gcp:project in the stack, or project on the resource.")]
        return []
