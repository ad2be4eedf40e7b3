"""A model store on an NFS server: one export, mounted read-only by every pod that serves."""

from dataclasses import dataclass
from typing import Literal

import pulumi

from components.cluster import Cluster
from components.model_store import ModelStore
from components.mounted_store import StaticVolume, StaticVolumeArgs


@dataclass(frozen=True, kw_only=True)
class NfsStoreArgs:
    """The export, and how it is mounted. `read_size` in bytes.

    `protect` keeps `pulumi destroy` from removing the volume and the claim; the files belong to the server anyway.
    """

    cluster: Cluster
    namespace: pulumi.Input[str]
    server: str
    path: str
    version: Literal["4.1", "4.2"] = "4.2"
    connections: int = 8
    read_size: int = 1 << 20
    rdma: bool = False
    protect: bool = True

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError(f"storage.nfs.path: {self.path!r} is not absolute; give the export's full path")


def mount_options(args: NfsStoreArgs) -> list[str]:
    """What matters for reading files of many gigabytes front to back (nfs(5), Linux).

    One TCP connection does not fill a fast link: `nconnect` opens several; over RDMA one queue pair does, and the port
    is another. `hard` waits for a server that goes away, where `soft` would hand Triton a truncated engine. Versions
    never change once published, so nothing is gained by looking at attributes again: `actimeo` in seconds.
    """
    options = [
        f"nfsvers={args.version}",
        "ro",
        "hard",
        "noatime",
        "nodiratime",
        f"rsize={args.read_size}",
        "timeo=600",
        "retrans=2",
        "actimeo=600",
    ]
    return (
        [*options, "proto=rdma", "port=20049"] if args.rdma else [*options, "proto=tcp", f"nconnect={args.connections}"]
    )


class NfsStore(pulumi.ComponentResource):
    """The export as a PersistentVolume of the kubelet's own NFS client; the nodes need nfs-common (nfs-utils)."""

    store: ModelStore

    def __init__(self, name: str, args: NfsStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:NfsStore", name, {}, opts)
        volume = StaticVolume(
            name,
            StaticVolumeArgs(
                cluster=args.cluster,
                namespace=args.namespace,
                source={"nfs": {"server": args.server, "path": args.path, "read_only": True}},
                mount_options=mount_options(args),
                access_mode="ReadOnlyMany",
                protect=args.protect,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.store = ModelStore(claim_name=volume.claim_name)
        self.register_outputs({})
