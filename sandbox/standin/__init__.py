"""Pretended clusters: a real control plane for an EKS, GKE or DGX cluster that has only pretended nodes.

etcd, API server, controller manager and scheduler are real, so every object is admitted, validated and scheduled for
real. The nodes are kwok's: pods on them become Running and Ready, Jobs complete, and no container ever runs. kwok also
plays the cloud's load balancers and volume provisioners (sandbox/cluster/stages).

    endpoint = standin.create("llmops-aws", platform="eks")
    standin.set_nodes("llmops-aws", "gpu", [NodeSpec.of(AWS["p5.48xlarge"], "gpu-0", labels={...}, taints=[...])])
    standin.delete("llmops-aws")

Clusters belong to the current sandbox (`LLMOPS_INSTANCE`): two sandboxes may each have one of the same name. Every
function here raises ClusterError or ToolchainError with one sentence for the user.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.standin.nodes import NodeSpec, Taint
from sandbox.standin.reserved import Platform
from sandbox.standin.table import Endpoint, Pretended

if TYPE_CHECKING:
    from sandbox.progress import Progress

__all__ = [
    "Endpoint",
    "NodeSpec",
    "Platform",
    "Pretended",
    "Taint",
    "create",
    "credentials",
    "delete",
    "list",
    "set_nodes",
]


def create(name: str, platform: Platform = "kubernetes", progress: "Progress | None" = None) -> Endpoint:
    """Start, or find, the control plane of the cluster `name`. Idempotent; about ten seconds the first time.

    `platform` decides what a cluster of that kind is born with: hostnames ("eks") or addresses (all others) for its
    load balancers, and OpenShift's own APIs ("openshift").
    """
    from sandbox.standin import lifecycle

    return lifecycle.create(name, platform, progress)


def set_nodes(name: str, group: str, nodes: Sequence[NodeSpec], spare: Sequence[NodeSpec] = ()) -> None:
    """Make `nodes` the nodes of a group: adds, changes and removes; returns when all of them are Ready.

    `spare` are those that the group may still grow by: they are started when a pod fits on no other node, as an
    autoscaler would, and stay. Pods on a node that goes, go with it. Other groups are left alone.
    """
    from sandbox.standin import pool

    pool.set_nodes(name, group, nodes, spare)


def delete(name: str, progress: "Progress | None" = None) -> None:
    """Stop the cluster and forget it and everything in it. Does nothing when there is none of that name."""
    from sandbox.standin import lifecycle

    lifecycle.delete(name, progress)


def credentials(server: str) -> str | None:
    """The administrator's kubeconfig of the pretended cluster at `server`; None where that is no pretended cluster.

    It stands in for what `aws eks get-token` and `gke-gcloud-auth-plugin` would hand out.
    """
    from sandbox.standin import table

    return table.credentials(server)


def list() -> "tuple[Pretended, ...]":
    """The current sandbox's pretended clusters, by name."""
    from sandbox.standin import table

    return table.current()
