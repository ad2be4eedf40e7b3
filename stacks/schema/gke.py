"""The GKE cluster and what it stands on."""

import difflib
import ipaddress
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field

from stacks.machines import GCP
from stacks.schema.base import Cidr, KubernetesVersion, Model, Name

# https://cloud.google.com/kubernetes-engine/docs/how-to/flexible-pod-cidr: 110 pods a node, a /24 of addresses each.
ADDRESSES_PER_NODE = 256
# https://cloud.google.com/vpc/docs/subnets: four addresses of a primary range are Google's.
RESERVED_ADDRESSES = 4
# A regional cluster's nodes, and its system pool, stand in three zones.
ZONES = 3
# https://cloud.google.com/filestore/docs/service-tiers: the smallest share of each tier, GiB.
FILESTORE_LEAST = {"BASIC_SSD": 2560, "ZONAL": 1024, "REGIONAL": 1024}
# GKE's names of node pools have 39 letters at most; "gke-pool-<name>-1a2b3c4" has to fit.
LONGEST_POOL = 22
# What is as good as everybody: a network of more than 2^24 addresses.
WIDEST_AUTHORIZED = 8
KMS_KEY = re.compile(r"projects/[^/]+/locations/(?P<location>[^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")


class GpuNodePool(Model):
    """Nodes with GPUs of one kind."""

    name: Name  # what models name as their `pool`
    machine_type: str  # see stacks/machines.py
    # `flex-start`: capacity on request, when Google has some, for seven days at most: for tests and batches.
    capacity: Literal["on-demand", "spot", "reservation", "flex-start"] = "on-demand"
    reservation: str | None = None  # the reservation's name; of another project: projects/<project>/reservations/<name>
    min: int = Field(default=0, ge=0)  # nodes, all zones together
    max: int = Field(default=4, ge=1)  # nodes, all zones together
    zones: tuple[str, ...] = ()  # zones that have the accelerator; none: the cluster's own three
    compact_placement: bool = False  # nodes close to each other; one zone
    local_ssd: bool = True  # the machine's own SSDs as scratch space, where it has any
    driver: Literal["latest", "default"] = "latest"  # which GPU driver GKE installs
    disk_gib: int = Field(default=200, ge=50)  # boot disk, GiB

    def mistakes(self, region: str) -> Iterator[str]:
        """What contradicts itself, each as `key: sentence`."""
        machine = GCP.get(self.machine_type)
        if machine is None:
            yield f"machineType: {_unknown(self.machine_type, gpu=True)}"
        elif machine.gpu is None:
            yield f"machineType: {self.machine_type!r} has no GPU; take one of {_some(gpu=True)}, or use systemNodes"
        if self.min > self.max:
            yield f"min: {self.min} is above max, which is {self.max}; lower one or raise the other"
        for zone in self.zones:
            if not re.fullmatch(re.escape(region) + "-[a-z]", zone):
                yield f"zones: {zone!r} is not a zone of the region {region!r}; write one like {region}-a"
        if self.compact_placement and len(self.zones) != 1:
            yield f"compactPlacement: needs exactly one zone, and zones has {len(self.zones)}; name the zone"
        if self.capacity == "reservation":
            if not self.reservation:
                yield "reservation: is missing; capacity is 'reservation', so name the reservation"
            if len(self.zones) != 1:
                yield f"zones: a reservation lies in one zone, and zones has {len(self.zones)}; name the zone"
        elif self.reservation:
            yield (
                f"reservation: {self.reservation!r} would not be used, because capacity is {self.capacity!r}; "
                "set capacity to 'reservation', or leave it out"
            )
        if self.capacity == "flex-start":
            if self.min:
                yield f"min: {self.min} nodes cannot wait, because flex-start nodes come with a request; set it to 0"
            if self.compact_placement:
                yield "compactPlacement: flex-start nodes come wherever there are some; leave one of the two out"


