"""A controller in kube-system of an EKS cluster: its chart, and the role that its service account takes on."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.aws_roles import PodRole, PodRoleArgs, Statement
from components.aws_scope import AwsScope
from components.chart import Chart, release
from components.cluster import Cluster

NAMESPACE = "kube-system"


@dataclass(frozen=True, kw_only=True)
class EksControllerArgs:
    """The controller's chart, on one cluster of one account. `control_plane`: what its role is tied to."""

    scope: AwsScope
    cluster: Cluster
    chart: Chart
    control_plane: pulumi.Resource


def eks_controller(
    name: str,
    args: EksControllerArgs,
    *,
    parent: pulumi.Resource,
    part: str,
    account: str,
    statements: tuple[Statement, ...],
    values: dict[str, Any],
) -> k8s.helm.v3.Release:
    """Install the chart as the Helm release `account`, which is also its service account's name.

    `part` is the role's in the stack's names; no pod of the controller starts before the role has its rights.
    """
    role = PodRole(
        name,
        PodRoleArgs(
            scope=args.scope,
            part=part,
            cluster_name=args.cluster.name,
            namespace=NAMESPACE,
            service_account=account,
            statements=statements,
            after=(args.control_plane,),
        ),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return release(
        f"{name}-chart",
        args.chart,
        cluster=args.cluster,
        parent=parent,
        name=account,
        namespace=NAMESPACE,
        values=values,
        depends_on=role.ready,
    )
