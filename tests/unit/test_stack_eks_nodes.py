"""The EKS stack's nodes, built against Pulumi's mocks: templates, groups, and what the autoscaler is told of them."""

import base64

import pytest

from components.eks_node_template import NodeGroup
from components.eks_nodes import group_name
from tests.unit.eks_stack import build, config, with_eks


def test_no_pod_reaches_a_nodes_metadata_and_every_disk_is_encrypted() -> None:
    recorder = build()
    templates = recorder.of("LaunchTemplate")
    assert set(templates) == {"nodes-system-template", "nodes-l40s-template", "nodes-h100-template"}
    for name, template in templates.items():
        assert template["metadataOptions"]["httpTokens"] == "required", name
        assert template["metadataOptions"]["httpPutResponseHopLimit"] == 1, name
        for disk in template["blockDeviceMappings"]:
            assert disk["ebs"]["encrypted"] == "true", name
            assert disk["ebs"]["volumeType"] == "gp3", name


def test_gpu_nodes_are_tainted_and_the_others_are_not() -> None:
    recorder = build()
    groups = recorder.of("NodeGroup")
    for name in ("nodes-l40s", "nodes-h100"):
        assert groups[name]["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]
        assert groups[name]["amiType"] == "AL2023_x86_64_NVIDIA"
        assert groups[name]["labels"]["llmops.dev/pool"] == name.removeprefix("nodes-")
    assert "taints" not in groups["nodes-system"]
    assert groups["nodes-system"]["amiType"] == "AL2023_x86_64_STANDARD"


def test_a_group_without_nodes_tells_the_autoscaler_what_its_nodes_would_be() -> None:
    recorder = build()
    tags = {
        t["tag"]["key"].split("node-template/")[1]: t["tag"]["value"]
        for name, t in recorder.of("Tag").items()
        if name.startswith("nodes-h100-")
    }
    assert tags["label/llmops.dev/pool"] == "h100"
    assert tags["taint/nvidia.com/gpu"] == "true:NoSchedule"
    assert tags["resources/nvidia.com/gpu"] == "8"
    assert tags["resources/vpc.amazonaws.com/efa"] == "32"
    assert tags["resources/ephemeral-storage"] == "30720G"
    assert not any(name.startswith("nodes-system-") for name in recorder.of("Tag"))


def test_a_machine_with_its_own_disks_uses_them() -> None:
    recorder = build()
    templates = recorder.of("LaunchTemplate")
    config = base64.b64decode(templates["nodes-l40s-template"]["userData"]).decode()
    assert "strategy: RAID0" in config
    assert "userData" not in templates["nodes-system-template"]


def test_efa_gets_an_interface_on_every_card_and_its_group_in_both_directions() -> None:
    recorder = build()
    template = recorder.of("LaunchTemplate")["nodes-h100-template"]
    interfaces = template["networkInterfaces"]
    assert [i["networkCardIndex"] for i in interfaces] == list(range(32))
    assert [i["deviceIndex"] for i in interfaces] == [0] + [1] * 31
    assert {i["interfaceType"] for i in interfaces[1:]} == {"efa-only"}
    assert all(i["securityGroups"] == ["sg-cluster", "nodes-fabric-id"] for i in interfaces)
    assert "vpcSecurityGroupIds" not in template
    assert template["placement"]["groupName"] == "llmops-aws-h100"
    fabric = recorder.of("SecurityGroup")["nodes-fabric"]
    assert fabric["ingress"] == fabric["egress"]
    assert fabric["egress"][0]["self"] is True
    assert "efa-device-plugin" in recorder.of("Release")


@pytest.mark.parametrize(
    ("capacity", "capacity_type", "market"),
    [("reservation", "ON_DEMAND", None), ("capacity-block", "CAPACITY_BLOCK", "capacity-block")],
)
def test_reserved_machines_are_asked_for_by_their_reservation(
    capacity: str, capacity_type: str, market: str | None
) -> None:
    group = {
        "name": "l40s",
        "instanceType": "g6e.12xlarge",
        "capacity": capacity,
        "reservationId": "cr-0123456789abcdef0",
        "zones": ["eu-central-1b"],
    }
    recorder = build(**with_eks(nodeGroups=[group, config()["eks"]["nodeGroups"][1]]))
    made, template = recorder.of("NodeGroup")["nodes-l40s"], recorder.of("LaunchTemplate")["nodes-l40s-template"]
    assert made["capacityType"] == capacity_type
    assert made["subnetIds"] == ["network-private-eu-central-1b-id"]
    target = template["capacityReservationSpecification"]["capacityReservationTarget"]
    assert target["capacityReservationId"] == "cr-0123456789abcdef0"
    assert template.get("instanceMarketOptions", {}).get("marketType") == market


def test_a_group_that_must_be_replaced_gets_another_name_and_one_that_need_not_keeps_its_own() -> None:
    group = NodeGroup(name="l40s", instance_type="g6e.xlarge", min=0, max=2, zones=("a", "b"), disk_gib=100)
    same = NodeGroup(name="l40s", instance_type="g6e.2xlarge", min=1, max=9, zones=("b", "a"), disk_gib=300)
    other = NodeGroup(
        name="l40s", instance_type="g6e.xlarge", capacity="spot", min=0, max=2, zones=("a", "b"), disk_gib=100
    )
    assert group_name(group) == group_name(same)
    assert group_name(group) != group_name(other)


def test_the_autoscaler_and_not_the_program_says_how_many_nodes_there_are() -> None:
    recorder = build()
    scaling = recorder.of("NodeGroup")["nodes-l40s"]["scalingConfig"]
    assert (scaling["minSize"], scaling["maxSize"]) == (0, 8)
    assert recorder.of("Release")["autoscaler-chart"]["values"]["image"]["tag"].startswith("v1.34.")
