"""IAM roles: for AWS services, and for pods by EKS Pod Identity. No role is shared by two purposes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws_scope import AwsScope

Statement = dict[str, Any]


def document(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """A policy document; the statements may hold outputs."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)}, sort_keys=True)


def allow(actions: Sequence[str], resources: Any, condition: dict[str, Any] | None = None) -> Statement:
    """One permission."""
    statement: Statement = {"Effect": "Allow", "Action": list(actions), "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement


@dataclass(frozen=True, kw_only=True)
class ServiceRoleArgs:
    """A role that the AWS service `service` takes on; `managed` are names of policies that AWS itself keeps."""

    scope: AwsScope
    part: str  # of the role's name
    service: str  # e.g. ec2.amazonaws.com
    managed: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()


class ServiceRole(pulumi.ComponentResource):
    """An AWS service's role. `ready` is everything that has to exist before it can do its work."""

    role: aws.iam.Role
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ServiceRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:ServiceRole", name, {}, opts)
        trust = {"Effect": "Allow", "Principal": {"Service": args.service}, "Action": "sts:AssumeRole"}
        self.role, self.ready = _role(self, name, args.scope, args.part, trust, args.managed, args.statements)
        self.register_outputs({"arn": self.role.arn})


@dataclass(frozen=True, kw_only=True)
class PodRoleArgs:
    """The role of one Kubernetes service account of one cluster.

    `associate`: also tie it to the service account; an EKS add-on ties its own role itself.
    """

    scope: AwsScope
    part: str
    cluster_name: str
    namespace: str
    service_account: str
    managed: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    associate: bool = True
    after: tuple[pulumi.Resource, ...] = field(default=())  # the cluster, for the association


class PodRole(pulumi.ComponentResource):
    """A pod's role. `ready` is everything that has to exist before a pod of the account starts."""

    role: aws.iam.Role
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: PodRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:PodRole", name, {}, opts)
        # Pod Identity passes on who asks: no other cluster, namespace or service account can take the role on.
        # docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html and pod-id-abac.html
        trust: Statement = {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {
                    "aws:SourceAccount": args.scope.account,
                    "aws:RequestTag/kubernetes-namespace": args.namespace,
                    "aws:RequestTag/kubernetes-service-account": args.service_account,
                },
                "ArnEquals": {"aws:SourceArn": args.scope.arn("eks", f"cluster/{args.cluster_name}")},
            },
        }
        self.role, self.ready = _role(self, name, args.scope, args.part, trust, args.managed, args.statements)
        if args.associate:
            association = aws.eks.PodIdentityAssociation(
                f"{name}-association",
                cluster_name=args.cluster_name,
                namespace=args.namespace,
                service_account=args.service_account,
                role_arn=self.role.arn,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.after]),
            )
            self.ready = (*self.ready, association)
        self.register_outputs({"arn": self.role.arn})


def _role(
    parent: pulumi.ComponentResource,
    name: str,
    scope: AwsScope,
    part: str,
    trust: Statement,
    managed: Sequence[str],
    statements: Sequence[Statement],
) -> tuple[aws.iam.Role, tuple[pulumi.Resource, ...]]:
    role = aws.iam.Role(
        f"{name}-role",
        name=scope.naming.of("aws:iam-role", part),
        assume_role_policy=document([trust]),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    ready: list[pulumi.Resource] = [role]
    ready += [
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy.rsplit('/', 1)[-1]}",
            role=role.name,
            policy_arn=scope.aws_policy(policy),
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for policy in managed
    ]
    if statements:
        ready.append(
            aws.iam.RolePolicy(
                f"{name}-policy",
                name=part,
                role=role.name,
                policy=document(statements),
                opts=pulumi.ResourceOptions(parent=parent),
            )
        )
    return role, tuple(ready)
