"""AWS' device plugin for the Elastic Fabric Adapter: what makes `vpc.amazonaws.com/efa` a resource of a node."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.aws_scope import AwsScope
from components.chart import Chart, release
from components.cluster import Cluster
from components.eks_node_template import EFA_LABEL

# The account from which AWS serves EKS' own images in its commercial regions.
# docs.aws.amazon.com/eks/latest/userguide/add-ons-images.html
EKS_IMAGES = "602401143452"


def efa_device_plugin(
    name: str, cluster: Cluster, chart: Chart, scope: AwsScope, parent: pulumi.Resource
) -> k8s.helm.v3.Release:
    """The plugin, on the nodes that have adapters."""
    values: dict[str, Any] = {
        "image": {
            "repository": f"{EKS_IMAGES}.dkr.ecr.{scope.region}.amazonaws.com/eks/aws-efa-k8s-device-plugin",
        },
        "nodeSelector": {EFA_LABEL: "true"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    }
    return release(
        name,
        chart,
        cluster=cluster,
        parent=parent,
        name="aws-efa-k8s-device-plugin",
        namespace="kube-system",
        values=values,
    )
