"""A volume that exists already, as a PersistentVolume and the one claim on it."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core.v1 import PersistentVolumeSpecArgsDict

from components.cluster import Cluster
from components.labels import labels


@dataclass(frozen=True, kw_only=True)
class StaticVolumeArgs:
    """`source` is the volume's own part of the PersistentVolume's spec."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    source: PersistentVolumeSpecArgsDict
    mount_options: list[str]
    access_mode: Literal["ReadOnlyMany", "ReadWriteMany"]
    protect: bool
    # What tells this source from another, where the source itself is known only once it is made.
    identity: str = ""


class StaticVolume(pulumi.ComponentResource):
    """The volume and its claim. `claim_name` resolves when the claim is bound.

    Their names end in the digest of what is mounted and how. A volume's source cannot be changed, and a claim does not
    go while pods use it: so another source is another claim beside the old one, and the pods roll over to it.
    """

    claim_name: pulumi.Output[str]

    def __init__(self, name: str, args: StaticVolumeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:StaticVolume", name, {}, opts)
        what = args.identity or args.source
        digest = hashlib.sha256(repr((what, args.mount_options)).encode()).hexdigest()[:8]
        own_name = f"{name}-{digest}"
        # Not `cluster.child`: it belongs to no operator, so what protects it need not keep them as well.
        opts_of_both = pulumi.ResourceOptions(parent=self, provider=args.cluster.provider, protect=args.protect)
        capacity = {"storage": "1Gi"}  # required by the API; a volume that exists already has its own size
        modes, tags = [args.access_mode], labels("model-store", name)
        spec: PersistentVolumeSpecArgsDict = {
            "capacity": capacity,
            "access_modes": modes,
            "storage_class_name": "",
            # Whatever happens to the claim, nobody empties the store.
            "persistent_volume_reclaim_policy": "Retain",
            "claim_ref": {"namespace": args.namespace, "name": own_name},
        }
        if args.mount_options:
            spec["mount_options"] = args.mount_options
        volume = k8s.core.v1.PersistentVolume(
            f"{name}-volume",
            metadata={"name": pulumi.Output.concat(args.namespace, "-", own_name), "labels": tags},
            spec={**spec, **args.source},
            opts=opts_of_both,
        )
        claim = k8s.core.v1.PersistentVolumeClaim(
            f"{name}-claim",
            metadata={"name": own_name, "namespace": args.namespace, "labels": tags},
            spec={
                "access_modes": modes,
                "storage_class_name": "",
                "volume_name": volume.metadata.apply(lambda meta: meta.name),
                "resources": {"requests": capacity},
            },
            opts=opts_of_both,
        )
        # The name comes from the claim itself, so whatever mounts it waits until it is bound.
        self.claim_name = claim.metadata.apply(lambda meta: str(meta.name))
        self.register_outputs({})