class GkeSystemNodes(Model):
    """Nodes without GPUs, for everything that is not a model."""

    machine_type: str = "e2-standard-4"
    min: int = Field(default=1, ge=1)  # in each zone
    max: int = Field(default=3, ge=1)  # in each zone

    def mistakes(self) -> Iterator[str]:
        """What contradicts itself, each as `key: sentence`."""
        machine = GCP.get(self.machine_type)
        if machine is None:
            yield f"machineType: {_unknown(self.machine_type, gpu=False)}"
        elif machine.gpu is not None:
            yield f"machineType: {self.machine_type!r} has GPUs, which idle here; take one of {_some(gpu=False)}"
        if self.min > self.max:
            yield f"min: {self.min} is above max, which is {self.max}; lower one or raise the other"


class Maintenance(Model):
    """When Google may upgrade the control plane and the nodes."""

    days: tuple[Literal["MO", "TU", "WE", "TH", "FR", "SA", "SU"], ...] = Field(default=("SA", "SU"), min_length=1)
    start: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "02:00"  # UTC
    hours: int = Field(default=6, ge=4, le=24)

    def mistakes(self) -> Iterator[str]:
        """What contradicts itself, each as `key: sentence`."""
        # https://cloud.google.com/kubernetes-engine/docs/concepts/maintenance-windows-and-exclusions: at least 48
        # hours in 32 days; four whole weeks are what such a span always holds.
        available = self.hours * len(set(self.days)) * 4
        if available < 48:
            yield (
                f"hours: {self.hours} on {len(set(self.days))} day(s) a week make {available} hours in four weeks, "
                "and GKE wants 48; add hours or days"
            )


class Filestore(Model):
    """The share that `storage.kind: filestore` makes."""

    tier: Literal["BASIC_SSD", "ZONAL", "REGIONAL"] = "ZONAL"  # REGIONAL survives the loss of a zone
    capacity_gib: int = Field(default=1024, ge=1024)
    zone: str | None = None  # of the BASIC_SSD and ZONAL tiers; none: the region's zone `a`

    def mistakes(self, region: str) -> Iterator[str]:
        """What contradicts itself, each as `key: sentence`."""
        least = FILESTORE_LEAST[self.tier]
        if self.capacity_gib < least:
            yield f"capacityGib: {self.capacity_gib} is below {least}, the least that tier {self.tier} has; raise it"
        if self.zone and self.tier == "REGIONAL":
            yield f"zone: {self.zone!r} has no meaning for a REGIONAL share; leave it out"
        elif self.zone and not re.fullmatch(re.escape(region) + "-[a-z]", self.zone):
            yield f"zone: {self.zone!r} is not a zone of the region {region!r}; write one like {region}-a"


