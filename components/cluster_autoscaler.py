"""cluster-autoscaler: adds nodes for pods that find none, and removes idle ones, down to zero GPUs (docs/adr/0007)."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.aws_roles import Statement, allow
from components.aws_scope import AwsScope
from components.eks_controller import EksControllerArgs, eks_controller

SERVICE_ACCOUNT = "cluster-autoscaler"


def statements(scope: AwsScope, cluster_name: str) -> tuple[Statement, ...]:
    """It sees every scaling group, and changes those of its own cluster.

    kubernetes/autoscaler, cluster-autoscaler/cloudprovider/aws/README.md, "IAM Policy"
    """
    return (
        # Describe calls of EC2 and of Auto Scaling know no resources: AWS takes only "*" for them.
        # docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2autoscaling.html, …_amazonec2.html
        allow(
            [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeAutoScalingInstances",
                "autoscaling:DescribeLaunchConfigurations",
                "autoscaling:DescribeScalingActivities",
                "ec2:DescribeImages",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeLaunchTemplateVersions",
                "ec2:GetInstanceTypesFromInstanceRequirements",
            ],
            "*",
        ),
        allow(
            ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
            [scope.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")],
            {"StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster_name}": "owned"}},
        ),
        allow(["eks:DescribeNodegroup"], [scope.arn("eks", f"nodegroup/{cluster_name}/*/*")]),
    )


@dataclass(frozen=True, kw_only=True)
class ClusterAutoscalerArgs(EksControllerArgs):
    """The chart, and the image whose minor version is Kubernetes' own."""

    image_tag: str


class ClusterAutoscaler(pulumi.ComponentResource):
    """The autoscaler of every node group of the cluster."""

    release: k8s.helm.v3.Release

    def __init__(self, name: str, args: ClusterAutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:ClusterAutoscaler", name, {}, opts)
        values = {
            "cloudProvider": "aws",
            "awsRegion": args.scope.region,
            "autoDiscovery": {"clusterName": args.cluster.name},
            "image": {"tag": args.image_tag},
            "rbac": {"serviceAccount": {"name": SERVICE_ACCOUNT}},
            "fullnameOverride": "cluster-autoscaler",
            "extraArgs": {
                "expander": "least-waste",
                "balance-similar-node-groups": "true",
                # A big model takes minutes to load: a GPU node is idle for long before it goes.
                "scale-down-unneeded-time": "20m",
                "scale-down-delay-after-add": "20m",
                # A reservation that is used up, or a sold-out zone: try the next group soon.
                "max-node-provision-time": "20m",
                # Serving pods keep their models in emptyDir; without this no GPU node would ever be removed.
                "skip-nodes-with-local-storage": "false",
                "skip-nodes-with-system-pods": "false",
            },
            "nodeSelector": args.cluster.system.node_selector,
            "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        }
        self.release = eks_controller(
            name,
            args,
            parent=self,
            part="autoscaler",
            account=SERVICE_ACCOUNT,
            statements=statements(args.scope, args.cluster.name),
            values=values,
        )
        self.register_outputs({})
