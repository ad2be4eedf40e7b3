"""An instance's cluster as a value: where its parts are and how they are reached."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.cluster import addresses as subnets
from sandbox.cluster import components, process
from sandbox.cluster.addresses import Addresses
from sandbox.cluster.api import Api
from sandbox.cluster.errors import ClusterError
from sandbox.cluster.plan import CONTAINERD_SOCKET
from sandbox.cluster.process import Files, Identity
from sandbox.paths import cluster_dir


@dataclass(frozen=True)
class Cluster:
    """An instance's cluster, running or not."""

    instance: str
    addresses: Addresses

    @property
    def directory(self) -> Path:
        """Its own files."""
        return cluster_dir(self.instance)

    @property
    def files(self) -> Files:
        """Those by which it is controlled."""
        return Files(self.directory)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.directory / "kubeconfig"

    @property
    def server(self) -> str:
        """The API server's URL."""
        return components.server(self.addresses)

    @property
    def api(self) -> Api:
        """The API server as administrator."""
        return Api(self.server, self.directory / "pki")

    def running(self) -> Identity | None:
        """The supervisor, if it lives."""
        return process.running(self.files)

    def last_lines(self, component: str, count: int) -> str:
        """The end of a component's log; empty when there is none."""
        try:
            lines = (self.files.logs / f"{component}.log").read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-count:])

    def socket(self) -> Path:
        """containerd's socket as a path of the host. Raises ClusterError when the cluster is stopped."""
        identity = self.running()
        if identity is None:
            raise ClusterError(
                f"The cluster of instance '{self.instance}' is not running: start it with 'make up' or "
                "'python -m sandbox.cluster start'."
            )
        # Through the process, because the socket lies in the cluster's own mount namespace.
        return Path(f"/proc/{identity.pid}/root{CONTAINERD_SOCKET}")


def find(instance: str) -> Cluster:
    """The cluster of an instance; its subnets are chosen at the first call."""
    return Cluster(instance, subnets.allocate(instance, subnets.host_routes()))
