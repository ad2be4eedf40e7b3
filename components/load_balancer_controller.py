"""The AWS Load Balancer Controller: makes the network load balancer of the front door."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.aws_roles import Statement, allow
from components.aws_scope import AwsScope
from components.eks_controller import EksControllerArgs, eks_controller

SERVICE_ACCOUNT = "aws-load-balancer-controller"
# The controller tags what it makes; it may touch nothing that it did not make, and nothing of another cluster.
OWNER = "elbv2.k8s.aws/cluster"


def statements(scope: AwsScope, cluster_name: str) -> tuple[Statement, ...]:
    """The rights for network load balancers alone: the project's own policy also allows ALB, WAF, Shield, Cognito.

    kubernetes-sigs/aws-load-balancer-controller v3.5.0, docs/install/iam_policy.json, narrowed to this account,
    region and cluster.
    """

    def elb(*kinds: str) -> list[pulumi.Output[str]]:
        return [scope.arn("elasticloadbalancing", f"{kind}/*") for kind in kinds]

    balancers, listeners = elb("loadbalancer/net", "targetgroup"), elb("listener/net")
    security_groups = scope.arn("ec2", "security-group/*")
    asks_for_own = {"StringEquals": {f"aws:RequestTag/{OWNER}": cluster_name}}
    own = {"StringEquals": {f"aws:ResourceTag/{OWNER}": cluster_name}}
    return (
        # Describe calls know no resources: AWS takes only "*" for them.
        # docs.aws.amazon.com/service-authorization/latest/reference: list_awselasticloadbalancingv2, list_amazonec2
        allow(
            [
                "ec2:DescribeAccountAttributes",
                "ec2:DescribeAvailabilityZones",
                "ec2:DescribeInstances",
                "ec2:DescribeInternetGateways",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeRouteTables",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeTags",
                "ec2:DescribeVpcs",
                "elasticloadbalancing:DescribeListenerAttributes",
                "elasticloadbalancing:DescribeListenerCertificates",
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeLoadBalancerAttributes",
                "elasticloadbalancing:DescribeLoadBalancers",
                "elasticloadbalancing:DescribeSSLPolicies",
                "elasticloadbalancing:DescribeTags",
                "elasticloadbalancing:DescribeTargetGroupAttributes",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
            ],
            "*",
        ),
        allow(["ec2:CreateSecurityGroup"], [scope.arn("ec2", "vpc/*")]),
        allow(["ec2:CreateSecurityGroup"], [security_groups], asks_for_own),
        allow(
            ["ec2:CreateTags"],
            [security_groups],
            {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup", f"aws:RequestTag/{OWNER}": cluster_name}},
        ),
        allow(["ec2:CreateTags", "ec2:DeleteTags", "ec2:DeleteSecurityGroup"], [security_groups], own),
        # Also on the cluster's own group, which EKS made and tagged: pods are the balancer's targets.
        allow(["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"], [security_groups], own),
        allow(
            ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"],
            [security_groups],
            {"StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{cluster_name}": "owned"}},
        ),
        allow(
            ["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"],
            balancers,
            asks_for_own,
        ),
        allow(
            ["elasticloadbalancing:AddTags"],
            [*balancers, *listeners],
            asks_for_own,
        ),
        allow(["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"], [*balancers, *listeners], own),
        allow(
            [
                "elasticloadbalancing:CreateListener",
                "elasticloadbalancing:DeleteLoadBalancer",
                "elasticloadbalancing:DeleteTargetGroup",
                "elasticloadbalancing:DeregisterTargets",
                "elasticloadbalancing:ModifyLoadBalancerAttributes",
                "elasticloadbalancing:ModifyTargetGroup",
                "elasticloadbalancing:ModifyTargetGroupAttributes",
                "elasticloadbalancing:RegisterTargets",
                "elasticloadbalancing:SetIpAddressType",
                "elasticloadbalancing:SetSecurityGroups",
                "elasticloadbalancing:SetSubnets",
            ],
            balancers,
            own,
        ),
        allow(
            [
                "elasticloadbalancing:AddListenerCertificates",
                "elasticloadbalancing:DeleteListener",
                "elasticloadbalancing:ModifyListener",
                "elasticloadbalancing:ModifyListenerAttributes",
                "elasticloadbalancing:RemoveListenerCertificates",
            ],
            listeners,
            own,
        ),
        allow(
            ["iam:CreateServiceLinkedRole"],
            [
                f"arn:{scope.partition}:iam::*:role/aws-service-role/elasticloadbalancing.amazonaws.com/*",
            ],
            {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
        ),
    )


@dataclass(frozen=True, kw_only=True)
class LoadBalancerControllerArgs(EksControllerArgs):
    """The controller's chart, for one cluster in one network."""

    vpc_id: pulumi.Input[str]


class LoadBalancerController(pulumi.ComponentResource):
    """The controller. Whatever asks for a load balancer comes after `release`, so that it goes before it."""

    release: k8s.helm.v3.Release

    def __init__(self, name: str, args: LoadBalancerControllerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:LoadBalancerController", name, {}, opts)
        values = {
            "clusterName": args.cluster.name,
            # Nodes give pods no instance metadata (hop limit 1), so the controller is told where it is.
            "region": args.scope.region,
            "vpcId": args.vpc_id,
            "serviceAccount": {"name": SERVICE_ACCOUNT},
            "defaultTags": args.scope.naming.tags(),
            "enableShield": False,
            "enableWaf": False,
            "enableWafv2": False,
            "createIngressClassResource": False,  # no Ingress here: Gateway API
            "ingressClassParams": {"create": False},
            "nodeSelector": args.cluster.system.node_selector,
            "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        }
        self.release = eks_controller(
            name,
            args,
            parent=self,
            part="load-balancers",
            account=SERVICE_ACCOUNT,
            statements=statements(args.scope, args.cluster.name),
            values=values,
        )
        self.register_outputs({})


def service_annotations(
    name: str,
    *,
    internal: bool,
    certificate: str | None,
    tags: dict[str, str],
) -> dict[str, pulumi.Input[str]]:
    """What the front door's Service tells the controller. `certificate`: the ARN of ACM's, for TLS at the balancer."""
    prefix = "service.beta.kubernetes.io/aws-load-balancer"
    annotations: dict[str, pulumi.Input[str]] = {
        f"{prefix}-name": name,
        f"{prefix}-scheme": "internal" if internal else "internet-facing",
        f"{prefix}-nlb-target-type": "ip",  # straight to Envoy's pods, which then see who asks
        f"{prefix}-target-group-attributes": "preserve_client_ip.enabled=true,deregistration_delay.timeout_seconds=120",
        f"{prefix}-attributes": "load_balancing.cross_zone.enabled=true",
        f"{prefix}-additional-resource-tags": ",".join(f"{key}={value}" for key, value in sorted(tags.items())),
    }
    if certificate:
        annotations[f"{prefix}-ssl-cert"] = certificate
        annotations[f"{prefix}-ssl-ports"] = "443"
        annotations[f"{prefix}-ssl-negotiation-policy"] = "ELBSecurityPolicy-TLS13-1-2-2021-06"
    return annotations
