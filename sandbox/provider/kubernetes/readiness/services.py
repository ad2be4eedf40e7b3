"""Services: reachable when something answers behind them."""

from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.rest import Json


def service(cluster: Cluster, live: Json) -> str | None:
    """A load balancer's address, and at least one ready endpoint of a Service that selects pods."""
    return address(cluster, live) or endpoint(cluster, live)


def address(_cluster: Cluster, live: Json) -> str | None:
    """A load balancer's address."""
    balanced = (live.get("spec") or {}).get("type") == "LoadBalancer"
    if balanced and not ((live.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
        return "an address from the cluster's load balancer"
    return None


def endpoint(cluster: Cluster, live: Json) -> str | None:
    """A ready pod behind a Service that selects some."""
    spec, metadata = live.get("spec") or {}, live["metadata"]
    if spec.get("type") == "ExternalName" or not spec.get("selector") or spec.get("clusterIP") == "None":
        return None
    slices = cluster.list(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        metadata.get("namespace"),
        f"kubernetes.io/service-name={metadata['name']}",
    )
    endpoints = [e for s in slices for e in s.get("endpoints") or []]
    ready = [e for e in endpoints if (e.get("conditions") or {}).get("ready") is not False]
    return None if ready else "a ready pod behind it"
