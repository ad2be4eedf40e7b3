"""eks:index:ServiceRole: a role that a service takes on, with its managed policies."""

import hashlib
import json
from typing import Any

import pulumi
import pulumi_aws as aws

INSTANCE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly")


class ServiceRole(pulumi.ComponentResource):
    """`role`, and the `attachments` that have to exist before it is of use."""

    role: aws.iam.Role
    attachments: list[aws.iam.RolePolicyAttachment]

    def __init__(
        self,
        name: str,
        *,
        service: str,
        policies: tuple[str, ...],
        tags: Any,
        opts: pulumi.ResourceOptions,
        description: str | None = None,
        actions: list[str] | None = None,
    ) -> None:
        super().__init__("eks:index:ServiceRole", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        statement = {"Action": actions or ["sts:AssumeRole"], "Effect": "Allow", "Principal": {"Service": [service]}}
        self.role = aws.iam.Role(
            f"{name}-role",
            description=description,
            assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
            tags=tags,
            opts=child,
        )
        partition = aws.get_partition_output(opts=pulumi.InvokeOutputOptions(parent=self)).partition
        self.attachments = [
            aws.iam.RolePolicyAttachment(
                f"{name}-{_short(f'arn:aws:iam::aws:policy/{policy}')}",
                policy_arn=partition.apply(lambda found, policy=policy: f"arn:{found}:iam::aws:policy/{policy}"),
                role=self.role.name,
                opts=child,
            )
            for policy in policies
        ]
        self.register_outputs({"directRole": self.role, "resolvedRole": self.role})


def _short(text: str) -> str:
    """The real component's names of attachments: the start of a SHA-1."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:8]
