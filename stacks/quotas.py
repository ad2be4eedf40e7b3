"""Whether the account's quotas cover the GPU nodes: asked of AWS before anything is changed.

Through Pulumi's own invoke, so with the credentials that the change itself uses, against AWS or its stand-in. That
those are of the right account is the provider's own check (`eks.account`).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pulumi

from stacks.machines import AWS
from stacks.schema.eks import Eks

# EC2's quotas are in vCPUs of running instances, by family and by how they are bought.
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
QUOTAS = {
    ("P", False): "L-417A185B",  # Running On-Demand P instances
    ("P", True): "L-7212CCBC",  # All P4, P3 and P2 Spot Instance Requests
    ("P5", True): "L-C4BD4855",  # All P5 Spot Instance Requests
    ("G", False): "L-DB2E81BA",  # Running On-Demand G and VT instances
    ("G", True): "L-3819A6DF",  # All G and VT Spot Instance Requests
}


@dataclass(frozen=True, kw_only=True)
class Demand:
    """vCPUs that node groups take of one quota, at their smallest and at their largest."""

    code: str
    what: str
    low: int
    high: int


def demands(eks: Eks) -> Iterator[Demand]:
    """What the GPU node groups take of each quota. Reservations and capacity blocks have quotas of their own."""
    low, high = Counter[tuple[str, bool]](), Counter[tuple[str, bool]]()
    for group in eks.node_groups:
        machine = AWS.get(group.instance_type)
        if machine is None or group.capacity not in ("on-demand", "spot"):
            continue
        spot = group.capacity == "spot"
        family = group.instance_type.partition(".")[0]
        key = ("P5" if spot and family.startswith("p5") else family[0].upper(), spot)
        low[key] += group.min * machine.cpus
        high[key] += group.max * machine.cpus
    for key, most in high.items():
        if key in QUOTAS:
            bought = "spot" if key[1] else "on-demand"
            yield Demand(code=QUOTAS[key], what=f"{bought} {key[0]} instances", low=low[key], high=most)


def compare(eks: Eks, read: Callable[[str], float]) -> None:
    """Compare the node groups with the account's quotas. `read`: a quota's value by its code.

    Raises pulumi.RunError where not even the smallest size fits; warns where the largest does not.
    """
    for demand in demands(eks):
        value = read(demand.code)
        if demand.low > value:
            raise pulumi.RunError(
                f"llmops:eks.nodeGroups: the smallest size takes {demand.low} vCPUs of {demand.what}, and the "
                f"account's quota {demand.code} is {value:.0f}; ask AWS for more, or lower min"
            )
        if demand.high > value:
            pulumi.log.warn(
                f"llmops:eks.nodeGroups: the largest size takes {demand.high} vCPUs of {demand.what}, and the "
                f"account's quota {demand.code} is {value:.0f}; nodes beyond it will not come"
            )


def check(eks: Eks, opts: pulumi.InvokeOptions) -> None:
    """Ask AWS and compare. Raises pulumi.RunError; a quota that may not be read ends the program in AWS' own words."""
    import pulumi_aws as aws  # only a stack on AWS pays for its import

    def read(code: str) -> float:
        return aws.servicequotas.get_service_quota(service_code="ec2", quota_code=code, opts=opts).value

    compare(eks, read)
