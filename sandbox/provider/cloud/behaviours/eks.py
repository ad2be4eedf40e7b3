"""EKS: a cluster is a control plane of the sandbox, a node group nodes in it."""

import base64
from collections.abc import Iterator
from typing import Any

from sandbox.provider.cloud import paths, versions
from sandbox.provider.cloud.behaviours import Behaviour, Work
from sandbox.provider.cloud.behaviours.nodes import address, machine, spread, taints
from sandbox.provider.cloud.clusters import Node, control_planes
from sandbox.provider.cloud.store import Object, Store
from sandbox.provider.contract import Failure, ProviderError
from sandbox.provider.values import UNKNOWN, Properties

SUBNET = "aws:ec2/subnet:Subnet"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
EFA = "vpc.amazonaws.com/efa"
EFA_INTERFACES = ("efa", "efa-only")


class Cluster(Behaviour):
    """Starts with its object and goes with it."""

    def check(self, inputs: Properties) -> Iterator[Failure]:
        if fault := versions.fault("eks", inputs.get("version")):
            yield Failure("version", fault)

    def creating(self, work: Work) -> None:
        zones = {
            subnet.properties.get("availabilityZone")
            for subnet in work.store.objects(SUBNET)
            if subnet.id in paths.values(work.properties, "vpcConfig.subnetIds[]")
        }
        if len(zones) < 2:
            raise ProviderError(
                "InvalidParameterException: Subnets specified must be in at least two different AZs "
                f"(there is {', '.join(map(str, sorted(zones, key=str))) or 'none'})."
            )

    def create(self, work: Work) -> None:
        work.properties.setdefault("version", versions.default("eks"))
        self._vpc(work)
        if not work.task.preview:
            work.task.status("starting the pretended cluster's control plane")
        _expose(work, work.identifier)

    def update(self, work: Work, old: Object) -> None:
        before, after = old.properties.get("version"), work.properties.get("version") or old.properties.get("version")
        work.properties["version"] = after
        if fault := versions.step(before, after):
            raise ProviderError(f"InvalidParameterException: Unsupported Kubernetes minor version update: {fault}.")
        self._vpc(work)
        _expose(work, work.identifier)

    def delete(self, work: Work, old: Object) -> str:
        if old.properties.get("deletionProtection"):
            raise ProviderError(
                f"InvalidRequestException: {old.id} has deletion protection: set deletionProtection to false and run "
                "an update first."
            )
        control_planes().delete(old.id)
        # The cluster takes these with it.
        for item in work.store.objects():
            if item.type in TAKEN and item.properties.get("clusterName") == old.id:
                work.store.remove(item.type, item.id)
        return ""

    def _vpc(self, work: Work) -> None:
        """The cluster's VPC is that of its subnets."""
        first = paths.first(work.properties, "vpcConfig.subnetIds[]")
        subnet = work.store.get(SUBNET, str(first))
        if subnet is not None:
            paths.put(work.properties, "vpcConfig.vpcId", subnet.properties.get("vpcId"))
        paths.put(work.properties, "vpcConfig.endpointPublicAccess", True)
        paths.put(work.properties, "vpcConfig.endpointPrivateAccess", False)


TAKEN = frozenset(
    {
        "aws:eks/addon:Addon",
        "aws:eks/accessEntry:AccessEntry",
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
    }
)


