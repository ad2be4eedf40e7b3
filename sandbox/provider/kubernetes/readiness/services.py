"""Services: reachable when something answers behind them."""

from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.rest import Json


def service(cluster: Cluster, live: Json) -> str | None:
    """A load balancer's address, and at least one ready endpoint of a Service that selects pods."""
    spec, status = live.get("spec") or {}, live.get("status") or {}
    if spec.get("type") == "ExternalName":
        return None
    if spec.get("type") == "LoadBalancer" and not (status.get("loadBalancer") or {}).get("ingress"):
        return "an address from the cluster's load balancer"
    if not spec.get("selector") or spec.get("clusterIP") == "None":
        return None
    metadata = live["metadata"]
    slices = cluster.list(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        metadata.get("namespace"),
        f"kubernetes.io/service-name={metadata['name']}",
    )
    endpoints = [e for s in slices for e in s.get("endpoints") or []]
    ready = [e for e in endpoints if (e.get("conditions") or {}).get("ready") is not False]
    return None if ready else "a ready pod behind it"
