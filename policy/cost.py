"""What a stack costs a month and how many GPUs it may take, from its resources and the list prices.

In: nodes by machine type (at their smallest and their largest number), their disks, control planes, NAT gateways,
interface endpoints, public addresses, load balancers, Filestore, keys. Not in: traffic, stored bytes, logs, requests,
what a load balancer carries, discounts. Spot nodes are reckoned at the price on demand: an upper bound.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policy.pods import GPU, containers, specifications
from policy.prices import HOURS, Prices, load
from policy.resource import Resource, at, maps, words
from stacks.machines import AWS, GCP, Machine


@dataclass(frozen=True, kw_only=True)
class Cost:
    """USD a month: at the smallest and at the largest size. `unpriced` names what the file has no price for."""

    low: float = 0.0
    high: float = 0.0
    unpriced: tuple[str, ...] = ()

    def __add__(self, other: "Cost") -> "Cost":
        names = tuple(dict.fromkeys((*self.unpriced, *other.unpriced)))
        return Cost(low=self.low + other.low, high=self.high + other.high, unpriced=names)


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """A group of equal nodes."""

    machine: str
    low: int
    high: int
    disk_gib: int

    def gpus(self, table: dict[str, Machine]) -> int:
        """The GPUs of the group at its largest."""
        return self.high * (table[self.machine].gpus if self.machine in table else 0)


def _number(value: Any, default: int = 0) -> int:
    return int(value) if isinstance(value, int | float | str) and str(value).replace(".", "", 1).isdigit() else default


def nodes(resource: Resource, known: Mapping[str, Resource] | None = None) -> Nodes | None:
    """The nodes that a resource makes; None for everything that makes none. `known`: the stack's resources by URN."""
    if resource.type == "aws:eks/nodeGroup:NodeGroup":
        return _node_group(resource, known or {})
    return _node_pool(resource) if resource.type == "gcp:container/nodePool:NodePool" else None


def _node_group(group: Resource, known: Mapping[str, Resource]) -> Nodes:
    """EKS: the machine and its disk stand in the group or in its launch template."""
    props = group.props
    template = next((known[u].props for u in group.sources.get("launchTemplate", ()) if u in known), {})
    types = [*words(props.get("instanceTypes")), *words(template.get("instanceType"))]
    disks = [_number(at(device, "ebs.volumeSize")) for device in maps(template.get("blockDeviceMappings"))]
    low = _number(at(props, "scalingConfig.minSize"))
    return Nodes(
        machine=types[0] if types else "unknown",
        low=low,
        high=max(_number(at(props, "scalingConfig.maxSize")), low),
        disk_gib=sum(disks) or _number(props.get("diskSize")),
    )


def _node_pool(pool: Resource) -> Nodes:
    """GKE: sizes without "total" hold for each zone, and a region without named zones has three."""
    props = pool.props
    zones = len(words(props.get("nodeLocations"))) or (3 if str(props.get("location", "")).count("-") == 1 else 1)

    def size(total: str, each: str) -> int:
        whole = _number(at(props, f"autoscaling.{total}"), -1)
        return whole if whole >= 0 else zones * _number(at(props, f"autoscaling.{each}") or props.get("nodeCount"))

    low = size("totalMinNodeCount", "minNodeCount")
    machine = at(props, "nodeConfig.machineType")
    disk = at(props, "nodeConfig.diskSizeGb") or at(props, "nodeConfig.bootDisk.sizeGb")
    return Nodes(
        machine=machine if isinstance(machine, str) else "unknown",
        low=low,
        high=max(size("totalMaxNodeCount", "maxNodeCount"), low),
        disk_gib=_number(disk),
    )


def _aws(resource: Resource, prices: Prices) -> Cost | None:
    match resource.type:
        case "aws:eks/cluster:Cluster":
            return _hourly(prices, "eksCluster")
        case "aws:ec2/natGateway:NatGateway":
            return _hourly(prices, "natGateway")
        case "aws:ec2/eip:Eip":
            return _hourly(prices, "publicAddress")
        case "aws:ec2/vpcEndpoint:VpcEndpoint":
            if resource.props.get("vpcEndpointType") != "Interface":
                return Cost()  # gateway endpoints are free
            subnets = resource.props.get("subnetIds")
            return _hourly(prices, "interfaceEndpoint", len(subnets) if isinstance(subnets, list) else 1)
        case "aws:kms/key:Key":
            return _monthly(prices, "key")
        case _:
            return None


