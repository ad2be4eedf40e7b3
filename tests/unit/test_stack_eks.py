"""The EKS stack, built against Pulumi's mocks: what it is made of, and what all of it keeps to."""

import asyncio
import base64
import functools
import json
import os
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime import mocks

from components.aws_network import subnets
from components.eks_node_template import NodeGroup
from components.eks_nodes import group_name
from stacks import eks
from stacks.settings import Settings, parse

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = Path(__file__).parent / "inventories" / "aws.txt"
CLUSTER = "llmops-aws"


class Recorder(mocks.Mocks):
    """Keeps every registration; fills in the outputs that the program builds on."""

    def __init__(self) -> None:
        self.resources: list[mocks.MockResourceArgs] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(args)
        outputs = {**args.inputs, "arn": f"arn:aws:{args.typ}:{args.name}"}
        match args.typ:
            case "random:index/randomPassword:RandomPassword":
                outputs["result"] = "x" * int(args.inputs["length"])
            case "kubernetes:helm.sh/v3:Release":
                outputs["status"] = {"status": "deployed"}
            case "kubernetes:core/v1:Service":
                outputs["status"] = {"loadBalancer": {"ingress": [{"hostname": "gateway.elb.amazonaws.com"}]}}
            case "eks:index:Cluster":
                outputs |= {"kubeconfigJson": "{}", "clusterSecurityGroupId": "sg-cluster"}
            case "aws:eks/nodeGroup:NodeGroup":
                outputs["resources"] = [{"autoscalingGroups": [{"name": f"asg-{args.inputs['nodeGroupName']}"}]}]
            case "aws:ec2/launchTemplate:LaunchTemplate":
                outputs["latestVersion"] = 1
            case "aws:ec2/eip:Eip":
                outputs["allocationId"] = "eipalloc-1"
            case _:
                pass
        return f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        match args.token:
            case "aws:index/getCallerIdentity:getCallerIdentity":
                return {"accountId": "210987654321"}, []
            case "aws:secretsmanager/getSecretVersion:getSecretVersion":
                return {"secretString": json.dumps({"search": "sk-search", "support-bot": "sk-bot"})}, []
            case "aws:lb/getHostedZoneId:getHostedZoneId":
                return {"id": "Z-NLB"}, []
            case _:
                raise AssertionError(f"the program called {args.token}")

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The inputs of everything whose type ends in `kind`, by name."""
        return {r.name: r.inputs for r in self.resources if r.typ.rsplit(":", 1)[-1] == kind}


def config() -> dict[str, Any]:
    """The checked-in stack's values."""
    text = (ROOT / "Pulumi.aws.yaml").read_text()
    return {key.removeprefix("llmops:"): value for key, value in yaml.safe_load(text)["config"].items()}


def build(stack: str = "aws", **changes: Any) -> Recorder:
    """What the stack registers with these changes; a stack is built once, however many tests look at it."""
    return _build(stack, json.dumps(changes))


@functools.cache
def _build(stack: str, changes: str) -> Recorder:
    values: Settings = parse({**config(), **json.loads(changes)})
    recorder = Recorder()
    asyncio.set_event_loop(asyncio.new_event_loop())  # the mocks want one, and other tests close theirs
    mocks.set_mocks(recorder, project="llmops", stack=stack)

    # Registrations land asynchronously: the decorator waits for all of them, so an absence can be asserted.
    @pulumi.runtime.test
    def program() -> None:
        eks.build(values)

    program()
    return recorder


def with_eks(**changes: Any) -> dict[str, Any]:
    """The checked-in `eks` block with changes."""
    return {"eks": {**config()["eks"], **changes}}


def test_the_inventory_is_the_checked_in_one() -> None:
    """A review sees here what a change adds or removes. `INVENTORIES=write make test-unit` rewrites it."""
    recorder = build()
    inventory = sorted(f"{r.typ} {r.name}" for r in recorder.resources)
    if os.environ.get("INVENTORIES") == "write":
        INVENTORY.write_text("\n".join(inventory) + "\n")
    assert inventory == INVENTORY.read_text().splitlines()


