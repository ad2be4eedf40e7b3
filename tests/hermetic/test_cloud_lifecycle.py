"""Resources of aws and gcp through the real engine, on the pretended cloud: from preview to nothing left."""

from pathlib import Path

import pytest

from tests.hermetic.cloud import CloudProject
from tests.hermetic.project import wait_for

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
ROLE = "aws:iam/role:Role"
NETWORK = """
vpc = aws.ec2.Vpc("net", cidr_block="{block}.0.0/16", tags={{"team": "{team}"}})
for index, zone in enumerate("ab"):
    place = {{"vpc_id": vpc.id, "availability_zone": f"eu-central-1{{zone}}"}}
    aws.ec2.Subnet(f"s{{index}}", cidr_block=f"{block}.{{index}}.0/24", **place)
role = aws.iam.Role("worker", assume_role_policy=trust)
network = gcp.compute.Network("net", auto_create_subnetworks=False)
gcp.compute.Subnetwork("pods", network=network.id, ip_cidr_range="10.9.0.0/20", region="europe-west4")
pulumi.export("vpc", vpc.arn)
pulumi.export("role", role.name)
"""
EVERYTHING = ["Network", "Role", "Subnet", "Subnet", "Subnetwork", "Vpc"]


@pytest.fixture
def project(tmp_path: Path) -> CloudProject:
    return CloudProject(tmp_path)


def test_a_whole_life(project: CloudProject) -> None:
    project.program(NETWORK.format(block="10.0", team="one"))
    previewed = project.run("preview", "--diff")
    assert "vpc     : [unknown]" in previewed or "[unknown]" in previewed
    assert project.listed() == []

    project.up()
    assert project.listed() == EVERYTHING
    vpc = project.one(VPC)
    assert project.output("vpc") == vpc.properties["arn"]
    assert project.output("role").startswith("worker-")

    assert "unchanged" in (again := project.up())
    assert "created" not in again
    assert "updated" not in again

    project.program(NETWORK.format(block="10.0", team="two"))
    assert "1 updated" in project.up()
    assert project.one(VPC).id == vpc.id
    assert project.one(VPC).properties["tags"] == {"team": "two"}

    project.program(NETWORK.format(block="10.7", team="two"))
    replacing = project.up()
    assert "3 replaced" in replacing
    assert project.one(VPC).id != vpc.id
    assert {subnet.properties["cidrBlock"] for subnet in project.store.objects(SUBNET)} == {
        "10.7.0.0/24",
        "10.7.1.0/24",
    }

    project.run("destroy", "--yes")
    assert project.listed() == []
    project.up()
    project.run("destroy", "--yes")
    assert project.listed() == []


def test_drift_is_found_and_put_right(project: CloudProject) -> None:
    project.program(NETWORK.format(block="10.0", team="one"))
    project.up()
    vpc = project.one(VPC)
    vpc.properties["tags"] = {"team": "somebody else"}
    project.store.write(vpc)
    lost = project.store.objects(SUBNET)[0]
    project.store.remove(SUBNET, lost.id)

    refreshed = project.run("refresh", "--yes")
    assert "1 updated" in refreshed
    assert "1 deleted" in refreshed
    mended = project.up()
    assert "1 created" in mended
    assert "1 updated" in mended
    assert project.one(VPC).properties["tags"] == {"team": "one"}
    assert len(project.store.objects(SUBNET)) == 2
    assert "unchanged" in project.up()


def test_what_exists_can_be_imported(project: CloudProject) -> None:
    project.program('aws.s3.Bucket("models", bucket="models-of-ours", tags={"a": "b"})')
    project.up()
    # Forget the state, not the cloud.
    project.run("state", "delete", "--yes", "urn:pulumi:dev::hermetic::aws:s3/bucket:Bucket::models")
    project.run(
        "import",
        "aws:s3/bucket:Bucket",
        "models",
        "models-of-ours",
        "--yes",
        "--generate-code=false",
        "--protect=false",
    )
    assert project.managed()["models"]["outputs"]["arn"] == "arn:aws:s3:::models-of-ours"
    assert "1 created" not in project.up()
    missing = project.run(
        "import", "aws:s3/bucket:Bucket", "other", "nobody-has-this", "--yes", "--generate-code=false", ok=False
    )
    assert "does not exist" in missing


def test_what_has_no_rule_is_refused(project: CloudProject) -> None:
    project.program('aws.ec2.Instance("i", ami="ami-1", instance_type="m7i.large")')
    refused = project.run("preview", ok=False)
    assert "aws:ec2/instance:Instance has no rule in the sandbox's aws stand-in" in refused
    project.program('pulumi.export("x", aws.ec2.get_vpc(default=True).id)')
    assert "getVpc:getVpc has no rule in the sandbox's aws stand-in" in project.run("preview", ok=False)


