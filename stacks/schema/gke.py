"""The GKE cluster and what it stands on."""

from typing import Literal

from pydantic import Field

from stacks.schema.base import Cidr, Model, Name


class GpuNodePool(Model):
    """Nodes with GPUs of one kind."""

    name: Name  # what models name as their `pool`
    machine_type: str  # see stacks/machines.py
    capacity: Literal["on-demand", "spot", "reservation", "flex-start"] = "on-demand"
    reservation: str | None = None  # the reservation's name
    min: int = Field(default=0, ge=0)  # nodes, all zones together
    max: int = Field(default=4, ge=1)  # nodes, all zones together
    zones: tuple[str, ...] = ()  # zones that have the accelerator; none: the region's own choice
    compact_placement: bool = False  # nodes close to each other; one zone
    local_ssd: bool = True  # the machine's own SSDs as scratch space, where it has any
    driver: Literal["latest", "default"] = "latest"  # which GPU driver GKE installs
    disk_gib: int = Field(default=200, ge=50)  # boot disk, GiB


class GkeSystemNodes(Model):
    """Nodes without GPUs, for everything that is not a model."""

    machine_type: str = "e2-standard-4"
    min: int = Field(default=1, ge=1)  # in each zone
    max: int = Field(default=3, ge=1)  # in each zone


class Gke(Model):
    """The GKE cluster and what it stands on."""

    project: str = Field(pattern=r"^[a-z][-a-z0-9]{4,28}[a-z0-9]$")
    region: str = Field(pattern=r"^[a-z]+-[a-z]+\d+$")
    release_channel: Literal["RAPID", "REGULAR", "STABLE"] = "REGULAR"
    nodes_cidr: Cidr = "10.64.0.0/20"
    pods_cidr: Cidr = "10.68.0.0/14"
    services_cidr: Cidr = "10.66.0.0/20"
    control_plane_cidr: Cidr = "172.16.0.0/28"
    authorized_networks: tuple[Cidr, ...] = ()  # who reaches the API server from outside; none: only the network itself
    system_nodes: GkeSystemNodes = GkeSystemNodes()
    node_pools: tuple[GpuNodePool, ...] = Field(min_length=1)
