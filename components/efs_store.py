"""The model store in EFS: one encrypted file system, mounted read-only by every serving pod."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.aws_roles import document
from components.aws_scope import AwsScope
from components.cluster import Cluster
from components.model_store import ModelStore

OWNER = 1000  # user and group of every file; pods read as whoever they are
ROOT = "/models"  # <root>/<model>/<version>/…


@dataclass(frozen=True, kw_only=True)
class EfsStoreArgs:
    """The file system, in every zone of the network. `ephemeral`: it is deleted with its stack."""

    scope: AwsScope
    vpc_id: pulumi.Input[str]
    subnets: dict[str, pulumi.Output[str]]  # zone → id
    client_security_group: pulumi.Input[str]  # who may mount it
    ephemeral: bool


class EfsStore(pulumi.ComponentResource):
    """The file system. It outlives the cluster, but not the network that its mount targets stand in."""

    address: pulumi.Output[str]  # where versions are published to, fs-…:/models
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: EfsStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:EfsStore", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        kept = pulumi.ResourceOptions(parent=self, protect=not args.ephemeral)
        self._name = name
        self._files = files = aws.efs.FileSystem(
            f"{name}-files",
            creation_token=args.scope.naming.of("aws:efs", "models"),
            encrypted=True,
            throughput_mode="elastic",  # pods start together and all read the whole model
            tags={"Name": args.scope.naming.of("aws:efs", "models")},
            opts=kept,
        )
        # Mounting takes a mount target, so the cluster's security group; and TLS, always.
        policy = aws.efs.FileSystemPolicy(
            f"{name}-tls-only",
            file_system_id=files.id,
            policy=document(
                [
                    {
                        "Sid": "MountTargetsOnly",
                        "Effect": "Allow",
                        "Principal": {"AWS": "*"},
                        "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
                        "Resource": files.arn,
                        "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}},
                    },
                    {
                        "Sid": "TlsOnly",
                        "Effect": "Deny",
                        "Principal": {"AWS": "*"},
                        "Action": "elasticfilesystem:*",
                        "Resource": files.arn,
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    },
                ]
            ),
            opts=kept,
        )
        group = aws.ec2.SecurityGroup(
            f"{name}-mounts",
            name=args.scope.naming.of("aws:security-group", "efs"),
            description="The model store: NFS from the cluster's nodes",
            vpc_id=args.vpc_id,
            ingress=[
                {
                    "protocol": "tcp",
                    "from_port": 2049,
                    "to_port": 2049,
                    "security_groups": [args.client_security_group],
                }
            ],
            tags={"Name": args.scope.naming.of("aws:security-group", "efs")},
            opts=child,
        )
        targets = [
            aws.efs.MountTarget(
                f"{name}-{zone}", file_system_id=files.id, subnet_id=subnet, security_groups=[group.id], opts=child
            )
            for zone, subnet in args.subnets.items()
        ]
        self._access = aws.efs.AccessPoint(
            f"{name}-access",
            file_system_id=files.id,
            posix_user={"uid": OWNER, "gid": OWNER},
            root_directory={
                "path": ROOT,
                "creation_info": {"owner_uid": OWNER, "owner_gid": OWNER, "permissions": "0755"},
            },
            tags={"Name": args.scope.naming.of("aws:efs", "models")},
            opts=kept,
        )
        self.ready = (policy, self._access, *targets)
        self.address = pulumi.Output.concat(files.id, f":{ROOT}")
        self.register_outputs({"address": self.address})

    def on(self, cluster: Cluster, namespace: pulumi.Input[str]) -> ModelStore:
        """The store as pods of one namespace of a cluster see it."""
        name = self._name
        capacity = {"storage": "1Ti"}  # required by the API; EFS grows as it is filled
        volume = k8s.core.v1.PersistentVolume(
            f"{name}-volume",
            metadata={"name": pulumi.Output.concat(namespace, "-", name)},
            spec={
                "capacity": capacity,
                "access_modes": ["ReadOnlyMany"],
                "csi": {
                    "driver": "efs.csi.aws.com",
                    "volume_handle": pulumi.Output.concat(self._files.id, "::", self._access.id),
                    "read_only": True,
                },
                "mount_options": ["tls"],
                "storage_class_name": "",
                "persistent_volume_reclaim_policy": "Retain",
                "claim_ref": {"namespace": namespace, "name": name},
            },
            opts=cluster.child(self, depends_on=list(self.ready)),
        )
        claim = k8s.core.v1.PersistentVolumeClaim(
            f"{name}-claim",
            metadata={"name": name, "namespace": namespace},
            spec={
                "access_modes": ["ReadOnlyMany"],
                "storage_class_name": "",
                "volume_name": volume.metadata.apply(lambda meta: meta.name),
                "resources": {"requests": capacity},
            },
            opts=cluster.child(self),
        )
        # The name comes from the claim itself, so whatever mounts it waits until it is bound.
        return ModelStore(claim_name=claim.metadata.apply(lambda meta: str(meta.name)))
