"""Pods: what keeps one from being ready, in a few words."""

from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.readiness.failed import FailedError
from sandbox.provider.kubernetes.rest import Json, segment

# Reasons after which the kubelet keeps trying, but which a person must know of.
TROUBLE = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)


def pod(cluster: Cluster, live: Json) -> str | None:
    """Ready when its Ready condition is, or when it has run to its end."""
    status = live.get("status") or {}
    if status.get("phase") == "Succeeded" or is_ready(live):
        return None
    if status.get("phase") == "Failed":
        raise FailedError(f"the pod failed: {trouble(cluster, live) or status.get('message') or status.get('reason')}")
    return trouble(cluster, live) or f"phase {status.get('phase', 'Pending')}"


def is_ready(live: Json) -> bool:
    """The pod's Ready condition."""
    found = (live.get("status") or {}).get("conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in found)


def worst(cluster: Cluster, pods: list[Json]) -> str:
    """The first pod that has a trouble, and the trouble; "" when all are fine or just starting."""
    for one in sorted(pods, key=lambda p: str(p["metadata"].get("creationTimestamp")), reverse=True):
        if not is_ready(one) and (text := trouble(cluster, one)):
            return f"pod {one['metadata']['name']}: {text}"
    return ""


def trouble(cluster: Cluster, live: Json) -> str:
    """Why a pod is not ready: not scheduled, an image, a crash with its last line of log, a failing probe."""
    status = live.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason')}: {' '.join(str(condition.get('message')).split())}"
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in containers:
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason") in TROUBLE:
            if waiting["reason"] == "CrashLoopBackOff":
                return _crash(cluster, live, container, (container.get("lastState") or {}).get("terminated") or {})
            message = " ".join(str(waiting.get("message", "")).split())[:300]
            return f"container {container['name']}: {waiting['reason']}: {message}".rstrip(": ")
        if ended.get("exitCode"):
            return _crash(cluster, live, container, ended)
    starting = [c["name"] for c in status.get("initContainerStatuses") or [] if not c.get("ready")]
    if starting:
        return f"init container {starting[0]} is running"
    unready = [c["name"] for c in status.get("containerStatuses") or [] if not c.get("ready")]
    return f"{', '.join(unready)} not ready yet" if unready else ""


def _crash(cluster: Cluster, live: Json, container: Json, ended: Json) -> str:
    name = container["name"]
    said = last_line(cluster, live, name, previous=container.get("restartCount", 0) > 0)
    how = f"{ended.get('reason', 'Error')}, exit code {ended.get('exitCode', '?')}"
    restarts = container.get("restartCount", 0)
    text = f"container {name} crashed ({how}, {restarts} restart(s))"
    return f"{text}; its last line: {said}" if said else text


def last_line(cluster: Cluster, live: Json, container: str, *, previous: bool) -> str:
    """The last line that a container wrote, "" where its log is out of reach."""
    metadata = live["metadata"]
    path = f"/api/v1/namespaces/{segment(metadata['namespace'])}/pods/{segment(metadata['name'])}/log"
    query = {"container": container, "tailLines": "1", "previous": "true" if previous else "false"}
    lines = cluster.rest.text(path, query).strip().splitlines()
    return lines[-1][-300:] if lines else ""
