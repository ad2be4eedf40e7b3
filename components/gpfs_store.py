"""A model store on IBM Storage Scale (GPFS), through its CSI driver, which must be installed already."""

from dataclasses import dataclass

import pulumi

from components.cluster import Cluster
from components.model_store import ModelStore
from components.mounted_store import StaticVolume, StaticVolumeArgs

DRIVER = "spectrumscale.csi.ibm.com"


@dataclass(frozen=True, kw_only=True)
class GpfsStoreArgs:
    """The directory by the ids of its cluster (`mmlscluster`) and file system (`mmlsfs FS --uid`)."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    cluster_id: str
    filesystem_uid: str
    path: str
    fileset: str = ""
    protect: bool = True

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError(f"storage.gpfs.path: {self.path!r} is not absolute; give the directory's full path")


def volume_handle(args: GpfsStoreArgs) -> str:
    """The driver's name of an existing directory (driver/csiplugin/gpfs_util.go, getVolIDMembers, since 2.5.0).

    Classic storage class (0); a plain directory (0), or the root of a fileset (2: independent); no consistency group.
    """
    kind = "2" if args.fileset else "0"
    return ";".join(("0", kind, args.cluster_id, args.filesystem_uid, "", args.fileset, args.path))


class GpfsStore(pulumi.ComponentResource):
    """The directory as a PersistentVolume of the CSI driver."""

    store: ModelStore

    def __init__(self, name: str, args: GpfsStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:GpfsStore", name, {}, opts)
        volume = StaticVolume(
            name,
            StaticVolumeArgs(
                cluster=args.cluster,
                namespace=args.namespace,
                source={"csi": {"driver": DRIVER, "volume_handle": volume_handle(args), "read_only": True}},
                mount_options=[],
                # The driver knows no other mode (driver/csiplugin/gpfs.go); that nobody writes is the pods' own
                # `read_only`.
                access_mode="ReadWriteMany",
                protect=args.protect,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.store = ModelStore(claim_name=volume.claim_name)
        self.register_outputs({})
