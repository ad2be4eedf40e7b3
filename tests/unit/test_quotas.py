"""Before a change: quotas that cover the nodes, and networks that do not overlap."""

from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from stacks import quotas
from stacks.schema.eks import Eks
from stacks.settings import SettingsError, parse
from tests.unit import checked_in

GROUPS = [
    {"name": "h100", "instanceType": "p5.48xlarge", "min": 1, "max": 4},
    {"name": "cheap", "instanceType": "p5.48xlarge", "capacity": "spot", "max": 2},
    {"name": "l4", "instanceType": "g6.xlarge", "max": 8},
]


def eks(**changes: Any) -> Eks:
    return Eks.model_validate({"region": "eu-central-1", "nodeGroups": GROUPS, **changes})


def stack(name: str, **changes: Any) -> dict[str, Any]:
    """A checked-in stack's values, with changes of its target's block."""
    values = checked_in.values(name)
    target = values["targets"][0]
    return {**values, target: {**values[target], **changes}}


def test_each_way_of_buying_has_its_own_quota() -> None:
    found = {d.code: (d.low, d.high) for d in quotas.demands(eks())}
    assert found == {"L-417A185B": (192, 768), "L-C4BD4855": (0, 384), "L-DB2E81BA": (0, 32)}


def test_a_quota_below_the_smallest_size_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match=r"takes 192 vCPUs of on-demand P instances, .* L-417A185B is 0"):
        quotas.compare(eks(), lambda _code: 0)


def test_a_quota_below_the_largest_size_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    quotas.compare(eks(), lambda code: 192 if code == "L-417A185B" else 10_000)
    assert len(warned) == 1
    assert "takes 768 vCPUs" in warned[0]


def test_aws_is_asked_for_each_quota_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(*, quota_code: str, **_rest: Any) -> Any:
        asked.append(quota_code)
        return SimpleNamespace(value=10_000.0)

    monkeypatch.setattr("pulumi_aws.servicequotas.get_service_quota", answer)
    quotas.check(eks(), pulumi.InvokeOptions())
    assert sorted(asked) == ["L-417A185B", "L-C4BD4855", "L-DB2E81BA"]


def test_a_network_that_is_connected_may_not_overlap() -> None:
    values = stack("aws", vpcCidr="10.32.0.0/16")
    assert parse({**values, "guards": {"reservedCidrs": ["10.33.0.0/16"]}}).guards.reserved_cidrs == ("10.33.0.0/16",)
    with pytest.raises(SettingsError, match=r"llmops:eks.vpcCidr: 10.32.0.0/16 overlaps guards.reservedCidrs\[0\]"):
        parse({**values, "guards": {"reservedCidrs": ["10.0.0.0/8"]}})


def test_the_networks_of_one_cluster_may_not_overlap() -> None:
    with pytest.raises(SettingsError, match=r"gke.*10.64.0.0/20.*overlap"):
        parse(stack("gcp", nodesCidr="10.64.0.0/20", podsCidr="10.64.0.0/14"))
