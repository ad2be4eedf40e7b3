"""The local stack's cluster: an existing one, by kubeconfig; the sandbox's own single node by default."""

from dataclasses import dataclass

import pulumi

from components.cluster import Cluster
from components.kubernetes_provider import kubernetes_provider


@dataclass(frozen=True, kw_only=True)
class LocalClusterArgs:
    """A kubeconfig's content, which of its contexts to use, and where the cluster's node ports are reached."""

    kubeconfig: str
    address: str
    context: str | None = None

    def __post_init__(self) -> None:
        if not self.kubeconfig.strip():
            raise ValueError("sandbox.kubeconfig: the file is empty; give the kubeconfig of a running cluster")


class LocalCluster(pulumi.ComponentResource):
    """A handle on a running cluster. It creates nothing."""

    cluster: Cluster

    def __init__(self, name: str, args: LocalClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:LocalCluster", name, {}, opts)
        provider = kubernetes_provider(
            name, args.kubeconfig, context=args.context, identity=name, opts=pulumi.ResourceOptions(parent=self)
        )
        self.cluster = Cluster(
            name=name, provider=provider, ingress="NodePort", address=pulumi.Output.from_input(args.address)
        )
        self.register_outputs({})
