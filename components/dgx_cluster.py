"""DGX and HGX machines: a Kubernetes or OpenShift cluster that exists already, by its kubeconfig."""

from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components.cluster import Cluster, Pool
from components.kubernetes_provider import kubernetes_provider

POOL_LABEL = "llmops.dev/pool"


@dataclass(frozen=True, kw_only=True)
class DgxClusterArgs:
    """A kubeconfig's content and context, and what is known of the nodes.

    `host_labels` is node → labels that this stack puts on it: its pool, its MIG layout, its sharing.
    """

    kubeconfig: str
    context: str | None = None
    system: Pool
    pools: dict[str, Pool]
    host_labels: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    openshift: bool = False
    load_balancer_class: str | None = None


class DgxCluster(pulumi.ComponentResource):
    """A handle on the cluster. It makes nothing but labels on the nodes that the stack names.

    `nodes` are those labels, for what has to be told before operators look at them.
    """

    cluster: Cluster

    def __init__(self, name: str, args: DgxClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:DgxCluster", name, {}, opts)
        provider = kubernetes_provider(
            name, args.kubeconfig, context=args.context, identity=name, opts=pulumi.ResourceOptions(parent=self)
        )
        # The nodes belong to whoever installed them: these are patches, and a destroy takes only the labels away.
        labelled = tuple(
            k8s.core.v1.NodePatch(
                f"{name}-{host}",
                metadata={"name": host, "labels": labels},
                opts=pulumi.ResourceOptions(parent=self, provider=provider),
            )
            for host, labels in sorted(args.host_labels.items())
        )
        self.cluster = Cluster(
            name=name,
            provider=provider,
            ingress="ClusterIP" if args.openshift else "LoadBalancer",
            system=args.system,
            pools=args.pools,
            load_balancer_class=args.load_balancer_class,
            arbitrary_uids=args.openshift,
            ready=labelled,
        )
        self.register_outputs({})
