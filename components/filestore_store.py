"""The model store on a Filestore share, which serving pods mount."""

from dataclasses import dataclass

import pulumi
from pulumi_gcp import filestore

from components.cluster import Cluster
from components.gcp_network import GcpNetwork
from components.gcp_project import GcpProject
from components.model_store import ModelStore
from components.mounted_store import StaticVolume, StaticVolumeArgs
from components.naming import Naming

SHARE = "models"
SHARE_TIMEOUT = pulumi.CustomTimeouts(create="30m", update="30m", delete="30m")
# Large sequential reads: several connections, nothing written back, no error where the server is slow.
MOUNT_OPTIONS = ("ro", "hard", "nconnect=8", "noatime")


@dataclass(frozen=True, kw_only=True)
class FilestoreShareArgs:
    """`location` is a zone, or the region for the REGIONAL tier. `ephemeral`: it goes with the stack."""

    naming: Naming
    project: GcpProject
    network: GcpNetwork
    location: str
    tier: str
    capacity_gib: int
    kms_key: str | None
    ephemeral: bool


class FilestoreShare(pulumi.ComponentResource):
    """The share. It outlives the cluster: without `ephemeral` neither Pulumi nor Google deletes it."""

    instance: filestore.Instance
    address: pulumi.Output[str]
    identity: str  # another one is another share

    def __init__(self, name: str, args: FilestoreShareArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:FilestoreShare", name, {}, opts)
        grants: list[pulumi.Resource] = []
        if args.kms_key:
            grants.append(args.project.grant_key(f"{name}-key", args.kms_key, "share", self))
        self.instance = filestore.Instance(
            f"{name}-instance",
            name=args.naming.of("gcp:filestore", "models"),
            location=args.location,
            tier=args.tier,
            file_shares={"name": SHARE, "capacity_gb": args.capacity_gib},
            networks=[{"network": args.network.network.name, "modes": ["MODE_IPV4"], "connect_mode": "DIRECT_PEERING"}],
            kms_key_name=args.kms_key,
            labels=args.naming.labels(),
            deletion_protection_enabled=not args.ephemeral,
            opts=pulumi.ResourceOptions(
                parent=self, protect=not args.ephemeral, depends_on=grants, custom_timeouts=SHARE_TIMEOUT
            ),
        )
        self.address = self.instance.networks.apply(lambda networks: (networks[0].ip_addresses or [""])[0])
        self.identity = f"{args.naming.of('gcp:filestore', 'models')} {args.location} {args.tier}"
        self.register_outputs({"address": self.address})


@dataclass(frozen=True, kw_only=True)
class FilestoreStoreArgs:
    """The share, and the namespace whose pods mount it."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    share: FilestoreShare


class FilestoreStore(pulumi.ComponentResource):
    """The share in the cluster: a volume and a claim, both read-only. Hands over `store`.

    Plain NFS and not Filestore's CSI driver: the share exists already, so there is nothing for a driver to make, and
    one controller less has to live until the volume is gone.
    """

    store: ModelStore

    def __init__(self, name: str, args: FilestoreStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:FilestoreStore", name, {}, opts)
        volume = StaticVolume(
            name,
            StaticVolumeArgs(
                cluster=args.cluster,
                namespace=args.namespace,
                source={"nfs": {"server": args.share.address, "path": f"/{SHARE}", "read_only": True}},
                mount_options=list(MOUNT_OPTIONS),
                access_mode="ReadOnlyMany",
                protect=False,  # the share itself is what must stay
                identity=args.share.identity,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.store = ModelStore(claim_name=volume.claim_name)
        self.register_outputs({})