class NodeGroup(Behaviour):
    """As many nodes as the group may grow to: its autoscaler is taken as having done its work."""

    def check(self, inputs: Properties) -> Iterator[Failure]:
        sizes: Any = inputs.get("scalingConfig")
        given: list[Any] = [sizes.get(name) if isinstance(sizes, dict) else None for name in SIZES]
        least, wanted, most = given
        if all(isinstance(size, int) for size in given) and not least <= wanted <= most:
            yield Failure("scalingConfig", f"minSize {least} ≤ desiredSize {wanted} ≤ maxSize {most} does not hold.")
        if fault := versions.fault("eks", inputs.get("version")):
            yield Failure("version", fault)

    def creating(self, work: Work) -> None:
        _instance_type(work.properties, work.store)

    def create(self, work: Work) -> None:
        cluster = work.store.get("aws:eks/cluster:Cluster", str(work.properties["clusterName"]))
        if cluster is None:
            return  # in a preview
        work.properties.setdefault("version", cluster.properties.get("version"))
        work.properties.setdefault("releaseVersion", f"{work.properties['version']}.0-20260101")
        if not work.task.preview:
            self._set(work)

    def update(self, work: Work, old: Object) -> None:
        for name in ("version", "releaseVersion"):
            if work.properties.get(name) is None:
                work.properties[name] = old.properties.get(name)
        if fault := versions.step(old.properties.get("version"), work.properties["version"]):
            raise ProviderError(f"InvalidParameterException: {fault}.")
        self._set(work)

    def delete(self, work: Work, old: Object) -> str:
        cluster = str(old.properties["clusterName"])
        if work.store.get("aws:eks/cluster:Cluster", cluster) is not None:
            control_planes().set_nodes(cluster, str(old.properties["nodeGroupName"]), "eks", [])
        return ""

    def _set(self, work: Work) -> None:
        given = work.properties
        cluster, group = str(given["clusterName"]), str(given["nodeGroupName"])
        count = max(int(given["scalingConfig"][name]) for name in ("desiredSize", "maxSize"))
        work.task.status(f"registering {count} pretended nodes")
        control_planes().set_nodes(cluster, group, "eks", nodes(cluster, group, given, work.store, count))


SIZES = ("minSize", "desiredSize", "maxSize")


def nodes(cluster: str, group: str, given: Properties, store: Store, count: int) -> list[Node]:
    """The nodes of a group, with the labels that EKS and the kubelet give them.

    docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html and, for the kubelet's,
    kubernetes.io/docs/reference/labels-annotations-taints.
    """
    type = _instance_type(given, store)
    subnets = [store.get(SUBNET, str(identifier)) for identifier in given.get("subnetIds") or []]
    zones = sorted({str(subnet.properties.get("availabilityZone")) for subnet in subnets if subnet})
    region = zones[0][:-1] if zones else str(given.get("region"))
    efa = _efa(given, store)
    made: list[Node] = []
    for index, zone in spread(count, zones):
        ip = address(cluster, group, index)
        labels = {
            "eks.amazonaws.com/nodegroup": group,
            "eks.amazonaws.com/capacityType": str(given.get("capacityType") or "ON_DEMAND"),
            "node.kubernetes.io/instance-type": type,
            "topology.kubernetes.io/region": region,
            "topology.kubernetes.io/zone": zone,
            **(given.get("labels") or {}),
        }
        made.append(
            Node(
                name=f"ip-{ip.replace('.', '-')}.{region}.compute.internal",
                machine=type,
                labels=labels,
                taints=taints(given.get("taints")),
                devices={EFA: efa} if efa else {},
            )
        )
    return made


class Addon(Behaviour):
    """Needs a version where none is given: the one that EKS would install."""

    def create(self, work: Work) -> None:
        cluster = work.store.get("aws:eks/cluster:Cluster", str(work.properties.get("clusterName")))
        if work.properties.get("addonVersion") is None and cluster is not None:
            name, version = str(work.properties["addonName"]), str(cluster.properties["version"])
            work.properties["addonVersion"] = versions.addon(name, version)

    def update(self, work: Work, old: Object) -> None:
        if work.properties.get("addonVersion") is None:
            work.properties["addonVersion"] = old.properties.get("addonVersion")


def _expose(work: Work, name: str) -> None:
    found = control_planes().create(name, "eks")
    work.properties["endpoint"] = found.server
    work.properties["certificateAuthority"] = {"data": base64.b64encode(found.ca_pem).decode()}


def _template(given: Properties, store: Store) -> Object | None:
    wanted: Any = given.get("launchTemplate") or {}
    for item in store.objects(TEMPLATE):
        if item.id == wanted.get("id") or (wanted.get("name") and item.properties.get("name") == wanted["name"]):
            return item
    return None


def _instance_type(given: Properties, store: Store) -> str:
    own: Any = given.get("instanceTypes") or []
    template = _template(given, store)
    chosen = own[0] if own else template.properties.get("instanceType") if template else None
    if own and template and template.properties.get("instanceType"):
        raise ProviderError(
            "InvalidParameterException: instanceTypes and the launch template's instanceType cannot both be set."
        )
    return machine("eks", chosen or "t3.medium") if chosen is not UNKNOWN else ""


def _efa(given: Properties, store: Store) -> int:
    template = _template(given, store)
    interfaces = list(paths.values(template.properties, "networkInterfaces[].interfaceType")) if template else []
    return sum(kind in EFA_INTERFACES for kind in interfaces)
