"""What a stack may take at most."""

from collections.abc import Iterator, Sequence

from policy import cost
from policy.resource import Resource
from policy.rule import Limits


def gpus(resources: Sequence[Resource], limits: Limits) -> Iterator[tuple[str, str]]:
    """All node groups at their largest have no more GPUs than `guards.maxGpus`."""
    taken = cost.gpus(resources)
    if taken > limits.max_gpus:
        yield (
            "",
            f"the stack may take {taken} GPUs, {limits.max_gpus} are allowed; "
            "lower the groups' max, or raise guards.maxGpus",
        )


def monthly_cost(resources: Sequence[Resource], limits: Limits) -> Iterator[tuple[str, str]]:
    """All node groups at their largest cost no more a month than `guards.maxMonthlyCost`."""
    if limits.max_monthly_cost is None:
        return
    found = cost.total(resources)
    if found.high > limits.max_monthly_cost:
        yield (
            "",
            f"the stack may cost ${found.high:,.0f} a month, ${limits.max_monthly_cost:,} are allowed; "
            "lower the groups' max, or raise guards.maxMonthlyCost",
        )
    if found.unpriced:
        yield (
            "",
            f"policy/data/prices.yaml has no price for {', '.join(found.unpriced)}; "
            "add it, or the ceiling guards.maxMonthlyCost does not hold",
        )
