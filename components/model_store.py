"""Where the published versions of the models are kept, and how a pod gets one."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core.v1 import VolumeArgsDict, VolumeMountArgsDict

from components.cluster import Cluster

# Where a serving pod finds its one version; the config.pbtxt of every published version names this path.
MODEL_PATH = "/model"
VOLUME = "model-store"
# EKS Pod Identity's agent; Google's metadata server, before and behind Dataplane V2 (both from their documentation).
POD_IDENTITY = (("169.254.170.23/32", 80),)
METADATA_SERVER = (("169.254.169.254/32", 80), ("169.254.169.252/32", 988))


@dataclass(frozen=True, kw_only=True)
class ModelStore:
    """Where `<model>/<version>/` holds one published, immutable version. Exactly one of the two ways is set.

    `claim_name`: a volume that pods mount read-only. `remote`: an object store that is copied into the pod by
    rclone before it serves, e.g. `:s3,provider=AWS,env_auth=true,region=eu-central-1:bucket/models`.
    """

    claim_name: pulumi.Output[str] | None = None
    remote: pulumi.Output[str] | None = None
    # The Kubernetes service account that may read it, where that takes an identity; none: each model's own.
    service_account: pulumi.Output[str] | None = None
    # Where a pod gets that identity's credentials, as (network, port): POD_IDENTITY or METADATA_SERVER.
    credentials: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        if (self.claim_name is None) == (self.remote is None):
            raise ValueError("a model store is either a volume (claim_name) or an object store (remote)")

    @property
    def synced(self) -> bool:
        """Whether a version is copied into the pod."""
        return self.remote is not None

    def volume(self, copy_gib: int) -> VolumeArgsDict:
        """The pod's volume; `copy_gib` is the most that a copied version may take, GiB."""
        if self.claim_name is None:
            return {"name": VOLUME, "empty_dir": {"size_limit": f"{copy_gib}Gi"}}
        return {
            "name": VOLUME,
            "persistent_volume_claim": {"claim_name": self.claim_name, "read_only": True},
        }

    def mount(self, model: str, version: str) -> VolumeMountArgsDict:
        """The container's mount of one version at MODEL_PATH."""
        if self.claim_name is None:
            return {"name": VOLUME, "mount_path": MODEL_PATH, "read_only": True}
        return {
            "name": VOLUME,
            "mount_path": MODEL_PATH,
            "sub_path": f"{model}/{version}",
            "read_only": True,
        }


@dataclass(frozen=True, kw_only=True)
class DirectoryStoreArgs:
    """A directory on the node, and the namespace whose pods mount it."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    path: str

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError(f"storage.path: {self.path!r} is not absolute; give the directory's full path")


class DirectoryStore(pulumi.ComponentResource):
    """The local stack's model store: a directory, as a PersistentVolume, so that pods stay `restricted`."""

    store: ModelStore

    def __init__(self, name: str, args: DirectoryStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:DirectoryStore", name, {}, opts)
        capacity = {"storage": "1Gi"}  # required by the API; a hostPath volume enforces no size
        volume = k8s.core.v1.PersistentVolume(
            f"{name}-volume",
            metadata={"name": pulumi.Output.concat(args.namespace, "-", name)},
            spec={
                "capacity": capacity,
                "access_modes": ["ReadOnlyMany"],
                "host_path": {"path": args.path, "type": "Directory"},
                "storage_class_name": "",
                "persistent_volume_reclaim_policy": "Retain",
                "claim_ref": {"namespace": args.namespace, "name": name},
            },
            opts=args.cluster.child(self),
        )
        claim = k8s.core.v1.PersistentVolumeClaim(
            f"{name}-claim",
            metadata={"name": name, "namespace": args.namespace},
            spec={
                "access_modes": ["ReadOnlyMany"],
                "storage_class_name": "",
                "volume_name": volume.metadata.apply(lambda meta: meta.name),
                "resources": {"requests": capacity},
            },
            opts=args.cluster.child(self),
        )
        # The name comes from the claim itself, so whatever mounts it waits until it is bound.
        self.store = ModelStore(claim_name=claim.metadata.apply(lambda meta: str(meta.name)))
        self.register_outputs({})
