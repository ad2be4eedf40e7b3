"""The model store."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from stacks.schema.base import Model

StorageKind = Literal["directory", "s3", "efs", "gcs", "filestore", "nfs", "gpfs"]


AbsolutePath = Annotated[str, Field(pattern=r"^/")]


class Nfs(Model):
    """An export of an NFS server, and how it is mounted."""

    server: str = Field(min_length=1)  # name or address
    path: AbsolutePath  # the export that holds `<model>/<version>/`
    version: Literal["4.1", "4.2"] = "4.2"
    connections: int = Field(default=8, ge=1, le=16)  # TCP connections of one node (nconnect)
    read_size: int = Field(default=1 << 20, ge=4096, le=1 << 20)  # bytes of one read request (rsize)
    rdma: bool = False  # NFS over RDMA, port 20049, instead of TCP


class Gpfs(Model):
    """A directory of IBM Storage Scale (GPFS), by its CSI driver."""

    cluster_id: str = Field(pattern=r"^\d+$")  # of the Storage Scale cluster: mmlscluster
    filesystem_uid: str = Field(pattern=r"^[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8}$")  # mmlsfs <file system> --uid
    path: AbsolutePath  # the directory that holds `<model>/<version>/`, as the nodes see it
    fileset: str = ""  # the independent fileset whose root the path is; none: a plain directory


class Storage(Model):
    """Where the published versions are kept."""

    # `directory`: on the node, for the local stack. EKS: `s3` or `efs`. GKE: `gcs` or `filestore`. DGX: `nfs` or
    # `gpfs`. None: the first that the target can have.
    kind: StorageKind | None = None
    path: str | None = None  # directory: on the node, absolute; none: the sandbox's own store
    nfs: Nfs | None = None  # needed by `nfs`
    gpfs: Gpfs | None = None  # needed by `gpfs`

    def mistakes(self, default: StorageKind) -> Iterator[str]:
        """What contradicts itself, each as `key: sentence`; `default` is the kind of a stack that names none."""
        kind = self.kind or default
        for key, block in (("nfs", self.nfs), ("gpfs", self.gpfs)):
            if kind == key and block is None:
                yield f"{key}: is missing; storage.kind is {kind!r}, so say where that is"
            if kind != key and block is not None:
                yield f"{key}: is not used, because storage.kind is {kind!r}; leave it out, or set kind to {key!r}"
