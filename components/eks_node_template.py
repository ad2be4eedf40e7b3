"""How a node of EKS starts: its launch template, from one description of the group."""

import base64
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.aws_scope import AwsScope

POOL_LABEL, EFA_LABEL = "llmops.dev/pool", "llmops.dev/efa"
SYSTEM = "system"
Capacity = Literal["on-demand", "spot", "reservation", "capacity-block"]

# nodeadm (AL2023) reads this at boot and merges it into what EKS itself gives: container images, logs and emptyDir
# volumes, and so the copied models, lie on the machine's own NVMe disks as one RAID 0 instead of on the root volume.
# awslabs.github.io/amazon-eks-ami/nodeadm/doc/api
NODE_CONFIG = """\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="LLMOPS"

--LLMOPS
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  instance:
    localStorage:
      strategy: RAID0

--LLMOPS--
"""


@dataclass(frozen=True, kw_only=True)
class NodeGroup:
    """Nodes of one kind. `gpus`, `local_ssds` and `efa` are of one node; `accelerator` is the GPU's name."""

    name: str
    instance_type: str
    capacity: Capacity = "on-demand"
    reservation_id: str | None = None
    min: int
    max: int
    zones: tuple[str, ...]
    disk_gib: int
    gpus: int = 0
    accelerator: str = ""
    local_ssds: int = 0
    local_ssd_gb: int = 0  # of one of them
    efa: int = 0
    placement_group: bool = False

    @property
    def labels(self) -> dict[str, str]:
        """The nodes' labels."""
        labels = {POOL_LABEL: self.name}
        if self.accelerator:
            # cluster-autoscaler waits for the device plugin of a node with this label, instead of adding another node.
            labels["k8s.amazonaws.com/accelerator"] = self.accelerator
        if self.efa:
            labels[EFA_LABEL] = "true"
        return labels


def user_data(group: NodeGroup) -> str | None:
    """The launch template's user data, base64; None where the machine has no disks of its own."""
    return base64.b64encode(NODE_CONFIG.encode()).decode() if group.local_ssds else None


def network_interfaces(
    group: NodeGroup, security_groups: list[pulumi.Input[str]]
) -> list[aws.ec2.LaunchTemplateNetworkInterfaceArgs]:
    """One interface a network card: the first carries IP as well, the others only the fabric.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-acc-inst-types.html and efa.html ("EFA-only")
    """
    return [
        aws.ec2.LaunchTemplateNetworkInterfaceArgs(
            network_card_index=card,
            device_index=0 if card == 0 else 1,
            interface_type="efa" if card == 0 else "efa-only",
            security_groups=security_groups,
            delete_on_termination="true",
            associate_public_ip_address="false" if card == 0 else None,
        )
        for card in range(group.efa)
    ]


def launch_template(
    name: str,
    group: NodeGroup,
    scope: AwsScope,
    *,
    cluster_security_group: pulumi.Input[str],
    fabric_security_group: pulumi.Input[str] | None,
    placement_group: pulumi.Input[str] | None,
    opts: pulumi.ResourceOptions,
) -> aws.ec2.LaunchTemplate:
    """The launch template; a change of it makes a new version, which the node group rolls out node by node."""
    groups: list[pulumi.Input[str]] = [cluster_security_group]
    if fabric_security_group is not None:
        groups.append(fabric_security_group)
    tags = {**scope.naming.tags(), "Name": scope.naming.of("aws:launch-template", group.name)}
    reserved = group.capacity in ("reservation", "capacity-block")
    return aws.ec2.LaunchTemplate(
        name,
        name=scope.naming.of("aws:launch-template", group.name),
        update_default_version=True,
        instance_type=group.instance_type,
        user_data=user_data(group),
        # Tokens only, and one hop: a pod cannot reach the node's credentials, wherever it runs.
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": 1,
            "instance_metadata_tags": "disabled",
        },
        block_device_mappings=[
            {
                "device_name": "/dev/xvda",
                "ebs": {
                    "volume_type": "gp3",
                    "volume_size": group.disk_gib,
                    "encrypted": "true",
                    "delete_on_termination": "true",
                },
            }
        ],
        # With interfaces of our own, the security groups stand in them, and only there.
        vpc_security_group_ids=None if group.efa else groups,
        network_interfaces=network_interfaces(group, groups) if group.efa else None,
        placement={"group_name": placement_group} if placement_group is not None else None,
        instance_market_options={"market_type": "capacity-block"} if group.capacity == "capacity-block" else None,
        capacity_reservation_specification=(
            {"capacity_reservation_target": {"capacity_reservation_id": group.reservation_id}} if reserved else None
        ),
        # The provider's own tags do not reach what the template starts.
        tag_specifications=[
            {"resource_type": kind, "tags": tags} for kind in ("instance", "volume", "network-interface")
        ],
        opts=opts,
    )
