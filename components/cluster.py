"""What every layer above a cluster may know of it."""

from dataclasses import dataclass, field
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core.v1 import TolerationArgsDict


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Nodes of one kind: how a pod gets onto them, and what one of them has."""

    node_selector: dict[str, str] = field(default_factory=dict[str, str])
    tolerations: tuple[TolerationArgsDict, ...] = ()
    gpus: int = 0  # of one node
    gpu_resource: str = "nvidia.com/gpu"  # what a container asks for; a MIG profile has a name of its own
    # What a pod that spans nodes asks for besides, e.g. {"vpc.amazonaws.com/efa": 32}.
    fabric: dict[str, int] = field(default_factory=dict[str, int])
    # The node label within whose value the nodes of one replica stay, with no other replica there; none: anywhere.
    topology: str | None = None

    def placement(self) -> dict[str, Any]:
        """How pods that others describe (charts, custom resources) get onto these nodes; empty if nothing is said."""
        asked = {"nodeSelector": self.node_selector, "tolerations": list(self.tolerations)}
        return {key: value for key, value in asked.items() if value}


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A Kubernetes cluster, whoever made it: handed over by EksCluster, GkeCluster, DgxCluster, LocalCluster."""

    name: str
    provider: k8s.Provider
    # How the gateway is reached: `NodePort` on the nodes' own address, a `LoadBalancer` of the platform, or a
    # `ClusterIP` that something else (an OpenShift Route) leads to.
    ingress: str = "LoadBalancer"
    # Where node ports are reached, e.g. 10.246.0.2; None where a load balancer has its own address.
    address: pulumi.Output[str] | None = None
    system: Pool = Pool()  # where everything runs that is not a model
    pools: dict[str, Pool] = field(default_factory=dict[str, Pool])  # GPU nodes, by the name that models use
    # Of the public load balancer's Service: which controller makes it, and what that controller is told.
    load_balancer_class: str | None = None
    service_annotations: dict[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    # OpenShift gives every namespace a range of user ids and refuses pods that name their own.
    arbitrary_uids: bool = False
    # What everything on the cluster waits for: nodes, and the controllers whose absence would block a destroy.
    ready: tuple[pulumi.Resource, ...] = ()

    def child(self, parent: pulumi.Resource, **options: object) -> pulumi.ResourceOptions:
        """Options for an object of this cluster that belongs to the component `parent`."""
        if self.ready:
            options["depends_on"] = [*cast("list[pulumi.Resource]", options.get("depends_on") or []), *self.ready]
        return pulumi.ResourceOptions(parent=parent, provider=self.provider, **options)  # pyright: ignore[reportArgumentType] (the SDK's own keywords)
