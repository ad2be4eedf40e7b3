"""The model store in S3: private, versioned, encrypted; pods read it by EKS Pod Identity."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.aws_roles import PodRole, PodRoleArgs, allow, document
from components.aws_scope import AwsScope
from components.cluster import Cluster
from components.labels import labels
from components.model_store import POD_IDENTITY, ModelStore

PREFIX = "models"  # <bucket>/models/<model>/<version>/…
READER = "model-reader"
OLD_VERSION_DAYS = 30  # how long what was overwritten or deleted can be brought back
UNFINISHED_UPLOAD_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class S3StoreArgs:
    """The bucket. `ephemeral`: it is emptied and deleted with its stack; otherwise it is protected and outlives it."""

    scope: AwsScope
    ephemeral: bool


class S3Store(pulumi.ComponentResource):
    """The bucket and its key. It knows no cluster, and outlives every cluster that reads it."""

    address: pulumi.Output[str]  # where versions are published to, s3://…
    bucket: aws.s3.Bucket
    key: aws.kms.Key
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: S3StoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:S3Store", name, {}, opts)
        scope = args.scope
        # All of it: `pulumi destroy --exclude-protected` would otherwise leave a bucket without its guards.
        kept = pulumi.ResourceOptions(parent=self, protect=not args.ephemeral)
        self._scope = scope
        self.key = aws.kms.Key(
            f"{name}-key",
            description="Encryption of the model store",
            enable_key_rotation=True,
            deletion_window_in_days=7 if args.ephemeral else 30,  # without the key the models are lost
            opts=kept,
        )
        aws.kms.Alias(
            f"{name}-key",
            name=f"alias/{scope.naming.of('aws:kms-alias', 'models')}",
            target_key_id=self.key.key_id,
            opts=kept,
        )
        # Names of buckets are the whole world's; account and region keep ours apart from everybody else's.
        self.bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=pulumi.Output.from_input(scope.account).apply(
                lambda account: scope.naming.of("aws:bucket", "models", account, scope.region)
            ),
            force_destroy=args.ephemeral,
            opts=kept,
        )
        access = aws.s3.BucketPublicAccessBlock(
            f"{name}-no-public-access",
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=kept,
        )
        ownership = aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=self.bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},  # no ACLs at all
            opts=kept,
        )
        versioning = aws.s3.BucketVersioning(
            f"{name}-versions",
            bucket=self.bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=kept,
        )
        encryption = aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": self.key.arn,
                    },
                    "bucket_key_enabled": True,  # one call to KMS a bucket, not one an object
                }
            ],
            opts=kept,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=self.bucket.id,
            rules=[
                {
                    "id": "old-versions",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": OLD_VERSION_DAYS},
                    "expiration": {"expired_object_delete_marker": True},
                },
                {
                    "id": "unfinished-uploads",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": UNFINISHED_UPLOAD_DAYS},
                },
            ],
            opts=pulumi.ResourceOptions(parent=self, protect=not args.ephemeral, depends_on=[versioning]),
        )
        policy = aws.s3.BucketPolicy(
            f"{name}-tls-only",
            bucket=self.bucket.id,
            policy=document(
                [
                    {
                        "Sid": "TlsOnly",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": [self.bucket.arn, pulumi.Output.concat(self.bucket.arn, "/*")],
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                ]
            ),
            # S3 takes one change of a bucket's access at a time.
            opts=pulumi.ResourceOptions(parent=self, protect=not args.ephemeral, depends_on=[access]),
        )
        self.ready = (access, ownership, versioning, encryption, policy)
        self.address = pulumi.Output.concat("s3://", self.bucket.bucket, f"/{PREFIX}")
        self.register_outputs({"address": self.address})

    def on(
        self,
        cluster: Cluster,
        *,
        namespace: str,
        namespace_made: pulumi.Input[str],
        control_plane: pulumi.Resource,
    ) -> ModelStore:
        """The store as pods of one namespace of a cluster see it: one service account that may read, nothing else.

        `namespace_made` is the namespace's name once it exists.
        """
        role = PodRole(
            READER,
            PodRoleArgs(
                scope=self._scope,
                part=READER,
                cluster_name=cluster.name,
                namespace=namespace,
                service_account=READER,
                statements=(
                    allow(["s3:ListBucket"], [self.bucket.arn], {"StringLike": {"s3:prefix": [PREFIX, f"{PREFIX}/*"]}}),
                    allow(["s3:GetObject"], [pulumi.Output.concat(self.bucket.arn, f"/{PREFIX}/*")]),
                    allow(["kms:Decrypt"], [self.key.arn]),
                ),
                after=(control_plane,),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        account = k8s.core.v1.ServiceAccount(
            READER,
            metadata={"name": READER, "namespace": namespace_made, "labels": labels("model-store", READER)},
            automount_service_account_token=False,  # Pod Identity mounts a token of its own
            opts=cluster.child(self, depends_on=[*role.ready, *self.ready]),
        )
        return ModelStore(
            remote=pulumi.Output.concat(
                f":s3,provider=AWS,env_auth=true,region={self._scope.region}:", self.bucket.bucket, f"/{PREFIX}"
            ),
            service_account=account.metadata.apply(lambda meta: str(meta.name)),
            credentials=POD_IDENTITY,
        )
