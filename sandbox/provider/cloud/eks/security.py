"""The security groups that the component makes unless skipDefaultSecurityGroups."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class Nodes:
    """The nodes' group, and the rule that lets them reach the API server."""

    group: aws.ec2.SecurityGroup
    cluster_ingress: aws.ec2.SecurityGroupRule


def cluster_group(name: str, inputs: dict[str, Any], opts: pulumi.ResourceOptions) -> aws.ec2.SecurityGroup:
    """The control plane's group, open to the outside."""
    tags: Any = pulumi.Output.all(inputs.get("tags"), inputs.get("clusterSecurityGroupTags")).apply(
        lambda both: {"Name": f"{name}-eksClusterSecurityGroup", **(both[1] or {}), **(both[0] or {})}
    )
    group = aws.ec2.SecurityGroup(
        f"{name}-eksClusterSecurityGroup", vpc_id=inputs["vpcId"], revoke_rules_on_delete=True, tags=tags, opts=opts
    )
    _rule(f"{name}-eksClusterInternetEgressRule", "Allow internet access.", "egress", group.id, opts, everywhere=True)
    return group


def node_group(
    name: str,
    inputs: dict[str, Any],
    cluster_security_group: aws.ec2.SecurityGroup,
    cluster: aws.eks.Cluster,
    opts: pulumi.ResourceOptions,
) -> Nodes:
    """The nodes' group and the rules between the two."""
    tags: Any = pulumi.Output.all(inputs.get("tags"), inputs.get("nodeSecurityGroupTags"), cluster.name).apply(
        lambda three: {
            "Name": f"{name}-nodeSecurityGroup",
            f"kubernetes.io/cluster/{three[2]}": "owned",
            **(three[0] or {}),
            **(three[1] or {}),
        }
    )
    group = aws.ec2.SecurityGroup(
        f"{name}-nodeSecurityGroup", vpc_id=inputs["vpcId"], revoke_rules_on_delete=True, tags=tags, opts=opts
    )
    control = cluster_security_group.id
    text = "Allow nodes to communicate with each other"
    _rule(f"{name}-eksNodeIngressRule", text, "ingress", group.id, opts, itself=True)
    text = "Allow worker Kubelets and pods to receive communication from the cluster control plane"
    _rule(f"{name}-eksNodeClusterIngressRule", text, "ingress", group.id, opts, (1025, 65535), control)
    text = "Allow pods running extension API servers on port 443 to receive communication from cluster control plane"
    _rule(f"{name}-eksExtApiServerClusterIngressRule", text, "ingress", group.id, opts, (443, 443), control)
    _rule(f"{name}-eksNodeInternetEgressRule", "Allow internet access.", "egress", group.id, opts, everywhere=True)
    text = "Allow pods to communicate with the cluster API Server"
    back = _rule(f"{name}-eksClusterIngressRule", text, "ingress", control, opts, (443, 443), group.id)
    return Nodes(group, back)


def _rule(
    name: str,
    description: str,
    direction: str,
    group: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    ports: tuple[int, int] | None = None,
    source: pulumi.Input[str] | None = None,
    *,
    itself: bool | None = None,
    everywhere: bool = False,
) -> aws.ec2.SecurityGroupRule:
    first, last = ports or (0, 0)
    return aws.ec2.SecurityGroupRule(
        name,
        description=description,
        type=direction,
        from_port=first,
        to_port=last,
        protocol="tcp" if ports else "-1",
        security_group_id=group,
        source_security_group_id=source,
        self=itself,
        cidr_blocks=["0.0.0.0/0"] if everywhere else None,
        opts=opts,
    )
