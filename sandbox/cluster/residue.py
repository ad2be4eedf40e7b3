"""What of an instance's cluster is on the host: processes, mounts, interfaces, routes, nft tables, control groups."""

import contextlib
import subprocess
from pathlib import Path

from sandbox.cluster import cgroups, host, process
from sandbox.cluster.addresses import Addresses, conflict, host_routes
from sandbox.cluster.handle import find as find_cluster
from sandbox.cluster.isolation import INTERFACE
from sandbox.cluster.process import Files, Identity
from sandbox.paths import cluster_dir, containerd_root


def find(instance: str) -> list[str]:
    """One line for each thing; sorted by kind. Empty when the cluster was never started or was stopped."""
    directory, addresses = cluster_dir(instance), find_cluster(instance).addresses
    identity = process.recall(Files(directory).identity)
    return [
        *processes(instance, identity),
        *mounts(Path("/proc/self/mountinfo").read_text(), [directory, containerd_root(instance)]),
        *links(addresses),
        *routes(addresses),
        *tables(),
        *(f"control group {path}" for path in cgroups.existing(instance)),
    ]


def processes(instance: str, identity: Identity | None) -> list[str]:
    """Processes of the supervisor's namespace, of its containers, and the supervisor's own."""
    group, module = f"/{cgroups.name(instance)}", ["sandbox.cluster.supervisor", instance]
    found: list[str] = []
    for pid in process.processes():
        with contextlib.suppress(OSError):
            words = (process.PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
            paths = [line.split(":", 2)[2] for line in (process.PROC / str(pid) / "cgroup").read_text().splitlines()]
            if not words[0]:
                continue  # ended, and its parent has yet to notice
            named = any(words[i : i + 2] == module for i in range(len(words)))
            inside = identity is not None and process.namespace(pid) == identity.namespace
            if named or inside or any(path == group or path.startswith(group + "/") for path in paths):
                found.append(f"process {pid} {' '.join(words)[:80].strip()}")
    return found


def mounts(mountinfo: str, directories: list[Path]) -> list[str]:
    """Mount points below the instance's directories, from the text of /proc/self/mountinfo."""
    points = [Path(line.split()[4]) for line in mountinfo.splitlines()]
    return [f"mount {point}" for point in points if any(point.is_relative_to(directory) for directory in directories)]


def links(addresses: Addresses) -> list[str]:
    """The cable, and interfaces that belong inside the cluster."""
    inside = {addresses.interface, "pods0"}
    return [f"interface {name}" for name in host.links() if name in inside and name != INTERFACE]


def routes(addresses: Addresses) -> list[str]:
    """Routes to the cluster's subnets, whatever interface they go to."""
    nameless = [type(route)(route.subnet, route.interface + " ") for route in host_routes()]
    found: list[str] = []
    while (route := conflict(addresses, nameless)) is not None:
        found.append(f"route {route.subnet} dev {route.interface.strip()}")
        nameless.remove(route)
    return found


def tables() -> list[str]:
    """kube-proxy's tables in the host's own packet filter."""
    try:
        listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return []  # without the program there is no table of kube-proxy's either: it uses the same program
    return [f"nft {line}" for line in listed.splitlines() if line.split()[-1] == "kube-proxy"]
