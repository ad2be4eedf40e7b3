"""When an object counts as ready, by its kind, and the wait for it."""

import time

from sandbox.provider.contract import ProviderError, Task
from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.discovery import Kind
from sandbox.provider.kubernetes.identity import Reference, annotation
from sandbox.provider.kubernetes.readiness import wished
from sandbox.provider.kubernetes.readiness.rules import FailedError, rule_for
from sandbox.provider.kubernetes.rest import Cancelled, Json

PATIENCE = 300.0  # seconds, unless customTimeouts or the annotation pulumi.com/timeoutSeconds say otherwise
FIRST_POLL, SLOWEST_POLL = 0.1, 1.0  # seconds


def wait(task: Task, cluster: Cluster, kind: Kind, reference: Reference, seen: list[Json]) -> None:
    """Until the object is ready; `seen[0]` is always the last sight of it.

    Raises ProviderError with what is missing, at once where it cannot come, else when patience is over.
    """
    wish = annotation(seen[0], wished.ANNOTATION)
    rule = wished.rule(wish) if wish else rule_for(reference)
    if rule is None or annotation(seen[0], "pulumi.com/skipAwait") == "true":
        return
    if cluster.pretended:
        from sandbox.provider.kubernetes.readiness import pretended  # other clusters need it not

        rule = pretended.adapt(task, cluster, reference, rule, seen[0])
        if rule is None:
            return
    began, pause, said = time.monotonic(), FIRST_POLL, ""
    patience = _patience(task, seen[0])
    while True:
        try:
            missing = rule(cluster, seen[0])
        except FailedError as error:
            raise ProviderError(f"{reference}: {error}") from None
        waited = time.monotonic() - began
        if missing is None:
            return
        if waited > patience:
            raise ProviderError(f"{reference} is not ready after {waited:.0f} s: {missing}.")
        if missing != said:
            said = missing
            task.status(f"waiting: {missing}")
        if task.cancelled.wait(min(pause, max(0.05, patience - waited))):
            raise Cancelled(f"{reference}: interrupted while waiting ({missing}).")
        pause = min(pause * 1.5, SLOWEST_POLL)
        live = cluster.get(kind, reference.namespace, reference.name)
        if live is None:
            raise ProviderError(f"{reference} was deleted by somebody while we waited for it.")
        seen[0] = live


def _patience(task: Task, live: Json) -> float:
    if task.timeout:
        return task.timeout
    text = annotation(live, "pulumi.com/timeoutSeconds")
    try:
        return float(text) if text else PATIENCE
    except ValueError:
        task.warn(f"pulumi.com/timeoutSeconds is {text!r}, which is no number of seconds; {PATIENCE:.0f} is used.")
        return PATIENCE
