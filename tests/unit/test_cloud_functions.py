"""Functions of the cloud stand-in."""

import json
from pathlib import Path

import pytest

from sandbox.provider.contract import ProviderError
from sandbox.provider.values import Secret
from tests.unit.cloud_rig import Account


@pytest.fixture
def aws(tmp_path: Path) -> Account:
    return Account(tmp_path)


@pytest.fixture
def gcp(tmp_path: Path) -> Account:
    return Account(tmp_path, "gcp")


def test_who_and_where_we_are(aws: Account) -> None:
    identity = aws.session.invoke("aws:index/getCallerIdentity:getCallerIdentity", {})
    assert identity["accountId"] == "123456789012"
    assert aws.session.invoke("aws:index/getRegion:getRegion", {})["region"] == "eu-central-1"
    partition = aws.session.invoke("aws:index/getPartition:getPartition", {})
    assert (partition["partition"], partition["dnsSuffix"]) == ("aws", "amazonaws.com")


def test_quotas_are_those_of_a_new_account(aws: Account) -> None:
    function = "aws:servicequotas/getServiceQuota:getServiceQuota"
    found = aws.session.invoke(function, {"serviceCode": "ec2", "quotaCode": "L-417A185B"})
    assert found["value"] == 0
    with pytest.raises(ProviderError, match="ec2 L-0 has no rule in the stand-in"):
        aws.session.invoke(function, {"serviceCode": "ec2", "quotaCode": "L-0"})


def test_two_providers_answer_for_their_own_region(aws: Account, tmp_path: Path) -> None:
    other = Account(tmp_path, region="us-gov-west-1").session
    assert other.invoke("aws:index/getPartition:getPartition", {})["partition"] == "aws-us-gov"
    assert aws.session.invoke("aws:index/getRegion:getRegion", {})["region"] == "eu-central-1"


def test_zones_and_their_ids(aws: Account) -> None:
    zones = aws.session.invoke(
        "aws:index/getAvailabilityZones:getAvailabilityZones", {"state": "available", "excludeNames": ["eu-central-1b"]}
    )
    assert zones["names"] == ["eu-central-1a", "eu-central-1c"]
    assert zones["zoneIds"] == ["euc1-az1", "euc1-az3"]


def test_a_policy_document_is_written_as_the_provider_writes_it(aws: Account) -> None:
    found = aws.session.invoke(
        "aws:iam/getPolicyDocument:getPolicyDocument",
        {
            "statements": [
                {
                    "sid": "Tls",
                    "effect": "Deny",
                    "actions": ["s3:GetObject", "s3:PutObject"],
                    "resources": ["arn:aws:s3:::b"],
                    "principals": [{"type": "*", "identifiers": ["*"]}],
                    "conditions": [{"test": "Bool", "variable": "aws:SecureTransport", "values": ["false"]}],
                }
            ]
        },
    )
    assert json.loads(found["json"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Tls",
                "Effect": "Deny",
                "Action": ["s3:PutObject", "s3:GetObject"],
                "Resource": "arn:aws:s3:::b",
                "Principal": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
    assert json.loads(found["minifiedJson"]) == json.loads(found["json"])
    merged = aws.session.invoke(
        "aws:iam/getPolicyDocument:getPolicyDocument",
        {
            "sourcePolicyDocuments": [found["json"]],
            "overridePolicyDocuments": ['{"Statement": [{"Sid": "Tls", "Effect": "Allow", "Action": "s3:*"}]}'],
        },
    )
    assert json.loads(merged["json"])["Statement"] == [{"Sid": "Tls", "Effect": "Allow", "Action": "s3:*"}]


def test_machine_images_come_from_public_parameters_only(aws: Account) -> None:
    token = "aws:ssm/getParameter:getParameter"
    name = "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/x86_64/nvidia/recommended/image_id"
    assert aws.session.invoke(token, {"name": name})["value"].startswith("ami-")
    for other in ("/app/password", name.replace("1.34", "1.12")):
        with pytest.raises(ProviderError, match=r"getParameter: "):
            aws.session.invoke(token, {"name": other})


def test_addon_versions_follow_the_cluster(aws: Account) -> None:
    token = "aws:eks/getAddonVersion:getAddonVersion"
    found = aws.session.invoke(token, {"addonName": "kube-proxy", "kubernetesVersion": "1.34"})
    assert found["version"].startswith("v1.34.")
    with pytest.raises(ProviderError, match=r"'nothing' has no version in the stand-in"):
        aws.session.invoke(token, {"addonName": "nothing", "kubernetesVersion": "1.34"})


def test_functions_without_a_rule_are_refused(aws: Account, gcp: Account) -> None:
    with pytest.raises(ProviderError, match=r"a token cannot be made up"):
        aws.session.invoke("aws:eks/getClusterAuth:getClusterAuth", {"name": "x"})
    with pytest.raises(
        ProviderError, match=r"getVpc has no rule in the sandbox's aws stand-in: there is getAddonVersion"
    ):
        aws.session.invoke("aws:ec2/getVpc:getVpc", {})
    with pytest.raises(ProviderError, match=r"has no rule in the sandbox's gcp stand-in"):
        gcp.session.invoke("gcp:compute/getImage:getImage", {})


def test_google_says_who_and_where_we_are(gcp: Account) -> None:
    config = gcp.session.invoke("gcp:organizations/getClientConfig:getClientConfig", {})
    assert (config["project"], config["region"]) == ("proj-1", "europe-west4")
    assert isinstance(config["accessToken"], Secret)
    assert gcp.session.invoke("gcp:organizations/getProject:getProject", {})["projectId"] == "proj-1"
    assert gcp.session.invoke("gcp:compute/getZones:getZones", {})["names"][0] == "europe-west4-a"
    versions = gcp.session.invoke("gcp:container/getEngineVersions:getEngineVersions", {"versionPrefix": "1.34."})
    assert versions["latestMasterVersion"].startswith("1.34.")


def test_the_zone_of_network_load_balancers_is_the_regions(aws: Account) -> None:
    function = "aws:lb/getHostedZoneId:getHostedZoneId"
    assert aws.session.invoke(function, {"loadBalancerType": "network"})["id"] == "Z3F0SRJ5LGBH90"
    with pytest.raises(ProviderError, match="application load balancers of eu-central-1 have no rule"):
        aws.session.invoke(function, {})


def test_a_secrets_value_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_STATE", str(tmp_path))
    monkeypatch.setenv("LLMOPS_INSTANCE", "secrets")
    aws = Account(tmp_path / "secrets" / "cloud")
    function = "aws:secretsmanager/getSecretVersion:getSecretVersion"
    with pytest.raises(ProviderError, match="there is no secret 'llmops/keys' with a value"):
        aws.session.invoke(function, {"secretId": "llmops/keys"})
    secret, _ = aws.create("aws:secretsmanager/secret:Secret", "keys", name="llmops/keys")
    aws.create("aws:secretsmanager/secretVersion:SecretVersion", "one", secretId=secret, secretString='{"a": "sk-a"}')
    assert aws.session.invoke(function, {"secretId": "llmops/keys"})["secretString"] == '{"a": "sk-a"}'
