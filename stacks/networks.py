"""Which networks of a stack overlap: arithmetic on its settings, before anything is asked of a cloud."""

import ipaddress
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stacks.settings import Settings

# Each target's networks, by their keys. Ranges of one target all share one network; reserved ones are everybody's.
EKS = ("vpcCidr", "serviceCidr")
GKE = ("nodesCidr", "podsCidr", "servicesCidr", "controlPlaneCidr")


def overlaps(settings: "Settings") -> list[str]:
    """One sentence for each pair of networks that overlap, naming both settings."""
    mistakes: list[str] = []
    for target, keys in (("eks", EKS), ("gke", GKE)):
        block = getattr(settings, target)
        if block is None or target not in settings.targets:
            continue
        values = block.model_dump(by_alias=True)
        own = [(f"{target}.{key}", str(values[key])) for key in keys if values.get(key)]
        reserved = [(f"guards.reservedCidrs[{i}]", cidr) for i, cidr in enumerate(settings.guards.reserved_cidrs)]
        pairs = [*combinations(own, 2), *((ours, theirs) for theirs in reserved for ours in own)]
        for (one, first), (other, second) in pairs:
            if _overlap(first, second):
                mistakes.append(f"{one}: {first} overlaps {other} ({second}); choose another network")
    return mistakes


def _overlap(one: str, other: str) -> bool:
    first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return first.version == second.version and first.overlaps(second)
