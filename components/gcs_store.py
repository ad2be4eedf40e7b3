"""The model store in a Cloud Storage bucket, which serving pods copy their version from."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from pulumi_gcp import storage

from components.cluster import Cluster
from components.gcp_project import GcpProject
from components.labels import labels
from components.model_store import METADATA_SERVER, ModelStore
from components.naming import Naming

READER = "model-reader"
PREFIX = "models"
SOFT_DELETE_SECONDS = 7 * 24 * 3600  # the least that Google takes, beside none at all


@dataclass(frozen=True, kw_only=True)
class GcsBucketArgs:
    """`noncurrent_days`: how long a replaced or deleted object is kept. `ephemeral`: it goes with the stack."""

    naming: Naming
    project: GcpProject
    region: str
    kms_key: str | None
    noncurrent_days: int
    ephemeral: bool


class GcsBucket(pulumi.ComponentResource):
    """The bucket. It outlives the cluster: without `ephemeral` Pulumi refuses to delete it."""

    bucket: storage.Bucket

    def __init__(self, name: str, args: GcsBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:GcsBucket", name, {}, opts)
        grants: list[pulumi.Resource] = []
        if args.kms_key:
            grants.append(args.project.grant_key(f"{name}-key", args.kms_key, "bucket", self))
        self.bucket = storage.Bucket(
            f"{name}-bucket",
            # Bucket names are one namespace for the whole world: the project's id is part of it.
            name=args.naming.of("gcp:bucket", args.project.id, "models"),
            location=args.region.upper(),
            storage_class="STANDARD",
            labels=args.naming.labels(),
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning={"enabled": not args.ephemeral},
            soft_delete_policy={"retention_duration_seconds": 0 if args.ephemeral else SOFT_DELETE_SECONDS},
            encryption={"default_kms_key_name": args.kms_key} if args.kms_key else None,
            lifecycle_rules=[
                {
                    "action": {"type": "Delete"},
                    "condition": {"days_since_noncurrent_time": args.noncurrent_days, "with_state": "ARCHIVED"},
                },
                {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 7}},
            ],
            force_destroy=args.ephemeral,
            opts=pulumi.ResourceOptions(parent=self, protect=not args.ephemeral, depends_on=grants),
        )
        self.register_outputs({"bucket": self.bucket.name})


@dataclass(frozen=True, kw_only=True)
class GcsStoreArgs:
    """The bucket, and the namespace whose pods read it."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    project: GcpProject
    bucket: GcsBucket


class GcsStore(pulumi.ComponentResource):
    """Who reads the bucket from the cluster: one Kubernetes service account, without a key. Hands over `store`."""

    store: ModelStore

    def __init__(self, name: str, args: GcsStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:GcsStore", name, {}, opts)
        bucket = args.bucket.bucket
        grant = storage.BucketIAMMember(
            f"{name}-grant",
            bucket=bucket.name,
            role="roles/storage.objectViewer",
            member=args.project.workload(args.namespace, READER),
            opts=pulumi.ResourceOptions(parent=self),
        )
        account = k8s.core.v1.ServiceAccount(
            f"{name}-reader",
            metadata={"name": READER, "namespace": args.namespace, "labels": labels(READER)},
            automount_service_account_token=False,
            # A pod that may not read its model yet would fail its start.
            opts=args.cluster.child(self, depends_on=[grant]),
        )
        self.store = ModelStore(
            # rclone's own credentials search finds the node's metadata server, which answers for the pod's account.
            remote=pulumi.Output.concat(":gcs,env_auth=true,bucket_policy_only=true:", bucket.name, "/", PREFIX),
            service_account=account.metadata.apply(lambda meta: str(meta.name)),
            credentials=METADATA_SERVER,
        )
        self.register_outputs({"bucket": bucket.name})
