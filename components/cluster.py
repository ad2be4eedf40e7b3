"""What every layer above a cluster may know of it."""

from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core.v1 import TolerationArgsDict


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A Kubernetes cluster, whoever made it: handed over by EksCluster, GkeCluster, DgxCluster, LocalCluster."""

    name: str
    provider: k8s.Provider
    # How the gateway is reached: `NodePort` on the nodes' own address, or a `LoadBalancer` of the platform.
    ingress: str = "LoadBalancer"
    # Where node ports are reached, e.g. 10.246.0.2; None where a load balancer has its own address.
    address: pulumi.Output[str] | None = None
    node_selector: dict[str, str] = field(default_factory=dict[str, str])
    tolerations: tuple[TolerationArgsDict, ...] = ()

    def child(self, parent: pulumi.Resource, **options: object) -> pulumi.ResourceOptions:
        """Options for an object of this cluster that belongs to the component `parent`."""
        return pulumi.ResourceOptions(parent=parent, provider=self.provider, **options)  # pyright: ignore[reportArgumentType] (the SDK's own keywords)
