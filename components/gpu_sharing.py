"""How one GPU serves several pods: cut into MIG instances, or taken in turns. Pure functions of plain values.

A node says by two labels which of the cluster's MIG layouts and which sharing it wants; the GPU Operator's MIG manager
and device plugin read the rest from two ConfigMaps.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import yaml

MigStrategy = Literal["none", "single", "mixed"]
MIG_LABEL, PLUGIN_LABEL = "nvidia.com/mig.config", "nvidia.com/device-plugin.config"
WHOLE = "whole"  # the device plugin's configuration of nodes that share nothing
UNCUT = "all-disabled"  # the MIG layout of nodes whose GPUs stay whole; MIG manager's own name for it


@dataclass(frozen=True, kw_only=True)
class MigLayout:
    """How every GPU of a node is cut: `profiles` is instances of one GPU by profile, e.g. {"1g.10gb": 7}."""

    name: str
    profiles: dict[str, int]

    @property
    def instances(self) -> int:
        """Of one GPU."""
        return sum(self.profiles.values())


def node_labels(layout: MigLayout | None = None, slices: int = 1) -> dict[str, str]:
    """The labels of a node whose GPUs are cut by `layout` and shared by `slices` pods in turns."""
    labels = {MIG_LABEL: layout.name} if layout else {}
    return {**labels, PLUGIN_LABEL: _sharing(slices)} if slices > 1 else labels


def gpu_resource(strategy: MigStrategy, layout: MigLayout | None) -> str:
    """What a pod asks for to get one GPU, or one MIG instance, of a node with that layout.

    Raises ValueError where a node offers several profiles: nobody could say which one a model gets.
    """
    if layout is None or strategy != "mixed":
        return "nvidia.com/gpu"
    if len(layout.profiles) != 1:
        raise ValueError(f"mig layout {layout.name!r} has several profiles; a pool that models name has one")
    return f"nvidia.com/mig-{next(iter(layout.profiles))}"


def mig_parted(layouts: Iterable[MigLayout]) -> str:
    """MIG manager's `config.yaml` (github.com/NVIDIA/mig-parted)."""
    configs: dict[str, Any] = {UNCUT: [{"devices": "all", "mig-enabled": False}]}
    for layout in layouts:
        configs[layout.name] = [{"devices": "all", "mig-enabled": True, "mig-devices": layout.profiles}]
    return yaml.safe_dump({"version": "v1", "mig-configs": configs}, sort_keys=False)


def device_plugin(strategy: MigStrategy, slices: Iterable[int], resources: Iterable[str]) -> dict[str, str]:
    """The device plugin's configurations by name: WHOLE, and one for each number of pods that take turns."""
    flags: dict[str, Any] = {"version": "v1", "flags": {"migStrategy": strategy}}
    found = {WHOLE: flags}
    for count in sorted({count for count in slices if count > 1}):
        shared = [{"name": resource, "replicas": count} for resource in sorted(set(resources))]
        # A pod that asked for two would get the same GPU twice, and not twice the memory.
        turns = {"failRequestsGreaterThanOne": True, "resources": shared}
        found[_sharing(count)] = {**flags, "sharing": {"timeSlicing": turns}}
    return {name: yaml.safe_dump(content, sort_keys=False) for name, content in found.items()}


def _sharing(slices: int) -> str:
    return f"slices-{slices}"
