"""The rules of every Kubernetes object: apply on the server, preview by dry run, wait, read, delete."""

import json
import threading
import time
from typing import Any

from sandbox.provider.contract import Changes, Failure, Live, Naming, NotReadyError, ProviderError, Task
from sandbox.provider.differences import differences
from sandbox.provider.kubernetes import identity, immutable, outputs
from sandbox.provider.kubernetes.cluster import NAMESPACE_PATIENCE, Cluster
from sandbox.provider.kubernetes.deletion import delete, wait_until_gone
from sandbox.provider.kubernetes.discovery import Kind
from sandbox.provider.kubernetes.identity import Reference
from sandbox.provider.kubernetes.ownership import contested, may_force
from sandbox.provider.kubernetes.readiness import wait
from sandbox.provider.kubernetes.rest import ApiError, Cancelled, Json, UnreachableError
from sandbox.provider.values import UNKNOWN, Properties, has_unknown


class ObjectRules:
    """The resource type for every kind."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        # A diff's dry run answers the preview of the update that follows it.
        self._dry_runs: dict[str, tuple[str, Json]] = {}
        self._lock = threading.Lock()

    def check(self, task: Task, olds: Properties, news: Properties, naming: Naming) -> tuple[Properties, list[Failure]]:
        api_version, kind = identity.kind_of(task.type)
        metadata = news.get("metadata", {})
        if metadata is UNKNOWN:
            return news, []
        if not isinstance(metadata, dict):
            return news, [Failure("metadata", "must be an object")]
        old: dict[str, Any] = olds.get("metadata") or {}
        metadata = identity.named(metadata, old, task.name, naming)
        inputs = {"apiVersion": api_version, "kind": kind, **news, "metadata": metadata}
        failures: list[Failure] = []
        if inputs["kind"] != kind:
            failures.append(Failure("kind", f"is {inputs['kind']!r}, but the resource's type says {kind!r}."))
        if not metadata.get("namespace") and (namespace := self._namespace(inputs, old)):
            inputs["metadata"] = {**metadata, "namespace": namespace}
        return inputs, failures

    def _namespace(self, inputs: Properties, old: dict[str, Any]) -> str | None:
        """The namespace of an object that names none: the one it is in already, else the default one."""
        if old.get("name") == inputs["metadata"]["name"]:
            return old.get("namespace")
        if not isinstance(inputs["apiVersion"], str):
            return None
        known = self.cluster.discovery.find(inputs["apiVersion"], inputs["kind"])
        return self.cluster.namespace if known and known.namespaced else None

    def diff(self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties) -> Changes:
        paths = differences(old_inputs, news)
        if not paths:
            return Changes()
        reference = identity.reference(task.type, news, identifier)
        tested = not has_unknown(news)
        replace = immutable.by_rule(reference.kind, list(paths), mutable=self._mutable(reference.kind), tested=tested)
        if not replace and tested:
            try:
                unchanged = self._unchanged(task, reference, state, news)
            except ApiError as error:
                replace = immutable.by_verdict(error, list(paths))
                if not replace:
                    raise ProviderError(f"{reference}: {error.message}") from None
            else:
                if unchanged:
                    return Changes()  # another spelling of what is there
        old = old_inputs.get("metadata") or {}
        same_name = all(old.get(k) == (news.get("metadata") or {}).get(k) for k in ("name", "namespace"))
        autonamed = identity.annotation(news, identity.AUTONAMED) == "true"
        return Changes(paths=paths, replace=replace, delete_first=bool(replace) and same_name and not autonamed)

    def _mutable(self, kind: str) -> bool:
        options = self.cluster.options
        return options.config_map_mutable if kind == "ConfigMap" else kind == "Secret" and options.secret_mutable

    def _unchanged(self, task: Task, reference: Reference, state: Properties, news: Properties) -> bool:
        """Whether an update would leave the object as it is now."""
        after = self._dry_run(task, reference, state, news)
        kind = self.cluster.discovery.find(reference.api_version, reference.kind)
        if after is None or kind is None:
            return False
        now = self.cluster.get(kind, reference.namespace, reference.name)
        return now is not None and outputs.same(now, after)

    def _dry_run(self, task: Task, reference: Reference, state: Properties, news: Properties) -> Json | None:
        """The object as an update would leave it; None where the server cannot say yet."""
        kind = self.cluster.discovery.find(reference.api_version, reference.kind)
        if kind is None:
            return None
        body = outputs.desired(news, reference.api_version, reference.kind)
        manager = identity.manager_of(task.urn, state)
        try:
            live = self.cluster.apply(task, kind, body, manager, dry=True, force=True)
        except ApiError as error:
            if error.code == 404 or "dry run" in error.message:
                return None
            raise
        with self._lock:
            self._dry_runs[task.urn] = (json.dumps(body, sort_keys=True), live)
        return live

    def create(self, task: Task, inputs: Properties, *, theirs: bool = False) -> tuple[str, Properties]:
        """Make the object; `theirs`: or set fields of one that somebody else made."""
        reference = identity.reference(task.type, inputs)
        manager = identity.manager_of(task.urn)
        if task.preview:
            return "", self._preview(task, reference, inputs, manager, {}, theirs=theirs)
        kind = self.cluster.kind(task, reference)
        assert kind is not None  # outside previews it is found or raised
        reference, inputs = self._placed(reference, inputs, kind)
        if not theirs:
            self._claim(task, reference, kind, inputs, manager)
        live = self._apply(task, reference, kind, inputs, manager)
        return reference.identifier, self._ready(task, reference, kind, live, inputs, manager)

    def update(
        self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties
    ) -> Properties:
        reference = identity.reference(task.type, news, identifier)
        manager = identity.manager_of(task.urn, state)
        if task.preview:
            return self._preview(task, reference, news, manager, state)
        kind = self.cluster.kind(task, reference)
        assert kind is not None  # as above
        reference, news = self._placed(reference, news, kind)
        live = self._apply(task, reference, kind, news, manager)
        return self._ready(task, reference, kind, live, news, manager)

    def _placed(self, reference: Reference, inputs: Properties, kind: Kind) -> tuple[Reference, Properties]:
        """With the default namespace, for kinds that were not known when the inputs were checked."""
        if reference.namespace or not kind.namespaced:
            return reference, inputs
        place = self.cluster.namespace
        metadata = {**inputs["metadata"], "namespace": place}
        placed = Reference(reference.api_version, reference.kind, reference.name, place)
        return placed, {**inputs, "metadata": metadata}

    def _claim(self, task: Task, reference: Reference, kind: Kind, inputs: Properties, manager: str) -> None:
        """Refuse to take over somebody else's object."""
        live = self.cluster.get(kind, reference.namespace, reference.name)
        if live is None:
            return
        if live["metadata"].get("deletionTimestamp"):
            if not task.preview:
                wait_until_gone(task, self.cluster, kind, reference, live)
            return
        upsert = self.cluster.options.upsert or identity.annotation(inputs, "pulumi.com/upsert") == "true"
        if not upsert and not identity.applied_by(live, manager):
            raise ProviderError(
                f"{reference} already exists and this resource did not make it: import it "
                f"(`pulumi import {task.type} {task.name} {reference.identifier}`), delete it, or set the annotation "
                'pulumi.com/upsert: "true" to take it over.'
            )

    def _apply(self, task: Task, reference: Reference, kind: Kind, inputs: Properties, manager: str) -> Json:
        body = outputs.desired(inputs, reference.api_version, reference.kind)
        began = time.monotonic()
        force = self.cluster.options.patch_force or identity.annotation(inputs, "pulumi.com/patchForce") == "true"
        while True:
            try:
                return self.cluster.apply(task, kind, body, manager, dry=False, force=force)
            except ApiError as error:
                if error.code == 409 and not force and contested(error):
                    if not may_force(error):
                        raise ProviderError(f"{reference}: {contested(error)}") from None
                    force = True  # a person's hand edit, or an earlier update of ours
                    continue
                missing = error.code == 404 and "namespaces" in error.message
                if not missing or time.monotonic() - began > NAMESPACE_PATIENCE:
                    raise ProviderError(f"{reference}: {error.message}") from None
            task.status(f"waiting for namespace {reference.namespace}")
            if task.cancelled.wait(0.5):
                raise Cancelled(f"{reference}: interrupted while waiting for its namespace.")

    def _ready(
        self, task: Task, reference: Reference, kind: Kind, live: Json, inputs: Properties, manager: str
    ) -> Properties:
        """The outputs, once the object is ready. Raises NotReadyError with what was seen last."""
        seen = [live]
        try:
            wait(task, self.cluster, kind, reference, seen)
        except (ProviderError, Cancelled) as error:
            found = outputs.outputs(seen[0], inputs, manager)
            raise NotReadyError(reference.identifier, found, inputs, [str(error)]) from None
        return outputs.outputs(seen[0], inputs, manager)

    def _preview(
        self,
        task: Task,
        reference: Reference,
        inputs: Properties,
        manager: str,
        state: Properties,
        *,
        theirs: bool = False,
    ) -> Properties:
        if has_unknown(inputs) or not reference.name:
            return outputs.unseen(inputs, manager)
        body = outputs.desired(inputs, reference.api_version, reference.kind)
        with self._lock:
            known = self._dry_runs.pop(task.urn, None)
        if known and known[0] == json.dumps(body, sort_keys=True):
            return outputs.previewed(known[1], inputs, manager, new=not state)
        kind = self.cluster.kind(task, reference)
        if kind is None:
            task.status(f"{reference.kind} is not known to the API server yet: checked when its CRD is there")
            return outputs.unseen(inputs, manager)
        try:
            if not state and not theirs:
                self._claim(task, reference, kind, inputs, manager)
            live = self.cluster.apply(task, kind, body, manager, dry=True, force=True)
        except ApiError as error:
            if error.code == 404 and "namespaces" in error.message:
                task.status(f"namespace {reference.namespace} does not exist yet: checked when it does")
                return outputs.unseen(inputs, manager)
            # A replacement is previewed beside the object that it replaces; a webhook may refuse dry runs.
            if immutable.by_verdict(error, ["metadata"]) or "dry run" in error.message:
                return outputs.unseen(inputs, manager)
            raise ProviderError(f"{reference}: {error.message}") from None
        return outputs.previewed(live, inputs, manager, new=not state)

    def read(self, task: Task, identifier: str, state: Properties, inputs: Properties) -> Live | None:
        reference = identity.reference(task.type, inputs or state, identifier)
        try:
            kind = self.cluster.discovery.find(reference.api_version, reference.kind, fresh=True)
            if kind is None:
                return None  # with its CRD, every object of a kind is gone
            reference, _ = self._placed(reference, {"metadata": {}}, kind)
            live = self.cluster.get(kind, reference.namespace, reference.name)
        except UnreachableError:
            if self.cluster.options.delete_unreachable:
                task.warn(f"{reference} is dropped from the state: its cluster is unreachable (deleteUnreachable).")
                return None
            raise
        if live is None:
            return None
        manager = identity.manager_of(task.urn, state)
        found = outputs.drifted(inputs, state, live) if inputs else outputs.imported(live)
        return Live(identifier=reference.identifier, outputs=outputs.outputs(live, found, manager), inputs=found)

    def delete(self, task: Task, identifier: str, state: Properties) -> None:
        reference = identity.reference(task.type, state, identifier)
        try:
            kind = self.cluster.discovery.find(reference.api_version, reference.kind, fresh=True)
            if kind is not None:
                delete(task, self.cluster, kind, reference, state)
        except UnreachableError:
            if not self.cluster.options.delete_unreachable:
                raise
            task.warn(f"{reference} is dropped from the state: its cluster is unreachable (deleteUnreachable).")