def test_wrong_inputs_are_named_before_anything_is_made(project: CloudProject) -> None:
    project.program(
        """
        aws.ec2.Vpc("net", cidr_block="10.0.0.0/8", instance_tenancy="dedicate")
        """
    )
    refused = project.run("preview", ok=False)
    assert "must be between /16 and /28, not /8" in refused
    assert "did you mean 'dedicated'?" in refused


def test_a_failed_create_is_made_up_for_by_a_rerun(project: CloudProject) -> None:
    project.program(NETWORK.format(block="10.0", team="one"))
    project.cloud("fail", SUBNET, "--nth", "2", "--error", "no capacity")
    failed = project.up(ok=False)
    assert "failed in the stand-in: no capacity" in failed
    assert len(project.store.objects(SUBNET)) == 1
    project.up()
    assert project.listed() == EVERYTHING
    project.run("destroy", "--yes")
    assert project.listed() == []


def test_a_killed_update_is_made_up_for_by_a_rerun(project: CloudProject) -> None:
    project.program(NETWORK.format(block="10.0", team="one"))
    project.environment["LLMOPS_STANDIN_DELAY"] = "1"
    for wanted in (1, 3):  # killed twice, with more there each time
        running = project.start("up", "--yes", "--skip-preview")
        wait_for(lambda wanted=wanted: len(project.store.objects()) >= wanted, f"{wanted} objects", 120)
        running.kill()
        running.wait()
    del project.environment["LLMOPS_STANDIN_DELAY"]
    project.up()
    assert project.listed() == EVERYTHING
    project.run("destroy", "--yes")
    assert project.listed() == []


def test_throttling_is_waited_out(project: CloudProject) -> None:
    project.program('aws.ec2.Vpc("net", cidr_block="10.0.0.0/16")')
    project.cloud("fail", VPC, "--throttle", "--times", "3")
    project.up()
    assert project.listed() == ["Vpc"]


def test_what_others_still_use_is_not_destroyed(project: CloudProject) -> None:
    project.program('aws.s3.Bucket("models", bucket="full")')
    project.up()
    project.cloud("put", "full", "model/1")
    assert "BucketNotEmpty: full holds 1 objects" in project.run("destroy", "--yes", ok=False)
    project.program('aws.s3.Bucket("models", bucket="full", force_destroy=True)')
    project.up()
    project.run("destroy", "--yes")
    assert project.listed() == []


def test_secrets_are_nowhere_in_clear_in_the_state(project: CloudProject) -> None:
    project.program(
        """
        secret = aws.secretsmanager.Secret("keys", name="keys", recovery_window_in_days=0)
        aws.secretsmanager.SecretVersion("v", secret_id=secret.id, secret_string=pulumi.Output.secret("sk-very-secret"))
        config = gcp.organizations.get_client_config()
        pulumi.export("token", config.access_token)
        """
    )
    project.up()
    assert project.one("aws:secretsmanager/secretVersion:SecretVersion").properties["secretString"] == "sk-very-secret"
    assert "sk-very-secret" not in project.state_text()


def test_two_providers_of_one_package_keep_their_regions(project: CloudProject) -> None:
    project.program(
        """
        other = aws.Provider("other", region="eu-west-1", default_tags={"tags": {"where": "west"}})
        opts = pulumi.ResourceOptions(provider=other)
        pulumi.export("here", aws.ec2.Vpc("here", cidr_block="10.0.0.0/16").arn)
        pulumi.export("there", aws.ec2.Vpc("there", cidr_block="10.0.0.0/16", opts=opts).arn)
        there = aws.get_region_output(opts=pulumi.InvokeOutputOptions(provider=other))
        pulumi.export("asked", there.region)
        """
    )
    project.up()
    assert ":eu-central-1:" in project.output("here")
    assert ":eu-west-1:" in project.output("there")
    assert project.output("asked") == "eu-west-1"


def test_a_known_preview_shows_what_depends_on_computed_values(project: CloudProject) -> None:
    project.program(
        """
        vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16")
        vpc.arn.apply(lambda arn: pulumi.log.info(f"seen {arn}"))
        """
    )
    assert "seen arn:" not in project.run("preview")
    assert "seen arn:aws:ec2:eu-central-1:123456789012:vpc/vpc-" in project.run("preview", LLMOPS_STANDIN_KNOWN="1")
    assert project.listed() == []
