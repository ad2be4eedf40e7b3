"""The model store."""

from typing import Literal

from stacks.schema.base import Model

StorageKind = Literal["directory", "s3", "efs", "gcs", "filestore", "nfs", "gpfs"]


class Storage(Model):
    """Where the published versions are kept."""

    # `directory`: on the node, for the local stack. EKS: `s3` or `efs`. GKE: `gcs` or `filestore`. DGX: `nfs` or
    # `gpfs`. None: the first that the target can have.
    kind: StorageKind | None = None
    path: str | None = None  # directory: on the node, absolute; none: the sandbox's own store
