"""What AWS builds for each Kubernetes version of EKS: add-ons and the matching cluster-autoscaler, pinned together.

`settings.eks.kubernetesVersion` chooses a row, so upgrading a cluster is one changed line and its add-ons follow.
Source: the default compatible versions that `aws eks describe-addon-versions --kubernetes-version 1.3x` reported
between June and August 2026; cluster-autoscaler's releases. A newer patch: change it here, in a reviewed commit.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EksVersions:
    """The add-ons' versions and cluster-autoscaler's image tag for one Kubernetes version."""

    vpc_cni: str
    kube_proxy: str
    coredns: str
    pod_identity_agent: str
    ebs_csi_driver: str
    efs_csi_driver: str
    cluster_autoscaler: str


EKS_VERSIONS = {
    "1.34": EksVersions(
        vpc_cni="v1.21.2-eksbuild.2",
        kube_proxy="v1.34.6-eksbuild.11",
        coredns="v1.12.4-eksbuild.17",
        pod_identity_agent="v1.3.10-eksbuild.3",
        ebs_csi_driver="v1.62.0-eksbuild.1",
        efs_csi_driver="v2.3.0-eksbuild.2",
        cluster_autoscaler="v1.34.5",
    ),
    "1.35": EksVersions(
        vpc_cni="v1.22.4-eksbuild.3",
        kube_proxy="v1.35.3-eksbuild.29",
        coredns="v1.13.2-eksbuild.31",
        pod_identity_agent="v1.3.10-eksbuild.3",
        ebs_csi_driver="v1.66.0-eksbuild.1",
        efs_csi_driver="v2.3.0-eksbuild.2",
        cluster_autoscaler="v1.35.2",
    ),
}
