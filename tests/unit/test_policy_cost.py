"""What a stack costs and how many GPUs it may take, and the ceilings for both."""

from policy import cost, prices
from policy.catalogue import violations
from policy.resource import Resource
from policy.rule import Limits
from stacks.machines import AWS, GCP
from tests.unit.policy_resources import CONTAINER, POD, TEMPLATE, gpu_pod, resource


def group(machine: str, low: int, high: int, disk: int = 100) -> list[Resource]:
    """A node group of EKS, whose machine stands in its launch template."""
    template = Resource(
        type=TEMPLATE,
        urn=f"urn:{machine}:template",
        props={"instanceType": machine, "blockDeviceMappings": [{"ebs": {"volumeSize": disk}}]},
    )
    nodes = Resource(
        type="aws:eks/nodeGroup:NodeGroup",
        urn=f"urn:{machine}:group",
        props={"scalingConfig": {"minSize": low, "maxSize": high, "desiredSize": low}},
        sources={"launchTemplate": (template.urn,)},
    )
    return [template, nodes]


def pool(machine: str, **scaling: int) -> Resource:
    return Resource(
        type="gcp:container/nodePool:NodePool",
        urn=f"urn:{machine}",
        props={
            "location": "us-central1",
            "autoscaling": scaling,
            "nodeConfig": {"machineType": machine, "diskSizeGb": 100},
        },
    )


def test_a_node_group_costs_its_machines_and_disks() -> None:
    table = prices.load()["aws"]
    each = table.machines["g6.xlarge"] * prices.HOURS + 100 * table.items["diskGib"]
    found = cost.total(group("g6.xlarge", 1, 3))
    assert (round(found.low, 2), round(found.high, 2)) == (round(each, 2), round(3 * each, 2))


def test_a_regional_pool_has_its_size_in_each_of_three_zones() -> None:
    assert cost.nodes(pool("e2-standard-4", minNodeCount=1, maxNodeCount=3)) == cost.Nodes(
        machine="e2-standard-4", low=3, high=9, disk_gib=100
    )
    assert cost.nodes(pool("g2-standard-8", totalMinNodeCount=0, totalMaxNodeCount=4)) == cost.Nodes(
        machine="g2-standard-8", low=0, high=4, disk_gib=100
    )


def test_what_has_no_price_is_named_and_not_guessed() -> None:
    assert cost.total(group("x9.nano", 0, 3)).unpriced == ("x9.nano",)


def test_every_machine_that_settings_can_name_has_a_price() -> None:
    for cloud, machines in (("aws", AWS), ("gcp", GCP)):
        assert set(machines) - set(prices.load()[cloud].machines) == set()


def test_gpus_are_counted_at_the_largest_size_and_by_pods_where_there_are_no_groups() -> None:
    assert cost.gpus([*group("p5.48xlarge", 0, 3), pool("a3-highgpu-8g", totalMaxNodeCount=2)]) == 40
    assert cost.gpus([gpu_pod({"nvidia.com/gpu": "4"})]) == 8  # two replicas
    pod = {**POD, "containers": [{**CONTAINER, "resources": {"limits": {"nvidia.com/gpu": 8}}}]}
    spread = resource(
        "kubernetes:leaderworkerset.x-k8s.io/v1:LeaderWorkerSet",
        spec={"replicas": 2, "leaderWorkerTemplate": {"size": 3, "workerTemplate": {"spec": pod}}},
    )
    assert cost.gpus([spread]) == 48


def broken(limits: Limits, *resources: Resource) -> list[str]:
    return [v.text for v in violations(resources, limits) if v.rule.endswith("-ceiling")]


def test_ceilings_hold_the_largest_size() -> None:
    groups = group("p5.48xlarge", 0, 2)
    assert broken(Limits(max_gpus=16), *groups) == []
    assert "may take 16 GPUs, 8 are allowed" in broken(Limits(max_gpus=8), *groups)[0]
    assert "a month" in broken(Limits(max_monthly_cost=1000), *groups)[0]
    assert "no price for x9.nano" in broken(Limits(max_monthly_cost=1000), *group("x9.nano", 0, 1))[0]
