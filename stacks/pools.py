"""The GPU nodes that a stack's settings name, whichever target has them: what the fit of models is reckoned from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.machines import AWS, DGX, GCP, Machine

if TYPE_CHECKING:
    from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class PoolFacts:
    """One node group, node pool or set of labelled nodes. `key` is the setting that describes it."""

    name: str
    target: str
    key: str
    machine: Machine
    max_nodes: int
    max_key: str  # the setting that limits the nodes
    # Why a model cannot span these nodes, as the rest of a sentence; empty where it can.
    alone: str = ""


def pools_of(settings: "Settings", target: str) -> dict[str, PoolFacts]:
    """The pools of one target, by name. One whose machine is unknown is left out: see `unknown_machines`."""
    found: list[PoolFacts] = []
    if target == "eks" and settings.eks:
        for i, group in enumerate(settings.eks.node_groups):
            key = f"eks.nodeGroups[{i}]"
            if machine := AWS.get(group.instance_type):
                alone = f"{key}.zones must name one zone" if len(group.zones) != 1 else ""
                if not group.efa:
                    alone = f"{key}.efa must be true"
                if not machine.efa:
                    alone = f"{machine.name} has no Elastic Fabric Adapter"
                found.append(
                    PoolFacts(
                        name=group.name,
                        target=target,
                        key=key,
                        machine=machine,
                        max_nodes=group.max,
                        max_key=f"{key}.max",
                        alone=alone,
                    )
                )
    if target == "gke" and settings.gke:
        for i, pool in enumerate(settings.gke.node_pools):
            key = f"gke.nodePools[{i}]"
            if machine := GCP.get(pool.machine_type):
                found.append(
                    PoolFacts(
                        name=pool.name,
                        target=target,
                        key=key,
                        machine=machine,
                        max_nodes=pool.max,
                        max_key=f"{key}.max",
                        alone=f"{key}.zones must name one zone" if len(pool.zones) != 1 else "",
                    )
                )
    if target == "dgx" and settings.dgx:
        for i, nodes in enumerate(settings.dgx.pools):
            if machine := DGX.get(nodes.machine):
                found.append(
                    PoolFacts(
                        name=nodes.name,
                        target=target,
                        key=f"dgx.pools[{i}]",
                        machine=machine,
                        max_nodes=nodes.nodes,
                        max_key=f"dgx.pools[{i}].nodes",
                    )
                )
    return {pool.name: pool for pool in found}


def machine_mistakes(settings: "Settings") -> list[str]:
    """Pools of machines that there are none of, or that have no GPU."""
    named: list[tuple[str, str, dict[str, Machine]]] = []
    if settings.eks:
        named += [
            (f"eks.nodeGroups[{i}].instanceType", g.instance_type, AWS) for i, g in enumerate(settings.eks.node_groups)
        ]
    if settings.dgx:
        named += [(f"dgx.pools[{i}].machine", p.machine, DGX) for i, p in enumerate(settings.dgx.pools)]
    mistakes: list[str] = []
    for key, name, table in named:
        known = ", ".join(sorted(m.name for m in table.values() if m.gpus))
        if name not in table:
            mistakes.append(f"{key}: {name!r} is not in stacks/machines.py; take one of {known}, or add it there")
        elif not table[name].gpus:
            mistakes.append(f"{key}: {name!r} has no GPU; take one of {known}")
    return mistakes
