"""The nodes of an EKS cluster: one managed node group for the platform, any number of them with GPUs.

Managed node groups, not instances that a controller in the cluster makes: whatever is destroyed takes its machines
with it (docs/adr/0007).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi_aws.eks.outputs import NodeGroupResource

from components.aws_roles import ServiceRole, ServiceRoleArgs
from components.aws_scope import AwsScope
from components.cluster import Pool
from components.eks_node_template import POOL_LABEL, SYSTEM, NodeGroup, launch_template

GPU_TAINT = "nvidia.com/gpu"
CAPACITY_TYPES = {
    "on-demand": "ON_DEMAND",
    "reservation": "ON_DEMAND",
    "spot": "SPOT",
    "capacity-block": "CAPACITY_BLOCK",
}
# A p5 needs ten minutes to boot and join; EKS tries for longer where capacity is short.
PATIENCE = pulumi.CustomTimeouts(create="45m", update="120m", delete="45m")


def pool(group: NodeGroup) -> Pool:
    """How pods get onto the nodes of a group."""
    return Pool(
        node_selector={POOL_LABEL: group.name},
        tolerations=(({"key": GPU_TAINT, "operator": "Exists", "effect": "NoSchedule"},) if group.gpus else ()),
        gpus=group.gpus,
        fabric={"vpc.amazonaws.com/efa": group.efa} if group.efa else {},
    )


def group_name(group: NodeGroup) -> str:
    """The node group's name. What EKS cannot change in place is part of it.

    So a group that has to be replaced gets a new name: the new one is made first, and pods move before the old goes.
    """
    fixed = "\0".join((group.capacity, *sorted(group.zones)))
    return f"{group.name}-{hashlib.sha256(fixed.encode()).hexdigest()[:6]}"


def scaling_tags(group: NodeGroup) -> dict[str, str]:
    """What cluster-autoscaler has to know of a group that has no node to look at.

    EKS puts the tags on it by which the autoscaler finds it.
    github.com/kubernetes/autoscaler, cluster-autoscaler/cloudprovider/aws/README.md, "Auto-Discovery Setup"
    """
    template = "k8s.io/cluster-autoscaler/node-template"
    tags = {f"{template}/label/{key}": value for key, value in group.labels.items()}
    tags[f"{template}/taint/{GPU_TAINT}"] = "true:NoSchedule"
    tags[f"{template}/resources/nvidia.com/gpu"] = str(group.gpus)
    disks = f"{group.local_ssds * group.local_ssd_gb}G" if group.local_ssds else f"{group.disk_gib}Gi"
    tags[f"{template}/resources/ephemeral-storage"] = disks
    if group.efa:
        tags[f"{template}/resources/vpc.amazonaws.com/efa"] = str(group.efa)
    return tags


@dataclass(frozen=True, kw_only=True)
class EksNodesArgs:
    """`subnets`: zone → id. `after`: the control plane, routes, and the add-ons without which no node is Ready."""

    scope: AwsScope
    cluster_name: str
    kubernetes_version: str
    vpc_id: pulumi.Input[str]
    cluster_security_group: pulumi.Input[str]
    subnets: dict[str, pulumi.Output[str]]
    system: NodeGroup
    gpu: tuple[NodeGroup, ...]
    after: tuple[pulumi.Resource, ...]


class EksNodes(pulumi.ComponentResource):
    """All node groups. `ready` is what pods wait for."""

    system: Pool
    pools: dict[str, Pool]
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: EksNodesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:EksNodes", name, {}, opts)
        self._name, self._args = name, args
        # The CNI has a role of its own (components/eks_addons.py), so nodes may only join and pull images.
        self._role = ServiceRole(
            name,
            ServiceRoleArgs(
                scope=args.scope,
                part="nodes",
                service="ec2.amazonaws.com",
                managed=("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._fabric = self._fabric_group() if any(group.efa for group in args.gpu) else None
        self.ready = tuple(self._group(group) for group in (args.system, *args.gpu))
        self.system = pool(args.system)
        self.pools = {group.name: pool(group) for group in args.gpu}
        self.register_outputs({})

    def _fabric_group(self) -> aws.ec2.SecurityGroup:
        """EFA wants a group that allows everything from and to itself, named in both directions."""
        return aws.ec2.SecurityGroup(
            f"{self._name}-fabric",
            name=self._args.scope.naming.of("aws:security-group", "fabric"),
            description="Elastic Fabric Adapter between GPU nodes",
            vpc_id=self._args.vpc_id,
            ingress=[{"protocol": "-1", "from_port": 0, "to_port": 0, "self": True, "description": "the other nodes"}],
            egress=[{"protocol": "-1", "from_port": 0, "to_port": 0, "self": True, "description": "the other nodes"}],
            tags={"Name": self._args.scope.naming.of("aws:security-group", "fabric")},
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _group(self, group: NodeGroup) -> aws.eks.NodeGroup:
        args, name = self._args, f"{self._name}-{group.name}"
        child = pulumi.ResourceOptions(parent=self)
        placement = (
            aws.ec2.PlacementGroup(
                f"{name}-placement",
                name=args.scope.naming.of("aws:placement-group", group.name),
                strategy="cluster",
                opts=child,
            )
            if group.placement_group
            else None
        )
        template = launch_template(
            f"{name}-template",
            group,
            args.scope,
            cluster_security_group=args.cluster_security_group,
            fabric_security_group=self._fabric.id if self._fabric is not None and group.efa else None,
            placement_group=placement.name if placement is not None else None,
            opts=child,
        )
        made = aws.eks.NodeGroup(
            name,
            cluster_name=args.cluster_name,
            node_group_name=group_name(group),
            node_role_arn=self._role.role.arn,
            subnet_ids=[args.subnets[zone] for zone in group.zones],
            version=args.kubernetes_version,
            ami_type="AL2023_x86_64_NVIDIA" if group.gpus else "AL2023_x86_64_STANDARD",
            capacity_type=CAPACITY_TYPES[group.capacity],
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config={"min_size": group.min, "max_size": group.max, "desired_size": group.min},
            # A node at a time; a reservation has no machine to spare for more.
            update_config={"max_unavailable": 1},
            node_repair_config={"enabled": True},
            labels=group.labels,
            taints=[{"key": GPU_TAINT, "value": "true", "effect": "NO_SCHEDULE"}] if group.gpus else None,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*self._role.ready, *args.after],
                ignore_changes=["scalingConfig.desiredSize"],  # the autoscaler's
                custom_timeouts=PATIENCE,
            ),
        )
        if group.name != SYSTEM:
            scaling_group = made.resources.apply(_scaling_group)
            for key, value in scaling_tags(group).items():
                aws.autoscaling.Tag(
                    f"{name}-{key.removeprefix('k8s.io/cluster-autoscaler/node-template/')}",
                    autoscaling_group_name=scaling_group,
                    tag={"key": key, "value": value, "propagate_at_launch": False},
                    opts=child,
                )
        return made


def _scaling_group(resources: Sequence[NodeGroupResource]) -> str:
    """The name of the scaling group that EKS made for a node group."""
    groups = resources[0].autoscaling_groups
    return str(groups[0].name) if groups else ""
