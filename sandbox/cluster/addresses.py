"""Which subnets an instance's cluster uses: one small number per instance decides them all."""

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from typing import Any

from sandbox.cluster.errors import ClusterError
from sandbox.paths import DEFAULT_INSTANCE, state_root
from sandbox.tables import table

HIGHEST = 255  # the third byte of every address


@dataclass(frozen=True)
class Addresses:
    """The addresses of cluster number `number`, 0 to 255. Pure: nothing is looked up."""

    number: int

    @property
    def host(self) -> str:
        """The host's end of the cable between host and cluster."""
        return f"10.246.{self.number}.1"

    @property
    def node(self) -> str:
        """The cluster's end: the node, the API server, and where node ports are reached."""
        return f"10.246.{self.number}.2"

    @property
    def link(self) -> str:
        """The subnet between host and node."""
        return f"10.246.{self.number}.0/30"

    @property
    def pods(self) -> str:
        """The pods' subnet."""
        return f"10.244.{self.number}.0/24"

    @property
    def services(self) -> str:
        """The services' subnet."""
        return f"10.245.{self.number}.0/24"

    @property
    def api_service(self) -> str:
        """The service `kubernetes.default`: Kubernetes takes the first address of the range."""
        return f"10.245.{self.number}.1"

    @property
    def dns(self) -> str:
        """The service `kube-dns`."""
        return f"10.245.{self.number}.10"

    @property
    def interface(self) -> str:
        """The name of the host's end (15 bytes at most)."""
        return f"llmops{self.number}"

    @property
    def subnets(self) -> tuple[str, str, str]:
        """Everything the host reaches through `interface`."""
        return self.link, self.pods, self.services


@dataclass(frozen=True)
class Route:
    """A directly attached subnet or a route of the host."""

    subnet: str
    interface: str


def host_routes() -> list[Route]:
    """The host's IPv4 routes from every table, default routes left out. Needs iproute2."""
    answer = subprocess.run(["ip", "-4", "-json", "route", "show"], capture_output=True, text=True, check=True)
    entries: list[dict[str, Any]] = json.loads(answer.stdout or "[]")
    return [
        Route(str(entry["dst"]), str(entry.get("dev", "")))
        for entry in entries
        if entry.get("dst") not in (None, "default")
    ]


def conflict(addresses: Addresses, routes: list[Route]) -> Route | None:
    """The first route that overlaps the cluster's subnets and is not the cluster's own."""
    ours = [ipaddress.ip_network(subnet) for subnet in addresses.subnets]
    for route in routes:
        if route.interface == addresses.interface:
            continue
        theirs = ipaddress.ip_network(route.subnet, strict=False)
        if any(subnet.overlaps(theirs) for subnet in ours):
            return route
    return None


def check_free(addresses: Addresses, routes: list[Route], instance: str) -> None:
    """Raises ClusterError when another network of this host already uses one of the subnets."""
    if (route := conflict(addresses, routes)) is not None:
        raise ClusterError(
            f"The subnet {route.subnet} is already in use on this machine (interface {route.interface}), and the "
            f"cluster of instance '{instance}' needs {', '.join(addresses.subnets)}: set LLMOPS_INSTANCE to another "
            "name to get other subnets, or take that interface down."
        )


def allocate(instance: str, routes: list[Route]) -> Addresses:
    """The instance's addresses: 0 for "local", else the lowest number that nobody here or on the host uses.

    The number is kept in the state directory until `release`. Raises ClusterError when all are taken.
    """
    if instance == DEFAULT_INSTANCE:
        return Addresses(0)
    with table(state_root() / "addresses.json") as numbers:
        if instance not in numbers:
            taken = set(numbers.values())
            free = (
                number
                for number in range(1, HIGHEST + 1)
                if number not in taken
                and conflict(Addresses(number), routes) is None
                and all(route.interface != Addresses(number).interface for route in routes)
            )
            try:
                numbers[instance] = next(free)
            except StopIteration:
                raise ClusterError(
                    f"No subnet is left for instance '{instance}': delete instances that are not needed "
                    f"(listed in {state_root() / 'addresses.json'})."
                ) from None
        return Addresses(numbers[instance])


def release(instance: str) -> None:
    """Give the instance's number back."""
    with table(state_root() / "addresses.json") as numbers:
        numbers.pop(instance, None)
