"""The rules of NodePatch: fields of an object that somebody else owns, set by server-side apply and given back.

The official provider has such a type for every kind. Nodes are the only objects that a program of ours shares with
whoever made them, so they are the only ones here.
"""

from dataclasses import replace

from sandbox.provider.contract import Changes, Failure, Live, Naming, ProviderError, Task
from sandbox.provider.kubernetes import identity
from sandbox.provider.kubernetes.objects import ObjectRules
from sandbox.provider.kubernetes.rest import ApiError
from sandbox.provider.values import Properties

PATCHES = {"kubernetes:core/v1:NodePatch": "kubernetes:core/v1:Node"}


class PatchRules:
    """An object's rules, except that it must be there already and stays when the patch goes."""

    def __init__(self, rules: ObjectRules) -> None:
        self._rules = rules

    def check(self, task: Task, olds: Properties, news: Properties, naming: Naming) -> tuple[Properties, list[Failure]]:
        metadata = news.get("metadata")
        if isinstance(metadata, dict) and not metadata.get("name"):
            return news, [Failure("metadata.name", "is missing: a patch names the object that it changes.")]
        return self._rules.check(_whole(task), olds, news, naming)

    def diff(self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties) -> Changes:
        return self._rules.diff(_whole(task), identifier, state, old_inputs, news)

    def create(self, task: Task, inputs: Properties) -> tuple[str, Properties]:
        whole = _whole(task)
        reference = identity.reference(whole.type, inputs)
        cluster = self._rules.cluster
        kind = cluster.discovery.find(reference.api_version, reference.kind)
        if reference.name and (kind is None or cluster.get(kind, reference.namespace, reference.name) is None):
            raise ProviderError(f"{reference} does not exist: a patch changes what is there and makes nothing.")
        return self._rules.create(whole, inputs, theirs=True)

    def update(
        self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties
    ) -> Properties:
        return self._rules.update(_whole(task), identifier, state, old_inputs, news)

    def read(self, task: Task, identifier: str, state: Properties, inputs: Properties) -> Live | None:
        return self._rules.read(_whole(task), identifier, state, inputs)

    def delete(self, task: Task, identifier: str, state: Properties) -> None:
        """Give the fields back: what this manager applied alone goes, the object stays."""
        whole = _whole(task)
        reference = identity.reference(whole.type, state, identifier)
        cluster = self._rules.cluster
        kind = cluster.discovery.find(reference.api_version, reference.kind, fresh=True)
        if kind is None or cluster.get(kind, reference.namespace, reference.name) is None:
            return
        bare = {"apiVersion": reference.api_version, "kind": reference.kind, "metadata": {"name": reference.name}}
        try:
            cluster.apply(whole, kind, bare, identity.manager_of(task.urn, state), dry=False, force=False)
        except ApiError as error:
            raise ProviderError(f"{reference}: {error.message}") from None


def _whole(task: Task) -> Task:
    """The same operation on the object itself."""
    return replace(task, type=PATCHES[task.type])
