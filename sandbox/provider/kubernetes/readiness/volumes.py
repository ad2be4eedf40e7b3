"""Claims on storage."""

from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.readiness.failed import FailedError
from sandbox.provider.kubernetes.rest import ApiError, Json


def claim(cluster: Cluster, live: Json) -> str | None:
    """Bound, unless its storage class waits for the first pod that uses it."""
    phase = (live.get("status") or {}).get("phase")
    if phase == "Bound":
        return None
    if phase == "Lost":
        raise FailedError("its volume is gone")
    spec = live.get("spec") or {}
    name = spec.get("storageClassName")
    if not spec.get("volumeName") and name and _waits(cluster, name):
        return None
    wanted = f"volume {spec['volumeName']}" if spec.get("volumeName") else f"a volume of class {name or '(default)'}"
    return f"phase {phase}: {wanted} to be bound"


def _waits(cluster: Cluster, name: str) -> bool:
    kind = cluster.discovery.find("storage.k8s.io/v1", "StorageClass")
    try:
        found = cluster.get(kind, None, name) if kind else None
    except ApiError:
        return False
    return bool(found) and found.get("volumeBindingMode") == "WaitForFirstConsumer"