def test_every_name_is_its_own() -> None:
    recorder = build(storage={"kind": "efs"})
    names = [f"{r.typ} {r.name}" for r in recorder.resources]
    assert len(names) == len(set(names))


def test_the_api_server_is_private_but_for_named_networks() -> None:
    recorder = build()
    cluster = recorder.of("Cluster")["eks"]
    assert cluster["endpointPrivateAccess"] is True
    assert cluster["publicAccessCidrs"] == ["203.0.113.0/24"]
    recorder = build(**with_eks(publicAccessCidrs=[]))
    cluster = recorder.of("Cluster")["eks"]
    assert cluster["endpointPublicAccess"] is False
    assert "publicAccessCidrs" not in cluster


def test_the_cluster_encrypts_its_secrets_and_writes_its_audit_log() -> None:
    recorder = build()
    cluster = recorder.of("Cluster")["eks"]
    assert cluster["encryptionConfigKeyArn"]
    assert "audit" in cluster["enabledClusterLogTypes"]
    assert cluster["authenticationMode"] == "API"
    logs = recorder.of("LogGroup")["eks-logs"]
    assert logs["name"] == f"/aws/eks/{CLUSTER}/cluster"
    assert logs["retentionInDays"] == 30


def test_administrators_come_in_by_access_entries_whose_order_does_not_matter() -> None:
    roles = [f"arn:aws:iam::123456789012:role/{name}" for name in ("one", "team/two")]
    recorder = build(**with_eks(admins=roles))
    first = recorder.of("Cluster")["eks"]["accessEntries"]
    recorder = build(**with_eks(admins=roles[::-1]))
    assert recorder.of("Cluster")["eks"]["accessEntries"] == first
    assert set(first) == {"role-one", "role-team-two"}
    assert first["role-one"]["accessPolicies"]["admin"]["policyArn"].endswith("AmazonEKSClusterAdminPolicy")


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


def test_no_subnet_gives_out_public_addresses_and_every_zone_has_its_own_nat() -> None:
    recorder = build()
    assert len(recorder.of("NatGateway")) == 3
    assert not any(subnet["mapPublicIpOnLaunch"] for subnet in recorder.of("Subnet").values())
    recorder = build(**with_eks(nat="single"))
    assert len(recorder.of("NatGateway")) == 1
    assert len([r for r in recorder.of("Route").values() if r.get("natGatewayId")]) == 3


def test_a_network_is_cut_without_overlap_and_a_third_zone_moves_no_other() -> None:
    two, three = subnets("10.32.0.0/16", ("a", "b")), subnets("10.32.0.0/16", ("a", "b", "c"))
    assert two == {zone: three[zone] for zone in ("a", "b")}
    assert three["a"].private == "10.32.0.0/18"
    assert three["c"].public == "10.32.224.0/20"


