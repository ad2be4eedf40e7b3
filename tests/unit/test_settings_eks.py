"""What the `eks` block refuses, each in one sentence."""

from typing import Any

import pytest

from stacks.eks_versions import EKS_VERSIONS
from stacks.machines import AWS
from stacks.settings import SettingsError, parse
from tests.unit import checked_in

CONFIG = checked_in.values("aws")


def refusal(block: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        parse({**CONFIG, "eks": {**CONFIG["eks"], **block}})
    return str(caught.value)


def group(**changes: Any) -> dict[str, Any]:
    return {"nodeGroups": [{"name": "l40s", "instanceType": "g6e.2xlarge", **changes}]}


def test_the_checked_in_stack_is_valid_and_what_is_left_out_is_for_production() -> None:
    settings = parse(CONFIG)
    assert settings.eks
    assert settings.eks.nat == "zone"
    assert not settings.ephemeral


def test_without_zones_the_regions_first_three_are_taken() -> None:
    settings = parse({**CONFIG, "models": CONFIG["models"][:1], "eks": {"region": "us-east-1", **group()}})
    assert settings.eks
    assert settings.eks.zone_names == ("us-east-1a", "us-east-1b", "us-east-1c")


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        (
            {"publicAccessCidrs": ["0.0.0.0/0"]},
            "llmops:eks.publicAccessCidrs[0]: '0.0.0.0/0' opens the API server to everybody",
        ),
        ({"publicAccessCidrs": ["128.0.0.0/1"]}, "opens the API server to everybody"),
        ({"admins": ["platform"]}, "llmops:eks.admins[0]: 'platform' is no IAM role or user"),
        ({"kubernetesVersion": "1.12"}, "llmops:eks.kubernetesVersion: '1.12' has no add-on versions"),
        ({"vpcCidr": "10.0.0.0/8"}, "llmops:eks: vpcCidr: 10.0.0.0/8 has to be IPv4 and from /16 to /20"),
        ({"vpcCidr": "10.0.0.0/24"}, "has to be IPv4 and from /16 to /20"),
        ({"vpcCidr": "fd00::/16"}, "has to be IPv4 and from /16 to /20"),
        ({"vpcCidr": "8.8.0.0/16"}, "llmops:eks: vpcCidr: 8.8.0.0/16 is not private"),
        (
            {"vpcCidr": "172.20.0.0/16"},
            "llmops:eks: serviceCidr: 172.20.0.0/16 overlaps vpcCidr 172.20.0.0/16; choose two that do not",
        ),
        ({"serviceCidr": "100.64.0.0/16"}, "llmops:eks: serviceCidr: 100.64.0.0/16 is not one that EKS takes"),
        ({"zones": ["eu-central-1a"]}, "llmops:eks: zones: eu-central-1a has to be two or three different zones"),
        (
            {"zones": ["eu-central-1a", "us-east-1a"]},
            "llmops:eks: zones: 'us-east-1a' is no zone of eu-central-1; write it as eu-central-1a",
        ),
        (
            group(zones=["eu-central-1d"]),
            "llmops:eks: nodeGroups: 'l40s' names zone 'eu-central-1d', which the network does not have",
        ),
        (
            group(instanceType="g6e.3xlarge"),
            "llmops:eks.nodeGroups[0].instanceType: 'g6e.3xlarge' is not in stacks/machines.py; near are g6e.",
        ),
        (group(instanceType="m7i.xlarge"), "llmops:eks.nodeGroups[0]: instanceType m7i.xlarge has no GPU"),
        (group(min=3, max=2), "llmops:eks.nodeGroups[0]: max 2 is below min 3"),
        (group(capacity="reservation", zones=["eu-central-1a"]), "capacity 'reservation' needs reservationId"),
        (
            group(capacity="capacity-block", reservationId="cr-0123456789abcdef0"),
            "llmops:eks.nodeGroups[0]: capacity 'capacity-block' lies in one zone; name that one in zones, which has 0",
        ),
        (
            group(capacity="spot", reservationId="cr-0123456789abcdef0"),
            "reservationId goes with capacity 'reservation' or 'capacity-block', not 'spot'",
        ),
        (
            group(efa=True),
            "llmops:eks.nodeGroups[0]: instanceType g6e.2xlarge has no Elastic Fabric Adapter; "
            "leave efa out, or use one of g4dn.12xlarge",
        ),
        (group(placementGroup=True), "llmops:eks.nodeGroups[0]: placementGroup keeps nodes close in one zone"),
        ({"systemNodes": {"instanceType": "g6e.xlarge"}}, "llmops:eks.systemNodes: instanceType g6e.xlarge has GPUs"),
        ({"systemNodes": {"min": 9}}, "llmops:eks.systemNodes: max 6 is below min 9"),
        (
            {"nodeGroups": [*group()["nodeGroups"], *group()["nodeGroups"]]},
            "llmops:eks: nodeGroups: 'l40s' stands there more than once",
        ),
        (group(name="system"), "llmops:eks: nodeGroups: 'system' is the group of systemNodes"),
    ],
)
def test_a_mistake_is_one_sentence(block: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(block)


def test_spot_machines_may_stand_close_to_each_other() -> None:
    spot = group(capacity="spot", placementGroup=True, zones=["eu-central-1a"])["nodeGroups"]
    assert parse({**CONFIG, "eks": {**CONFIG["eks"], "nodeGroups": [*spot, CONFIG["eks"]["nodeGroups"][1]]}})


def test_every_gpu_machine_of_aws_has_disks_for_its_models() -> None:
    assert all(machine.local_ssds and machine.local_ssd_gb for machine in AWS.values() if machine.gpu)


def test_kube_proxy_and_the_autoscaler_are_of_the_clusters_minor_version() -> None:
    for minor, versions in EKS_VERSIONS.items():
        assert versions.kube_proxy.startswith(f"v{minor}.")
        assert versions.cluster_autoscaler.startswith(f"v{minor}.")
