"""A volume that exists already, as a PersistentVolume and the one claim on it."""

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


class StaticVolume(pulumi.ComponentResource):
    """The volume and its claim. `claim_name` resolves when the claim is bound."""

    claim_name: pulumi.Output[str]

    def __init__(self, name: str, args: StaticVolumeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:StaticVolume", name, {}, opts)
        capacity = {"storage": "1Gi"}  # required by the API; a volume that exists already has its own size
        modes, tags = [args.access_mode], labels("model-store", name)
        spec: PersistentVolumeSpecArgsDict = {
            "capacity": capacity,
            "access_modes": modes,
            "storage_class_name": "",
            # Whatever happens to the claim, nobody empties the store.
            "persistent_volume_reclaim_policy": "Retain",
            "claim_ref": {"namespace": args.namespace, "name": name},
        }
        if args.mount_options:
            spec["mount_options"] = args.mount_options
        volume = k8s.core.v1.PersistentVolume(
            f"{name}-volume",
            metadata={"name": pulumi.Output.concat(args.namespace, "-", name), "labels": tags},
            spec={**spec, **args.source},
            opts=args.cluster.child(self, protect=args.protect),
        )
        claim = k8s.core.v1.PersistentVolumeClaim(
            f"{name}-claim",
            metadata={"name": name, "namespace": args.namespace, "labels": tags},
            spec={
                "access_modes": modes,
                "storage_class_name": "",
                "volume_name": volume.metadata.apply(lambda meta: meta.name),
                "resources": {"requests": capacity},
            },
            opts=args.cluster.child(self, protect=args.protect),
        )
        # The name comes from the claim itself, so whatever mounts it waits until it is bound.
        self.claim_name = claim.metadata.apply(lambda meta: str(meta.name))
        self.register_outputs({})