def test_the_model_bucket_is_private_encrypted_versioned_and_tls_only() -> None:
    recorder = build()
    assert recorder.of("Bucket")["models-bucket"]["bucket"] == "llmops-aws-models-123456789012-eu-central-1"
    access = recorder.of("BucketPublicAccessBlock")["models-no-public-access"]
    assert all(access[key] for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls"))
    assert access["restrictPublicBuckets"]
    rule = recorder.of("BucketServerSideEncryptionConfiguration")["models-encryption"]["rules"][0]
    assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms"
    assert recorder.of("BucketVersioning")["models-versions"]["versioningConfiguration"]["status"] == "Enabled"
    statement = json.loads(recorder.of("BucketPolicy")["models-tls-only"]["policy"])["Statement"][0]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


@pytest.mark.parametrize("ephemeral", [False, True])
def test_only_an_ephemeral_stack_may_lose_its_bucket(ephemeral: bool) -> None:
    recorder = build(ephemeral=ephemeral)
    assert recorder.of("Bucket")["models-bucket"]["forceDestroy"] is ephemeral


def test_efs_is_encrypted_and_mounted_read_only_in_every_zone() -> None:
    recorder = build(storage={"kind": "efs"})
    assert recorder.of("FileSystem")["models-files"]["encrypted"] is True
    assert len(recorder.of("MountTarget")) == 3
    volume = recorder.of("PersistentVolume")["models-volume"]["spec"]
    assert volume["csi"]["readOnly"] is True
    assert volume["accessModes"] == ["ReadOnlyMany"]
    assert "node-addons-aws-efs-csi-driver" in recorder.of("Addon")
    assert not recorder.of("Bucket")


def test_every_addon_is_pinned_and_network_policies_are_enforced() -> None:
    recorder = build()
    addons = recorder.of("Addon")
    assert {a["addonName"] for a in addons.values()} == {
        "vpc-cni",
        "kube-proxy",
        "eks-pod-identity-agent",
        "coredns",
        "aws-ebs-csi-driver",
    }
    assert all("eksbuild" in a["addonVersion"] for a in addons.values())
    assert json.loads(addons["addons-vpc-cni"]["configurationValues"]) == {"enableNetworkPolicy": "true"}


def statements(recorder: Recorder) -> list[tuple[str, dict[str, Any]]]:
    """Every permission that any role or policy of the stack gives."""
    policies = recorder.of("RolePolicy")
    assert policies
    return [
        (name, statement)
        for name, policy in policies.items()
        for statement in json.loads(policy["policy"])["Statement"]
    ]


def test_no_permission_is_for_any_action_and_only_describing_is_for_any_resource() -> None:
    recorder = build()
    for name, statement in statements(recorder):
        assert not any("*" in action for action in statement["Action"]), name
        if statement["Resource"] == "*":
            assert all(action.split(":")[1].startswith(("Describe", "Get")) for action in statement["Action"]), name


def test_a_pods_role_is_for_one_service_account_of_this_cluster() -> None:
    recorder = build()
    trust = json.loads(recorder.of("Role")["model-reader-role"]["assumeRolePolicy"])["Statement"][0]
    assert trust["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"] == "model-reader"
    assert trust["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(f":123456789012:cluster/{CLUSTER}")
    association = recorder.of("PodIdentityAssociation")["model-reader-association"]
    assert (association["namespace"], association["serviceAccount"]) == ("llm", "model-reader")


def test_without_an_account_in_the_settings_it_is_asked_for() -> None:
    recorder = build(**with_eks(account=None))
    assert recorder.of("Bucket")["models-bucket"]["bucket"] == "llmops-aws-models-210987654321-eu-central-1"


def test_two_ephemeral_stacks_share_no_name() -> None:
    def physical(stack: str) -> set[str]:
        # Within a cluster, and within a role, names are the same in every stack.
        inner = ("kubernetes:", "aws:eks/nodeGroup", "aws:eks/addon", "aws:iam/rolePolicy:", "eks:index")
        return {
            str(r.inputs[key])
            for r in build(stack, ephemeral=True).resources
            for key in ("name", "bucket", "creationToken")
            if isinstance(r.inputs.get(key), str) and not r.typ.startswith(inner)
        }

    one, other = physical("pr-1"), physical("pr-12")
    assert len(one) > 10
    # What belongs to a bucket names it by id, which the mocks make from the resource's own name.
    assert {name for name in one & other if not name.endswith("-id")} == set()


def test_keys_in_secrets_manager_become_the_tenants_keys() -> None:
    recorder = build(keys={"source": "secret-manager", "secret": "llmops/tenant-keys"})
    keys = recorder.of("Secret")["tenant-keys-secret"]["stringData"]
    assert keys["value"] == {"search": "sk-search", "support-bot": "sk-bot"}


def test_a_secret_that_is_no_map_of_keys_is_refused_without_showing_it() -> None:
    with pytest.raises(pulumi.RunError, match=r"llmops:keys\.secret: holds no JSON map") as refused:
        eks.keys_of('["sk-search"]')
    assert "sk-search" not in str(refused.value)


def test_the_gateways_name_leads_to_its_load_balancer() -> None:
    assert not build().of("Record")
    gateway = {**config()["gateway"], "dnsZone": "Z0123456789ABCDEFGHIJ"}
    record = build(gateway=gateway).of("Record")["gateway-name"]
    assert (record["name"], record["type"]) == ("llm.example.com", "A")
    assert record["aliases"][0]["name"] == "gateway.elb.amazonaws.com"
    assert record["aliases"][0]["zoneId"] == "Z-NLB"
