"""A single-node Kubernetes in namespaces of its own: start it, stop it, ask how it is.

Light to import: the parts are loaded when they are used.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.cluster.errors import ClusterError
from sandbox.paths import instance as current_instance
from sandbox.progress import Progress

if TYPE_CHECKING:
    from sandbox.cluster.components import Balancer, Level
    from sandbox.cluster.inspection import Status

__all__ = ["ClusterError", "leftovers", "node_address", "start", "status", "stop"]


def start(
    level: "Level" = "node",
    progress: Progress | None = None,
    instance: str | None = None,
    balancer: "Balancer" = "address",
) -> Path:
    """Bring the cluster up and return the administrator's kubeconfig. Idempotent.

    Level "fake-nodes" is a control plane and kwok, which plays nodes, load balancers (`balancer` says whether they
    have a hostname or an address) and volume provisioners. Raises ClusterError with one sentence for the user.
    """
    from sandbox.cluster import lifecycle

    return lifecycle.start(instance or current_instance(), level, progress or Progress(), balancer)


def stop(progress: Progress | None = None, instance: str | None = None, delete: bool = False) -> None:
    """End the cluster; nothing of it stays on the host. `delete` forgets etcd and the certificates as well."""
    from sandbox.cluster import lifecycle

    lifecycle.stop(instance or current_instance(), progress or Progress(), delete)


def status(instance: str | None = None) -> "Status":
    """Whether the cluster runs, how its components are doing, and their memory."""
    from sandbox.cluster import inspection

    return inspection.status(instance or current_instance())


def leftovers(instance: str | None = None) -> list[str]:
    """What of an instance's cluster is on the host now, one line each; empty after `stop`."""
    from sandbox.cluster import residue

    return residue.find(instance or current_instance())


def node_address(instance: str | None = None) -> str:
    """The address at which the API server and node ports are reached from this machine."""
    from sandbox.cluster import handle

    return handle.find(instance or current_instance()).addresses.node
