"""The EKS cluster and what it stands on."""

from typing import Annotated, Literal

from pydantic import Field

from stacks.schema.base import Cidr, KubernetesVersion, Model, Name


class GpuNodeGroup(Model):
    """Nodes with GPUs of one kind."""

    name: Name  # what models name as their `pool`
    instance_type: str  # see stacks/machines.py
    capacity: Literal["on-demand", "spot", "reservation"] = "on-demand"
    reservation_id: str | None = None  # the capacity reservation or capacity block, cr-…
    min: int = Field(default=0, ge=0)  # nodes
    max: int = Field(default=4, ge=1)  # nodes
    zones: tuple[str, ...] = ()  # availability zones; none: all of the cluster's
    efa: bool = False  # Elastic Fabric Adapter, for models on several nodes
    placement_group: bool = False  # nodes close to each other; one zone
    disk_gib: int = Field(default=200, ge=50)  # root volume, GiB


class SystemNodes(Model):
    """Nodes without GPUs, for everything that is not a model."""

    instance_type: str = "m7i.xlarge"
    min: int = Field(default=2, ge=1)
    max: int = Field(default=6, ge=1)


class Eks(Model):
    """The EKS cluster and what it stands on."""

    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    account: Annotated[str, Field(pattern=r"^\d{12}$")] | None = None  # refuse to work in any other account
    kubernetes_version: KubernetesVersion = "1.34"
    vpc_cidr: Cidr = "10.32.0.0/16"  # of the new network; /16 to /20
    zones: int = Field(default=3, ge=2, le=3)  # availability zones
    nat: Literal["zone", "single"] = "zone"  # a NAT gateway a zone, or one for all (cheaper; its zone is a risk)
    public_access_cidrs: tuple[
        Cidr, ...
    ] = ()  # who reaches the API server from outside; none: the private network only
    admins: tuple[str, ...] = ()  # ARNs of IAM roles and users that administer the cluster
    system_nodes: SystemNodes = SystemNodes()
    node_groups: tuple[GpuNodeGroup, ...] = Field(min_length=1)
