"""The host's side of a cluster: the cable and the routes. All of it goes when the cluster's namespace goes."""

import json
import subprocess
from typing import Any

from sandbox.cluster.addresses import Addresses
from sandbox.cluster.errors import ClusterError
from sandbox.cluster.isolation import INTERFACE


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(
            f"'ip {' '.join(arguments)}' failed ({done.stderr.strip()}): the cluster needs a kernel with veth "
            "interfaces and the right to make them."
        )


def connect(addresses: Addresses, pid: int) -> None:
    """Plug a cable between the host and the network namespace of process `pid`, and route the cluster's subnets."""
    peer = ["peer", "name", INTERFACE, "netns", str(pid)]
    _ip("link", "add", addresses.interface, "type", "veth", *peer)
    _ip("address", "add", f"{addresses.host}/30", "dev", addresses.interface)
    _ip("link", "set", addresses.interface, "up")
    for subnet in (addresses.pods, addresses.services):
        _ip("route", "add", subnet, "via", addresses.node, "dev", addresses.interface)


def links() -> list[str]:
    """The names of the host's network interfaces."""
    shown = subprocess.run(["ip", "-json", "link", "show"], capture_output=True, text=True, check=True)
    entries: list[dict[str, Any]] = json.loads(shown.stdout or "[]")
    return [str(entry["ifname"]) for entry in entries]


def disconnect(addresses: Addresses) -> None:
    """Pull the cable if it is still there, with its routes. Idempotent."""
    try:
        if addresses.interface in links():
            _ip("link", "delete", addresses.interface)
    except ClusterError:
        # The kernel takes the interfaces of a namespace that ended in its own time: it may just have been faster.
        if addresses.interface in links():
            raise
