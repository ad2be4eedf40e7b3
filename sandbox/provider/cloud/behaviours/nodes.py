"""What node groups of EKS and GKE have in common: machine types, how many nodes, which zones."""

from collections.abc import Iterable
from typing import Any, get_args

from sandbox.provider.cloud.clusters import Effect, Platform, Taint
from sandbox.provider.cloud.templates import ALPHABETS, Seed
from sandbox.provider.contract import ProviderError

# EKS and GKE spell Kubernetes' effects in capitals.
EFFECTS: dict[str, Effect] = {
    "NO_SCHEDULE": "NoSchedule",
    "NO_EXECUTE": "NoExecute",
    "PREFER_NO_SCHEDULE": "PreferNoSchedule",
}
MOST = 64  # nodes of one group; enough for every placement, and quick to make


def machine(platform: Platform, name: Any) -> str:
    """A machine type that we know the size of. Raises ProviderError."""
    from stacks import machines

    known = machines.AWS if platform == "eks" else machines.GCP
    if name not in known:
        raise ProviderError(
            f"{name!r} is no machine type that the stand-in knows: add it to stacks/machines.py "
            f"(there is {', '.join(sorted(known))})."
        )
    return str(name)


def taints(given: Any) -> list[Taint]:
    """Taints in Kubernetes' spelling; the API's enum holds the effects to these three."""
    return [
        (str(taint["key"]), str(taint.get("value") or ""), EFFECTS[str(taint.get("effect"))]) for taint in given or []
    ]


def spread(count: int, zones: list[str]) -> Iterable[tuple[int, str]]:
    """(index, zone) of each of `count` nodes, zone after zone."""
    for index in range(min(count, MOST)):
        yield index, zones[index % len(zones)] if zones else ""


def address(cluster: str, group: str, index: int) -> str:
    """A made-up private address of a node: the same for the same node."""
    seed = Seed(f"{cluster}\0{group}\0{index}")
    number = int(seed.letters(ALPHABETS["hex"], 6), 16)
    return ".".join(str(part) for part in (10, number >> 16 & 255, number >> 8 & 255, number & 255))


assert set(get_args(Platform)) == {"eks", "gke"}
