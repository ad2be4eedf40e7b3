"""The EKS cluster and what it stands on."""

import difflib
import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stacks.eks_versions import EKS_VERSIONS
from stacks.machines import AWS
from stacks.schema.base import Cidr, KubernetesVersion, Model, Name

# The smallest network whose address range a platform may open its API server to; 0.0.0.0/0 and its two halves are not.
WIDEST_PUBLIC = 8
SHARED = ipaddress.IPv4Network("100.64.0.0/10")
PRIVATE = [*map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")), SHARED]


def _instance_type(value: str) -> str:
    if value not in AWS:
        near = difflib.get_close_matches(value, AWS, n=3, cutoff=0.4) or list(AWS)[:3]
        raise ValueError(
            f"{value!r} is not in stacks/machines.py; near are {', '.join(near)} (add a machine's row to use another)"
        )
    return value


def _kubernetes_version(value: str) -> str:
    if value not in EKS_VERSIONS:
        raise ValueError(f"{value!r} has no add-on versions; stacks/eks_versions.py has {', '.join(EKS_VERSIONS)}")
    return value


def _public(value: str) -> str:
    if ipaddress.ip_network(value).prefixlen < WIDEST_PUBLIC:
        raise ValueError(
            f"{value!r} opens the API server to everybody; name the networks of your offices, VPN and CI runners, "
            "or leave it out for the private network only"
        )
    return value


def _arn(value: str) -> str:
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/[\w+=,.@/-]+", value):
        raise ValueError(f"{value!r} is no IAM role or user; write it as arn:aws:iam::123456789012:role/platform")
    return value


def _private(key: str, cidr: str, largest: int, smallest: int) -> ipaddress.IPv4Network:
    network = ipaddress.ip_network(cidr)
    if not isinstance(network, ipaddress.IPv4Network) or not largest <= network.prefixlen <= smallest:
        raise ValueError(f"{key}: {network} has to be IPv4 and from /{largest} to /{smallest}")
    if not any(network.subnet_of(private) for private in PRIVATE):
        raise ValueError(f"{key}: {network} is not private; use a range of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    return network


InstanceType = Annotated[str, AfterValidator(_instance_type)]
PublicCidr = Annotated[Cidr, AfterValidator(_public)]
PrincipalArn = Annotated[str, AfterValidator(_arn)]


class GpuNodeGroup(Model):
    """Nodes with GPUs of one kind."""

    name: Name  # what models name as their `pool`
    instance_type: InstanceType  # see stacks/machines.py
    # `reservation`: an on-demand capacity reservation of yours. `capacity-block`: a Capacity Block for ML.
    capacity: Literal["on-demand", "spot", "reservation", "capacity-block"] = "on-demand"
    # the capacity reservation or capacity block, cr-…
    reservation_id: Annotated[str, Field(pattern=r"^cr-[0-9a-f]{8,17}$")] | None = None
    min: int = Field(default=0, ge=0)  # nodes
    max: int = Field(default=4, ge=1, le=450)  # nodes; EKS takes 450 at most in one group
    zones: tuple[str, ...] = ()  # availability zones; none: all of the cluster's
    efa: bool = False  # Elastic Fabric Adapter, for models on several nodes
    placement_group: bool = False  # nodes close to each other; one zone
    disk_gib: int = Field(default=200, ge=50, le=16384)  # root volume, GiB

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        machine = AWS[self.instance_type]
        if machine.gpu is None:
            raise ValueError(
                f"instanceType {self.instance_type} has no GPU; use systemNodes for it, or name a machine with one"
            )
        if self.max < self.min:
            raise ValueError(f"max {self.max} is below min {self.min}; raise it, or lower min")
        reserved = self.capacity in ("reservation", "capacity-block")
        if reserved and self.reservation_id is None:
            raise ValueError(f"capacity {self.capacity!r} needs reservationId, the cr-… of your reservation")
        if self.reservation_id and not reserved:
            raise ValueError(
                f"reservationId goes with capacity 'reservation' or 'capacity-block', not {self.capacity!r}; remove it"
            )
        if reserved and len(self.zones) != 1:
            raise ValueError(
                f"capacity {self.capacity!r} lies in one zone; name that one in zones, which has {len(self.zones)}"
            )
        if self.efa and not machine.efa:
            having = [m.name for m in AWS.values() if m.efa and m.gpu]
            raise ValueError(
                f"instanceType {self.instance_type} has no Elastic Fabric Adapter; "
                f"leave efa out, or use one of {', '.join(having)}"
            )
        if self.placement_group and len(self.zones) != 1:
            raise ValueError(
                f"placementGroup keeps nodes close in one zone; name one in zones, which has {len(self.zones)}"
            )
        return self


class SystemNodes(Model):
    """Nodes without GPUs, for everything that is not a model."""

    instance_type: InstanceType = "m7i.xlarge"
    min: int = Field(default=2, ge=1)
    max: int = Field(default=6, ge=1, le=450)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if AWS[self.instance_type].gpu is not None:
            raise ValueError(f"instanceType {self.instance_type} has GPUs, which stay idle here; use one without")
        if self.max < self.min:
            raise ValueError(f"max {self.max} is below min {self.min}; raise it, or lower min")
        return self


class Eks(Model):
    """The EKS cluster and what it stands on."""

    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    account: Annotated[str, Field(pattern=r"^\d{12}$")] | None = None  # refuse to work in any other account
    # a version that stacks/eks_versions.py has add-ons for
    kubernetes_version: Annotated[KubernetesVersion, AfterValidator(_kubernetes_version)] = "1.34"
    vpc_cidr: Cidr = "10.32.0.0/16"  # of the new network; /16 to /20
    service_cidr: Cidr = "172.20.0.0/16"  # of Kubernetes' Services; outside vpcCidr, /12 to /24
    zones: tuple[str, ...] = ()  # two or three availability zones; none: the region's a, b and c
    nat: Literal["zone", "single"] = "zone"  # a NAT gateway a zone, or one for all (cheaper; its zone is a risk)
    # Who reaches the API server from outside; none: the private network only, so that Pulumi has to run inside it.
    public_access_cidrs: tuple[PublicCidr, ...] = ()
    admins: tuple[PrincipalArn, ...] = ()  # ARNs of IAM roles and users that administer the cluster
    log_retention_days: Literal[7, 14, 30, 60, 90, 180, 365] = 30  # of flow logs and the control plane's logs
    tags: dict[str, str] = Field(default_factory=dict)  # on everything, e.g. a cost centre
    system_nodes: SystemNodes = SystemNodes()
    node_groups: tuple[GpuNodeGroup, ...] = Field(min_length=1)

    @property
    def zone_names(self) -> tuple[str, ...]:
        """The availability zones of the network."""
        return self.zones or tuple(f"{self.region}{letter}" for letter in "abc")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_networks()
        self._check_zones()
        names = [group.name for group in self.node_groups]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"nodeGroups: {name!r} stands there more than once; names must differ")
        if "system" in names:
            raise ValueError("nodeGroups: 'system' is the group of systemNodes; give the GPU group another name")
        return self

    def _check_networks(self) -> None:
        # AWS takes no VPC above /16; below /20 three zones' pods run out of addresses.
        vpc = _private("vpcCidr", self.vpc_cidr, 16, 20)
        services = _private("serviceCidr", self.service_cidr, 12, 24)
        if services.subnet_of(SHARED):
            raise ValueError(f"serviceCidr: {services} is not one that EKS takes; use 172.20.0.0/16 or 10.100.0.0/16")
        if vpc.overlaps(services):
            raise ValueError(f"serviceCidr: {services} overlaps vpcCidr {vpc}; choose two that do not")

    def _check_zones(self) -> None:
        if self.zones and not 2 <= len(set(self.zones)) == len(self.zones) <= 3:
            raise ValueError(f"zones: {', '.join(self.zones)} has to be two or three different zones")
        for zone in self.zones:
            if not re.fullmatch(rf"{self.region}[a-z]", zone):
                raise ValueError(f"zones: {zone!r} is no zone of {self.region}; write it as {self.region}a")
        for group in self.node_groups:
            for zone in group.zones:
                if zone not in self.zone_names:
                    raise ValueError(
                        f"nodeGroups: {group.name!r} names zone {zone!r}, which the network does not have; "
                        f"zones has {', '.join(self.zone_names)}"
                    )
