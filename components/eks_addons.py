"""EKS add-ons at pinned versions, and the storage class that the EBS driver serves."""

import json
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.aws_roles import PodRole, PodRoleArgs
from components.aws_scope import AwsScope
from components.cluster import Cluster


@dataclass(frozen=True, kw_only=True)
class Addon:
    """One add-on. `service_account` gets the rights of `policy`, one of AWS' own policies for its own drivers."""

    name: str
    version: str
    configuration: dict[str, Any] = field(default_factory=dict[str, Any])
    service_account: str | None = None
    policy: str | None = None


def before_nodes(vpc_cni: str, kube_proxy: str, pod_identity_agent: str) -> tuple[Addon, ...]:
    """What a node needs to become Ready: DaemonSets, which wait for no node themselves."""
    return (
        Addon(name="eks-pod-identity-agent", version=pod_identity_agent),
        Addon(name="kube-proxy", version=kube_proxy),
        Addon(
            name="vpc-cni",
            version=vpc_cni,
            configuration={"enableNetworkPolicy": "true"},  # off by default: NetworkPolicies would do nothing
            service_account="aws-node",
            policy="AmazonEKS_CNI_Policy",
        ),
    )


def after_nodes(coredns: str, ebs_csi_driver: str, efs_csi_driver: str | None) -> tuple[Addon, ...]:
    """What becomes ready only on a node. The EFS driver mounts volumes that exist, for which it needs no rights."""
    addons = [
        Addon(name="coredns", version=coredns),
        Addon(
            name="aws-ebs-csi-driver",
            version=ebs_csi_driver,
            service_account="ebs-csi-controller-sa",
            policy="service-role/AmazonEBSCSIDriverPolicy",
        ),
    ]
    if efs_csi_driver:
        addons.append(Addon(name="aws-efs-csi-driver", version=efs_csi_driver))
    return tuple(addons)


@dataclass(frozen=True, kw_only=True)
class EksAddonsArgs:
    """The add-ons of one cluster that come at the same moment. `after`: what they wait for."""

    scope: AwsScope
    cluster_name: str
    addons: tuple[Addon, ...]
    after: tuple[pulumi.Resource, ...]


class EksAddons(pulumi.ComponentResource):
    """Some of the cluster's add-ons, all ready once they are made."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: EksAddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:EksAddons", name, {}, opts)
        self.ready = tuple(self._addon(name, addon, args) for addon in args.addons)
        self.register_outputs({})

    def _addon(self, name: str, addon: Addon, args: EksAddonsArgs) -> aws.eks.Addon:
        role = (
            PodRole(
                f"{name}-{addon.name}",
                PodRoleArgs(
                    scope=args.scope,
                    part=addon.name,
                    cluster_name=args.cluster_name,
                    namespace="kube-system",
                    service_account=addon.service_account,
                    managed=(addon.policy,),
                    associate=False,
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
            if addon.service_account and addon.policy
            else None
        )
        return aws.eks.Addon(
            f"{name}-{addon.name}",
            cluster_name=args.cluster_name,
            addon_name=addon.name,
            addon_version=addon.version,
            configuration_values=json.dumps(addon.configuration, sort_keys=True) if addon.configuration else None,
            pod_identity_associations=(
                [{"service_account": addon.service_account, "role_arn": role.role.arn}]
                if role is not None and addon.service_account
                else None
            ),
            # What somebody changed by hand does not stop an upgrade.
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*args.after, *(role.ready if role is not None else ())]
            ),
        )


def default_storage_class(name: str, cluster: Cluster, parent: pulumi.Resource) -> k8s.storage.v1.StorageClass:
    """Encrypted gp3 volumes for every claim that names no class; EKS makes no default class of its own."""
    return k8s.storage.v1.StorageClass(
        name,
        metadata={"name": "gp3", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        provisioner="ebs.csi.aws.com",
        parameters={"type": "gp3", "encrypted": "true"},
        volume_binding_mode="WaitForFirstConsumer",  # the volume lies in the zone of its pod
        allow_volume_expansion=True,
        reclaim_policy="Delete",
        opts=cluster.child(parent),
    )
