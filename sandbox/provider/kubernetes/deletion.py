"""Deleting an object, and waiting until it is gone."""

import time

from sandbox.provider.contract import ProviderError, Task
from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.discovery import Kind
from sandbox.provider.kubernetes.identity import Reference, annotation
from sandbox.provider.kubernetes.rest import ApiError, Cancelled, Json
from sandbox.provider.values import Properties

PATIENCE = 300.0  # seconds, unless customTimeouts.delete says otherwise
POLL = 0.25  # seconds


def delete(task: Task, cluster: Cluster, kind: Kind, reference: Reference, state: Properties) -> None:
    """Delete the object that `state` knows; success when it is gone already or is another one by now."""
    policy = annotation(state, "pulumi.com/deletionPropagationPolicy") or "foreground"
    options: Json = {"propagationPolicy": policy.capitalize()}
    uid = (state.get("metadata") or {}).get("uid")
    if isinstance(uid, str):
        # A resource that was renamed in the program may have made the same object anew: that one stays.
        options["preconditions"] = {"uid": uid}
    path = kind.path(reference.namespace, reference.name)
    try:
        cluster.rest.request("DELETE", path, body=options, warn=task.warn, cancelled=task.cancelled)
    except ApiError as error:
        if error.code == 404 or (error.code == 409 and "UID" in error.message):
            return
        raise ProviderError(f"{reference}: {error.message}") from None
    if annotation(state, "pulumi.com/skipAwait") != "true":
        wait_until_gone(task, cluster, kind, reference, {"metadata": {"uid": uid}})


def wait_until_gone(task: Task, cluster: Cluster, kind: Kind, reference: Reference, before: Json) -> None:
    """Until no object of this name has the uid of `before`. Raises ProviderError naming what holds it."""
    uid, began, said = before["metadata"].get("uid"), time.monotonic(), ""
    patience = task.timeout or PATIENCE
    while True:
        live = cluster.get(kind, reference.namespace, reference.name)
        if live is None or (uid and live["metadata"].get("uid") != uid):
            return
        holder = _holder(live)
        waited = time.monotonic() - began
        if waited > patience:
            raise ProviderError(f"{reference} is still there {waited:.0f} s after its deletion: {holder}.")
        if holder != said and waited > 1.0:
            said = holder
            task.status(f"waiting for its deletion: {holder}")
        if task.cancelled.wait(POLL if waited < 10 else 1.0):
            raise Cancelled(f"{reference}: interrupted while waiting for its deletion ({holder}).")


def _holder(live: Json) -> str:
    """What keeps a deleted object: a namespace's contents, or finalizers."""
    for condition in (live.get("status") or {}).get("conditions") or []:
        remaining = condition.get("type") in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining")
        if remaining and condition.get("status") == "True":
            return str(condition.get("message"))
    if finalizers := live["metadata"].get("finalizers"):
        return f"held by {', '.join(finalizers)}"
    return "its containers are ending" if live.get("kind") == "Pod" else "the API server has not removed it yet"