def _gcp(resource: Resource, prices: Prices) -> Cost | None:
    match resource.type:
        case "gcp:container/cluster:Cluster":
            return _hourly(prices, "gkeCluster")
        case "gcp:compute/routerNat:RouterNat":
            return _hourly(prices, "natGateway")
        case "gcp:compute/address:Address" | "gcp:compute/globalAddress:GlobalAddress":
            # Ranges for private services are free.
            return Cost() if resource.props.get("purpose") else _hourly(prices, "publicAddress")
        case "gcp:filestore/instance:Instance":
            shares = maps(resource.props.get("fileShares"))
            gib = sum(_number(share.get("capacityGb")) for share in shares)
            return _monthly(prices, f"filestore{str(resource.props.get('tier', '')).title().replace('_', '')}Gib", gib)
        case "gcp:kms/cryptoKey:CryptoKey":
            return _monthly(prices, "key")
        case _:
            return None


def _hourly(prices: Prices, item: str, count: float = 1) -> Cost:
    return _monthly(prices, item, count * HOURS)


def _monthly(prices: Prices, item: str, count: float = 1) -> Cost:
    if item not in prices.items:
        return Cost(unpriced=(item,))
    return Cost(low=prices.items[item] * count, high=prices.items[item] * count)


CLOUDS: dict[str, Callable[[Resource, Prices], Cost | None]] = {"aws": _aws, "gcp": _gcp}


def of(resource: Resource, cloud: str = "", known: Mapping[str, Resource] | None = None) -> Cost:
    """What one resource costs. `cloud`: the stack's, for what Kubernetes asks of its cloud; `known`: as in `nodes`."""
    prices, own = load(), resource.type.partition(":")[0]
    if own == "kubernetes":
        if resource.type == "kubernetes:core/v1:Service" and at(resource.props, "spec.type") == "LoadBalancer":
            return _hourly(prices[cloud], "loadBalancer") if cloud in prices else Cost()
        return Cost()
    if own not in CLOUDS:
        return Cost()
    group = nodes(resource, known)
    if group is None:
        return CLOUDS[own](resource, prices[own]) or Cost()
    price = prices[own].machines.get(group.machine)
    if price is None:
        return Cost(unpriced=(group.machine,))
    each = price * HOURS + prices[own].items["diskGib"] * group.disk_gib
    return Cost(low=group.low * each, high=group.high * each)


def cloud_of(resources: Sequence[Resource]) -> str:
    """The cloud that a stack's cluster is in; empty where it is in none."""
    kinds = {resource.type for resource in resources}
    if "aws:eks/cluster:Cluster" in kinds:
        return "aws"
    return "gcp" if "gcp:container/cluster:Cluster" in kinds else ""


def total(resources: Sequence[Resource]) -> Cost:
    """What all of them cost together."""
    cloud, known = cloud_of(resources), {resource.urn: resource for resource in resources}
    return sum((of(resource, cloud, known) for resource in resources), Cost())


def gpus(resources: Sequence[Resource]) -> int:
    """The GPUs of all node groups at their largest; without node groups, the GPUs that pods ask for."""
    known = {resource.urn: resource for resource in resources}
    groups = [group for resource in resources if (group := nodes(resource, known)) is not None]
    if groups:
        return sum(group.gpus(AWS | GCP) for group in groups)
    return sum(_taken(resource) for resource in resources)


def _taken(resource: Resource) -> int:
    """The GPUs that the pods of one workload ask for."""
    per_pod = [sum(map(_limited, containers(pod))) for pod in specifications(resource)]
    if not per_pod:
        return 0
    replicas = _number(at(resource.props, "spec.replicas"), 1)
    if "LeaderWorkerSet" not in resource.type:
        return replicas * per_pod[0]
    # A group is one leader and `size - 1` workers; without a template of its own the leader is a worker.
    size = _number(at(resource.props, "spec.leaderWorkerTemplate.size"), 1)
    return replicas * (per_pod[0] + (size - 1) * per_pod[-1])


def _limited(container: Any) -> int:
    limits = at(container, "resources.limits")
    return sum(_number(v) for k, v in limits.items() if GPU.fullmatch(str(k))) if isinstance(limits, dict) else 0
