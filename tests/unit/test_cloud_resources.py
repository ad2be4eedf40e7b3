"""The cloud stand-in's resources: what is refused, computed, replaced, kept and removed."""

from pathlib import Path
from typing import Any

import pytest

from sandbox.provider.cloud import clusters
from sandbox.provider.cloud.resources import KNOWN
from sandbox.provider.contract import ProviderError
from sandbox.provider.values import UNKNOWN, Secret
from tests.unit.cloud_rig import BUCKET, CLUSTER, GROUP, NETWORK, ROLE, SUBNET, TRUST, VPC, Account, RefusedError

SECRET = "aws:secretsmanager/secret:Secret"
RING = "gcp:kms/keyRing:KeyRing"


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv(clusters.VARIABLE, "none")
    return Account(tmp_path)


@pytest.fixture
def gcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv(clusters.VARIABLE, "none")
    return Account(tmp_path, "gcp")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"cidrBlok": "10.0.0.0/16"}, "cidrBlok: unknown property 'cidrBlok', did you mean 'cidrBlock'?"),
        ({"enableDnsSupport": "yes"}, "enableDnsSupport: expected true or false, got 'yes'."),
        ({"instanceTenancy": "dedicate"}, "instanceTenancy: 'dedicate' is not allowed, did you mean 'dedicated'?"),
        ({"cidrBlock": "10.0.0.0/8"}, "cidrBlock: must be between /16 and /28, not /8."),
        ({"cidrBlock": "10.0.0.1/16"}, "cidrBlock: 10.0.0.1/16 has host bits set."),
        ({"tags": {"a": 1}}, "tags.a: expected a text, got 1."),
        ({"cidrBlock": "10.0.0.0/16", "ipv4NetmaskLength": 16}, "cidrBlock: conflicts with ipv4NetmaskLength"),
    ],
)
def test_wrong_inputs_are_named_with_the_fix(aws: Account, inputs: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        aws.check(VPC, "net", inputs)
    assert said in str(refused.value)


def test_what_is_not_known_yet_is_not_judged(aws: Account) -> None:
    aws.check(SUBNET, "s", {"vpcId": UNKNOWN, "cidrBlock": UNKNOWN})


def test_nested_and_missing_properties_are_found(aws: Account) -> None:
    with pytest.raises(RefusedError) as refused:
        aws.check(CLUSTER, "c", {"vpcConfig": {"subnets": ["a"]}, "accessConfig": {"authenticationMode": "APIX"}})
    said = str(refused.value)
    assert "vpcConfig.subnets: unknown property 'subnets'" in said
    assert "vpcConfig.subnetIds: missing required property 'subnetIds'." in said
    assert "roleArn: missing required property 'roleArn'." in said
    assert "'APIX' is not allowed, did you mean 'API'?" in said


def test_exactly_one_of_several_is_wanted(aws: Account) -> None:
    with pytest.raises(RefusedError, match=r"exactly one of gatewayId, subnetId must be set; none is"):
        aws.check("aws:ec2/routeTableAssociation:RouteTableAssociation", "a", {"routeTableId": "rtb-1"})


def test_ids_look_real_and_are_the_same_again(aws: Account, tmp_path: Path) -> None:
    first, outputs = aws.create(VPC, "net", cidrBlock="10.0.0.0/16")
    assert first.startswith("vpc-")
    assert len(first) == 21
    assert outputs["arn"] == f"arn:aws:ec2:eu-central-1:123456789012:vpc/{first}"
    again, _ = Account(tmp_path / "other").create(VPC, "net", cidrBlock="10.0.0.0/16")
    assert again == first


def test_a_preview_knows_inputs_and_defaults_only(aws: Account) -> None:
    identifier, outputs = aws.preview(VPC, "net", cidrBlock="10.0.0.0/16")
    assert identifier == ""
    assert outputs["arn"] is UNKNOWN
    assert outputs["cidrBlock"] == "10.0.0.0/16"
    assert outputs["enableDnsSupport"] is True
    assert aws.store.objects() == []


def test_a_known_preview_tells_what_the_update_will(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KNOWN, "1")
    previewed = aws.preview(VPC, "net", cidrBlock="10.0.0.0/16")
    assert aws.store.objects() == []
    assert previewed == aws.create(VPC, "net", cidrBlock="10.0.0.0/16")


def test_names_are_made_once_and_kept(aws: Account) -> None:
    checked = aws.check(ROLE, "worker", {"assumeRolePolicy": TRUST})
    assert checked["name"].startswith("worker-")
    assert aws.check(ROLE, "worker", {"assumeRolePolicy": TRUST}, checked)["name"] == checked["name"]
    # A replacement gets another name, since the old one is still there.
    aws.session.resource_type(ROLE).create(aws.task(ROLE, "worker"), checked)
    aws.diff(ROLE, checked, checked)
    aws.session.known.add((ROLE, checked["name"]))
    assert aws.check(ROLE, "worker", {"assumeRolePolicy": TRUST})["name"] != checked["name"]


def test_names_of_buckets_and_of_google_are_small_letters(aws: Account, tmp_path: Path) -> None:
    assert aws.check(BUCKET, "Store", {})["bucket"].startswith("store-")
    assert Account(tmp_path / "gcp", "gcp").check(NETWORK, "Net", {})["name"].startswith("net-")


def test_a_name_that_is_too_long_is_refused_by_its_limit(aws: Account) -> None:
    with pytest.raises(RefusedError, match=r"name: must have at least 1 and at most 64 characters, not 78\."):
        aws.check(ROLE, "r" * 70, {"assumeRolePolicy": TRUST})


def test_what_forces_a_new_resource_is_told_apart(aws: Account) -> None:
    old = {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": True}
    assert aws.diff(VPC, old, {**old, "enableDnsSupport": False}).replace == set()
    assert aws.diff(VPC, old, {**old, "cidrBlock": "10.1.0.0/16"}).replace == {"cidrBlock"}
    assert aws.diff(VPC, old, {**old, "region": "eu-west-1"}).replace == {"region"}


def test_a_chosen_name_goes_before_it_is_taken_again(aws: Account) -> None:
    old = {"name": "chosen", "path": "/", "assumeRolePolicy": TRUST, "__defaults": []}
    assert aws.diff(ROLE, old, {**old, "path": "/x/"}).delete_first
    made = {**old, "__defaults": ["name"]}
    assert not aws.diff(ROLE, made, {**made, "path": "/x/"}).delete_first


def test_the_order_of_a_set_and_the_layout_of_json_change_nothing(aws: Account) -> None:
    old = {"vpcConfig": {"subnetIds": ["a", "b"]}}
    assert aws.diff(CLUSTER, old, {"vpcConfig": {"subnetIds": ["b", "a"]}}).paths == {}
    assert aws.diff(CLUSTER, old, {"vpcConfig": {"subnetIds": ["b", "c"]}}).paths != {}
    assert aws.diff(ROLE, {"assumeRolePolicy": '{"a":1}'}, {"assumeRolePolicy": '{ "a": 1 }'}).paths == {}


def test_tags_of_the_provider_are_on_everything(tmp_path: Path) -> None:
    account = Account(tmp_path, defaultTags='{"tags": {"team": "llm"}}')
    _, outputs = account.create(VPC, "net", cidrBlock="10.0.0.0/16", tags={"a": "b"})
    assert outputs["tagsAll"] == {"team": "llm", "a": "b"}
    assert outputs["tags"] == {"a": "b"}


def test_a_reference_to_nothing_is_refused(aws: Account) -> None:
    with pytest.raises(ProviderError, match=r"vpcId names 'vpc-0', and no such Vpc exists"):
        aws.create(SUBNET, "s", vpcId="vpc-0", cidrBlock="10.0.0.0/24")


def test_subnets_lie_inside_their_network_and_do_not_overlap(aws: Account) -> None:
    vpc, _ = aws.network(1)
    with pytest.raises(ProviderError, match=r"not within the VPC's"):
        aws.create(SUBNET, "x", vpcId=vpc, cidrBlock="10.1.0.0/24")
    with pytest.raises(ProviderError, match=r"overlaps"):
        aws.create(SUBNET, "x", vpcId=vpc, cidrBlock="10.0.0.128/25")


def test_what_others_hold_is_not_deleted(aws: Account) -> None:
    vpc, subnets = aws.network(1)
    with pytest.raises(ProviderError, match=rf"DependencyViolation: Vpc {vpc} cannot be deleted while it has Subnet"):
        aws.delete(VPC, "net", vpc)
    aws.delete(SUBNET, "s0", subnets[0])
    aws.delete(VPC, "net", vpc)
    assert aws.store.objects() == []


def test_a_full_bucket_is_not_deleted(aws: Account) -> None:
    bucket, _ = aws.create(BUCKET, "store")
    item = aws.store.get(BUCKET, bucket)
    assert item is not None
    item.contents = ["model/1"]
    aws.store.write(item)
    with pytest.raises(ProviderError, match=r"BucketNotEmpty"):
        aws.delete(BUCKET, "store", bucket)
    item.properties["forceDestroy"] = True
    aws.store.write(item)
    aws.delete(BUCKET, "store", bucket)


def test_a_name_that_somebody_has_is_refused(aws: Account) -> None:
    aws.create(BUCKET, "one", bucket="models")
    with pytest.raises(ProviderError, match=r"Bucket 'models' already exists"):
        aws.create(BUCKET, "two", bucket="models")


def test_a_secret_keeps_its_name_until_its_window_is_over(aws: Account) -> None:
    secret, _ = aws.create(SECRET, "keys", name="keys")
    aws.delete(SECRET, "keys", secret)
    assert aws.store.objects() == []
    with pytest.raises(ProviderError, match=r"taken; it is scheduled for deletion: set recoveryWindowInDays to 0"):
        aws.create(SECRET, "keys", name="keys")
    secret, _ = aws.create(SECRET, "other", name="other", recoveryWindowInDays=0)
    aws.delete(SECRET, "other", secret)
    aws.create(SECRET, "other", name="other", recoveryWindowInDays=0)


def test_a_key_ring_stays_for_ever(gcp: Account) -> None:
    ring, _ = gcp.create(RING, "keys", name="keys", location="europe-west4")
    gcp.delete(RING, "keys", ring)
    assert gcp.store.objects() == []
    assert [item.id for item in gcp.store.objects(left=True)] == [ring]
    with pytest.raises(ProviderError, match=r"already exists .cannot be deleted"):
        gcp.create(RING, "keys", name="keys", location="europe-west4")


def test_what_an_interrupted_create_left_is_taken_over(aws: Account) -> None:
    first, _ = aws.create(VPC, "net", cidrBlock="10.0.0.0/16")
    aws.session = aws.configure()  # the next command; the engine never heard of the object
    again, _ = aws.create(VPC, "net", cidrBlock="10.0.0.0/16")
    assert again == first
    assert len(aws.store.objects()) == 1
    assert any("interrupted" in note for note in aws.notes)


def test_a_replacement_is_a_second_object(aws: Account) -> None:
    first, _ = aws.create(VPC, "net", cidrBlock="10.0.0.0/16")
    aws.session = aws.configure()
    aws.session.resource_type(VPC).diff(aws.task(VPC, "net"), first, {}, {}, {})
    second, _ = aws.create(VPC, "net", cidrBlock="10.1.0.0/16")
    assert second != first
    aws.delete(VPC, "net", first)
    assert [item.id for item in aws.store.objects()] == [second]


def test_drift_is_what_a_read_returns(aws: Account) -> None:
    vpc, _ = aws.create(VPC, "net", cidrBlock="10.0.0.0/16", tags={"a": "b"})
    item = aws.store.get(VPC, vpc)
    assert item is not None
    item.properties["tags"] = {"a": "changed"}
    aws.store.write(item)
    live = aws.session.resource_type(VPC).read(aws.task(VPC, "net"), vpc, {}, {})
    assert live is not None
    assert live.inputs["tags"] == {"a": "changed"}
    assert live.outputs["arn"].endswith(vpc)
    aws.store.remove(VPC, vpc)
    assert aws.session.resource_type(VPC).read(aws.task(VPC, "net"), vpc, {}, {}) is None


def test_computed_values_survive_an_update(aws: Account) -> None:
    vpc, before = aws.create(VPC, "net", cidrBlock="10.0.0.0/16")
    after = aws.update(VPC, "net", vpc, {"cidrBlock": "10.0.0.0/16"}, cidrBlock="10.0.0.0/16", tags={"a": "b"})
    assert after == {**before, "tags": {"a": "b"}, "tagsAll": {"a": "b"}}


def test_a_launch_template_counts_its_versions(aws: Account) -> None:
    type = "aws:ec2/launchTemplate:LaunchTemplate"
    template, outputs = aws.create(type, "t", name="t", instanceType="p5.48xlarge")
    assert (outputs["latestVersion"], outputs["defaultVersion"]) == (1, 1)
    after = aws.update(type, "t", template, {}, name="t", instanceType="p5en.48xlarge")
    assert (after["latestVersion"], after["defaultVersion"]) == (2, 1)
    after = aws.update(type, "t", template, {}, name="t", instanceType="p5en.48xlarge", tags={"a": "b"})
    assert after["latestVersion"] == 2


def test_a_cluster_needs_two_zones_and_one_step_an_upgrade(aws: Account) -> None:
    cluster, outputs = aws.cluster(version="1.33")
    assert outputs["endpoint"].startswith("https://")
    inputs = {name: outputs[name] for name in ("name", "roleArn", "vpcConfig")}
    inputs["vpcConfig"] = {"subnetIds": outputs["vpcConfig"]["subnetIds"]}
    with pytest.raises(ProviderError, match=r"1.33 to 1.35 .more than one minor version"):
        aws.update(CLUSTER, "cluster", cluster, inputs, **inputs, version="1.35")
    assert aws.update(CLUSTER, "cluster", cluster, inputs, **inputs, version="1.34")["version"] == "1.34"
    with pytest.raises(ProviderError, match=r"1.34 to 1.33 .a downgrade"):
        aws.update(CLUSTER, "cluster", cluster, inputs, **inputs, version="1.33")
    one = {**inputs, "name": "b", "vpcConfig": {"subnetIds": inputs["vpcConfig"]["subnetIds"][:1]}}
    with pytest.raises(ProviderError, match=r"at least two different AZs"):
        aws.create(CLUSTER, "b", **one)


def test_node_groups_go_before_their_cluster(aws: Account) -> None:
    cluster, outputs = aws.cluster()
    group, _ = aws.create(
        GROUP,
        "gpu",
        clusterName=cluster,
        nodeRoleArn=outputs["roleArn"],
        subnetIds=outputs["vpcConfig"]["subnetIds"],
        scalingConfig={"minSize": 0, "desiredSize": 0, "maxSize": 4},
        instanceTypes=["p5.48xlarge"],
    )
    with pytest.raises(ProviderError, match=r"cannot be deleted while it has NodeGroup"):
        aws.delete(CLUSTER, "cluster", cluster)
    aws.delete(GROUP, "gpu", group)
    aws.delete(CLUSTER, "cluster", cluster)


def test_secret_values_are_closed(aws: Account) -> None:
    secret, _ = aws.create(SECRET, "keys", name="keys")
    _, outputs = aws.create(
        "aws:secretsmanager/secretVersion:SecretVersion", "v", secretId=secret, secretString="s3cr3t"
    )
    assert outputs["secretString"] == Secret("s3cr3t")


def test_another_account_is_refused(aws: Account) -> None:
    failures = aws.provider.check_config({"region": "eu-central-1", "allowedAccountIds": '["999999999999"]'})
    assert "123456789012 is not among them" in failures[0].reason
    assert aws.provider.check_config({"region": "eu-central-1", "allowedAccountIds": '["123456789012"]'}) == []


def test_a_provider_without_a_region_or_project_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ProviderError, match=r"aws has no region"):
        Account(tmp_path, region=None)
    with pytest.raises(RefusedError, match=r"project: is not set"):
        Account(tmp_path, "gcp", project=None).check(NETWORK, "n", {})
