"""Readiness in a pretended cluster: Kubernetes' own controllers run, kwok plays the nodes, and nobody else runs."""

import time
from collections.abc import Callable

from sandbox.provider.contract import Task
from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.identity import Reference
from sandbox.provider.kubernetes.readiness import autoscaler, services
from sandbox.provider.kubernetes.readiness.failed import FailedError
from sandbox.provider.kubernetes.rest import Json

Rule = Callable[[Cluster, Json], str | None]

# API groups whose controllers run: those of the API server and of the controller manager.
RUNNING = ("", "apps", "batch", "apiextensions.k8s.io")
# Labels by which a Service selects pods that an absent controller would make, by that controller.
MADE_BY = {
    "gateway.envoyproxy.io/": "Envoy Gateway",
    "leaderworkerset.sigs.k8s.io/": "the LeaderWorkerSet controller",
}
UNSCHEDULABLE = "Unschedulable:"
# Seconds that a pod may be without a node: pods of an old revision may still be leaving, and the scheduler looks again
# at one that it refused after ten seconds at the latest.
WITHOUT_NODE = 12.0


def adapt(task: Task, cluster: Cluster, reference: Reference, rule: Rule, live: Json) -> Rule | None:
    """What is waited for here instead of `rule`; None where there is nothing to wait for, and the person is told."""
    if reference.kind == "Subscription":
        from sandbox.provider.kubernetes import recorded  # it needs this module itself

        recorded.subscribe(task, cluster, str((live.get("spec") or {}).get("name")))
        return None
    if reference.api_version.rpartition("/")[0] not in RUNNING:
        task.status("not waited for: its controller does not run in a pretended cluster")
        return None
    if reference.kind == "Service":
        selector = (live.get("spec") or {}).get("selector") or {}
        maker = next((who for prefix, who in MADE_BY.items() if any(k.startswith(prefix) for k in selector)), None)
        if maker is None:
            return rule
        task.status(f"no pod behind it: they are made by {maker}, which does not run in a pretended cluster")
        return services.address
    return Impatient(rule)


class Impatient:
    """A rule that gives up on a pod that the scheduler finds no node for, and that no spare node would take."""

    def __init__(
        self,
        rule: Rule,
        grow: Callable[[Cluster], list[str]] = autoscaler.grow,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rule, self._grow, self._clock = rule, grow, clock
        self._since: float | None = None

    def __call__(self, cluster: Cluster, live: Json) -> str | None:
        missing = self._rule(cluster, live)
        if missing is None or UNSCHEDULABLE not in missing:
            self._since = None
        elif started := self._grow(cluster):
            self._since = None
            return f"{missing} (starting {', '.join(started)})"
        elif self._since is None:
            self._since = self._clock()
        elif self._clock() - self._since > WITHOUT_NODE:
            raise FailedError(f"no node takes its pods: {missing}")
        return missing
