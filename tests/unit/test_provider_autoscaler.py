"""Which spare nodes a pretended cluster starts for pods that fit on no other."""

from decimal import Decimal
from typing import Any

import pytest

from sandbox.provider.kubernetes import quantity
from sandbox.provider.kubernetes.readiness.autoscaler import missing, requests
from sandbox.provider.kubernetes.rest import Json

GPU = "nvidia.com/gpu"


def node(name: str, gpus: int = 8, **labels: str) -> Json:
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [{"key": GPU, "value": "true", "effect": "NoSchedule"}]},
        "status": {"allocatable": {"cpu": "191450m", "memory": "2000Gi", "pods": "110", GPU: str(gpus)}},
    }


def pod(gpus: int = 8, on: str = "", **spec: Any) -> Json:
    tolerations = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    containers = [{"resources": {"limits": {GPU: str(gpus)}, "requests": {"memory": "64Gi"}}}]
    return {"spec": {"containers": containers, "tolerations": tolerations, "nodeName": on, **spec}}


def started(waiting: list[Json], nodes: list[Json], spare: list[Json], others: list[Json] | None = None) -> list[str]:
    return [n["metadata"]["name"] for n in missing(waiting, [*waiting, *(others or [])], nodes, spare)]


def test_a_node_is_started_for_each_pod_that_needs_a_whole_one() -> None:
    assert started([pod(), pod()], [], [node("a"), node("b"), node("c")]) == ["a", "b"]


def test_pods_that_share_a_node_start_one() -> None:
    assert started([pod(4), pod(4)], [], [node("a"), node("b")]) == ["a"]


def test_a_node_that_has_room_is_used_first() -> None:
    assert started([pod(4)], [node("old")], [node("a")], [pod(4, on="old")]) == []
    assert started([pod(4)], [node("old")], [node("a")], [pod(8, on="old")]) == ["a"]


def test_a_node_that_is_up_is_not_started_again() -> None:
    assert started([pod()], [node("a")], [node("a"), node("b")], [pod(on="a")]) == ["b"]


def test_a_node_that_still_starts_is_waited_for() -> None:
    starting = node("a")
    starting["spec"]["taints"].append({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"})
    assert started([pod()], [starting], [node("a"), node("b")]) == []


def test_a_pod_that_is_too_large_starts_nothing() -> None:
    assert started([pod(16)], [], [node("a")]) == []


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"nodeSelector": {"pool": "h100"}}, ["b"]),
        ({"tolerations": []}, []),
        ({"tolerations": [{"key": GPU, "value": "true"}]}, ["a"]),
        ({"tolerations": [{"key": GPU, "value": "other"}]}, []),
        ({"tolerations": [{"operator": "Exists"}]}, ["a"]),
    ],
)
def test_a_pod_goes_where_it_may(spec: dict[str, Any], found: list[str]) -> None:
    assert started([pod(**spec)], [], [node("a", pool="l4"), node("b", pool="h100")]) == found


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ({"key": "pool", "operator": "In", "values": ["h100", "h200"]}, ["b"]),
        ({"key": "pool", "operator": "NotIn", "values": ["l4"]}, ["b"]),
        ({"key": "zone", "operator": "Exists"}, []),
        ({"key": "zone", "operator": "DoesNotExist"}, ["a"]),
        ({"key": "cpus", "operator": "Gt", "values": ["4"]}, []),
    ],
)
def test_required_node_affinity_counts(expression: Json, found: list[str]) -> None:
    terms = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    }
    waiting = [pod(affinity={"nodeAffinity": terms})]
    assert started(waiting, [], [node("a", pool="l4"), node("b", pool="h100")]) == found


def test_an_init_container_counts_only_where_it_needs_more() -> None:
    small = pod(1, initContainers=[{"resources": {"requests": {"memory": "128Gi"}}}])
    assert requests(small) == {GPU: 1, "memory": quantity.parse("128Gi"), "pods": 1}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("250m", "0.25"),
        ("2", "2"),
        ("2Gi", "2147483648"),
        ("1.5k", "1500"),
        ("1e3", "1000"),
        ("3E", "3000000000000000000"),
    ],
)
def test_quantities_are_numbers(text: str, number: str) -> None:
    assert quantity.parse(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "2GB", "two", "1mi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        quantity.parse(text)
