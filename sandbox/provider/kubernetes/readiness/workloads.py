"""Workloads: rolled out when the controller has seen the change and all replicas of it are available."""

from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.readiness.conditions import describe, generation
from sandbox.provider.kubernetes.readiness.failed import FailedError
from sandbox.provider.kubernetes.readiness.pods import worst
from sandbox.provider.kubernetes.rest import Json


def deployment(cluster: Cluster, live: Json) -> str | None:
    """As `kubectl rollout status` judges a Deployment."""
    status, wanted = live.get("status") or {}, _replicas(live)
    if status.get("observedGeneration", 0) < generation(live):
        return "its controller to see the change"
    updated, total, available = (int(status.get(k) or 0) for k in ("updatedReplicas", "replicas", "availableReplicas"))
    if updated < wanted:
        text = f"{updated} of {wanted} replicas updated"
    elif total > updated:
        text = f"{total - updated} old replica(s) to end"
    elif available < wanted:
        text = f"{available} of {wanted} replicas available"
    else:
        return None
    for condition in status.get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            # A quota, an admission plugin (Pod Security), a missing service account: no pod is ever made.
            text += f"; {describe(condition)}"
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            raise FailedError(f"the rollout made no progress: {text}{_pods(cluster, live)}")
    return text + _pods(cluster, live)


def stateful_set(cluster: Cluster, live: Json) -> str | None:
    """All replicas of the latest revision ready; with OnDelete only the ready count."""
    status, wanted = live.get("status") or {}, _replicas(live)
    if status.get("observedGeneration", 0) < generation(live):
        return "its controller to see the change"
    ready, updated = (int(status.get(k) or 0) for k in ("readyReplicas", "updatedReplicas"))
    strategy = ((live.get("spec") or {}).get("updateStrategy") or {}).get("type", "RollingUpdate")
    if strategy == "RollingUpdate" and status.get("updateRevision") and updated < wanted:
        return f"{updated} of {wanted} replicas updated{_pods(cluster, live)}"
    if ready < wanted:
        return f"{ready} of {wanted} replicas ready{_pods(cluster, live)}"
    return None


def daemon_set(cluster: Cluster, live: Json) -> str | None:
    """Updated and available on every node it is meant for."""
    status = live.get("status") or {}
    if status.get("observedGeneration", 0) < generation(live):
        return "its controller to see the change"
    wanted = int(status.get("desiredNumberScheduled") or 0)
    for name, word in (("updatedNumberScheduled", "updated"), ("numberAvailable", "available")):
        if int(status.get(name) or 0) < wanted:
            return f"{word} on {status.get(name) or 0} of {wanted} nodes{_pods(cluster, live)}"
    return None


def job(cluster: Cluster, live: Json) -> str | None:
    """Complete; a failed Job says why."""
    status, spec = live.get("status") or {}, live.get("spec") or {}
    for condition in status.get("conditions") or []:
        if condition.get("status") == "True" and condition.get("type") == "Complete":
            return None
        if condition.get("status") == "True" and condition.get("type") in ("Failed", "FailureTarget"):
            raise FailedError(f"the job failed: {describe(condition)}{_pods(cluster, live)}")
    if spec.get("suspend"):
        return None
    done, wanted = status.get("succeeded") or 0, spec.get("completions") or 1
    return f"{done} of {wanted} completions{_pods(cluster, live)}"


def _replicas(live: Json) -> int:
    replicas = (live.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _pods(cluster: Cluster, live: Json) -> str:
    labels = ((live.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    if not labels:
        return ""
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    pods = cluster.list("v1", "Pod", live["metadata"].get("namespace"), selector)
    text = worst(cluster, pods)
    if not text and not pods:
        text = _refusal(cluster, live)
    return f"; {text}" if text else ""


def _refusal(cluster: Cluster, live: Json) -> str:
    """Why a controller could make no pod, from its events."""
    namespace, name = live["metadata"].get("namespace"), live["metadata"]["name"]
    events = cluster.list("v1", "Event", namespace)
    for event in reversed(events):
        involved = event.get("involvedObject") or {}
        own = str(involved.get("name", "")).startswith(name)
        if own and event.get("reason") == "FailedCreate":
            return f"no pod could be made: {' '.join(str(event.get('message')).split())}"
    return ""