class Gke(Model):
    """The GKE cluster and what it stands on."""

    project: str = Field(pattern=r"^[a-z][-a-z0-9]{4,28}[a-z0-9]$")
    region: str = Field(pattern=r"^[a-z]+-[a-z]+\d+$")
    release_channel: Literal["RAPID", "REGULAR", "STABLE"] = "REGULAR"
    min_version: KubernetesVersion | None = None  # the oldest control plane; none: the release channel's default
    maintenance: Maintenance = Maintenance()
    nodes_cidr: Cidr = "10.64.0.0/20"
    pods_cidr: Cidr = "10.68.0.0/14"  # a /24 of it goes to every node
    services_cidr: Cidr = "10.66.0.0/20"
    control_plane_cidr: Cidr = "172.16.0.0/28"  # exactly a /28
    authorized_networks: tuple[Cidr, ...] = ()  # who reaches the API server from outside; none: only the network itself
    # The API server's own name on Google's front end, open to whoever IAM lets in: how CI reaches a private cluster.
    dns_endpoint: bool = False
    deletion_protection: bool = True  # no destroy before this is taken back; an ephemeral stack has none
    kms_key: str | None = None  # the Cloud KMS key for Kubernetes' secrets, disks and the model store, in this region
    system_nodes: GkeSystemNodes = GkeSystemNodes()
    node_pools: tuple[GpuNodePool, ...] = Field(min_length=1)
    noncurrent_days: int = Field(default=30, ge=1)  # gcs: how long a replaced or deleted object is kept
    filestore: Filestore = Filestore()

    def mistakes(self) -> Iterator[str]:
        """What contradicts itself, each as `key: sentence`, the key from here on."""
        yield from self._networks()
        for network in self.authorized_networks:
            if ipaddress.ip_network(network).version == 6 or int(network.rpartition("/")[2]) < WIDEST_AUTHORIZED:
                yield (
                    f"authorizedNetworks: {network!r} would open the API server to everybody or is no IPv4 network; "
                    "name the networks that need it, or set dnsEndpoint"
                )
        for i, pool in enumerate(self.node_pools):
            if pool.name == "system":
                yield f"nodePools[{i}].name: 'system' is the pool of systemNodes; give the GPU pool another name"
            if len(pool.name) > LONGEST_POOL:
                yield (
                    f"nodePools[{i}].name: {pool.name!r} has {len(pool.name)} letters; take at most {LONGEST_POOL}, "
                    "because GKE takes 39 and 'gke-pool-' and Pulumi's own eight go around it"
                )
            yield from (f"nodePools[{i}].{mistake}" for mistake in pool.mistakes(self.region))
        yield from (f"systemNodes.{mistake}" for mistake in self.system_nodes.mistakes())
        yield from (f"maintenance.{mistake}" for mistake in self.maintenance.mistakes())
        yield from (f"filestore.{mistake}" for mistake in self.filestore.mistakes(self.region))
        if self.kms_key is not None:
            match = KMS_KEY.fullmatch(self.kms_key)
            if not match:
                yield (
                    f"kmsKey: {self.kms_key!r} is not a key; write it as "
                    f"projects/<project>/locations/{self.region}/keyRings/<ring>/cryptoKeys/<key>"
                )
            elif match["location"] != self.region:
                yield f"kmsKey: lies in {match['location']!r}; GKE needs a key in its own region, {self.region!r}"

    def _networks(self) -> Iterator[str]:
        ranges = {
            "nodesCidr": self.nodes_cidr,
            "podsCidr": self.pods_cidr,
            "servicesCidr": self.services_cidr,
            "controlPlaneCidr": self.control_plane_cidr,
        }
        for key, text in ranges.items():
            if ipaddress.ip_network(text).version == 6:
                yield f"{key}: {text!r} is an IPv6 network; give an IPv4 one"
                return
        networks = {key: ipaddress.IPv4Network(text) for key, text in ranges.items()}
        for (key, one), (other_key, other) in combinations(networks.items(), 2):
            if one.overlaps(other):
                yield f"{key}: {one} overlaps {other_key}, which is {other}; move one of them"
        if networks["controlPlaneCidr"].prefixlen != 28:
            yield f"controlPlaneCidr: {self.control_plane_cidr} is not a /28, and GKE takes no other size"
        services = networks["servicesCidr"].prefixlen
        if not 16 <= services <= 27:
            yield f"servicesCidr: {self.services_cidr} is a /{services}; GKE takes a /16 to a /27"
        # An upgrade of the system pool brings one node more.
        nodes = self.system_nodes.max * ZONES + 1 + sum(pool.max for pool in self.node_pools)
        room = networks["nodesCidr"].num_addresses - RESERVED_ADDRESSES
        if room < nodes:
            yield (
                f"nodesCidr: {self.nodes_cidr} has room for {max(room, 0)} nodes, and the pools may grow to {nodes}; "
                "widen it, or lower their max"
            )
        room = networks["podsCidr"].num_addresses // ADDRESSES_PER_NODE
        if room < nodes:
            yield (
                f"podsCidr: {self.pods_cidr} has room for {room} nodes, a /24 each, and the pools may grow to {nodes}; "
                "widen it, or lower their max"
            )


def _some(*, gpu: bool) -> str:
    return ", ".join(name for name, machine in GCP.items() if (machine.gpu is not None) is gpu)


def _unknown(machine_type: str, *, gpu: bool) -> str:
    names = [name for name, machine in GCP.items() if (machine.gpu is not None) is gpu]
    near = difflib.get_close_matches(machine_type, names, n=3, cutoff=0.5)
    return f"{machine_type!r} is not known; {'did you mean' if near else 'take one of'} {', '.join(near or names)}" + (
        "? stacks/machines.py has all of them" if near else " (stacks/machines.py)"
    )
