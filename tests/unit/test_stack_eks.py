"""The EKS stack, built against Pulumi's mocks: what it is made of, and what all of it keeps to."""

import json
from typing import Any

import pulumi
import pytest

from components.aws_network import subnets
from stacks.tenant_keys import keys_of
from tests.unit import checked_in
from tests.unit.eks_stack import build, config, with_eks
from tests.unit.recorder import Amazon

CLUSTER = "llmops-aws"


def test_the_inventory_is_the_checked_in_one() -> None:
    found, expected = checked_in.inventory(build(), "aws")
    assert found == expected


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


def statements(recorder: Amazon) -> list[tuple[str, dict[str, Any]]]:
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
        keys_of('["sk-search"]')
    assert "sk-search" not in str(refused.value)


def test_the_gateways_name_leads_to_its_load_balancer() -> None:
    assert not build().of("Record")
    gateway = {**config()["gateway"], "dnsZone": "Z0123456789ABCDEFGHIJ"}
    record = build(gateway=gateway).of("Record")["gateway-name"]
    assert (record["name"], record["type"]) == ("llm.example.com", "A")
    assert record["aliases"][0]["name"] == "gateway.elb.amazonaws.com"
    assert record["aliases"][0]["zoneId"] == "Z-NLB"
