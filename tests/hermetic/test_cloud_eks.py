"""The eks component through the real engine, with the children that the real one registers."""

import os
from pathlib import Path

import pytest

from tests.hermetic.cloud import CloudProject

PROGRAM = """
import pulumi_eks as eks

vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16")
subnets = [
    aws.ec2.Subnet(f"s{index}", vpc_id=vpc.id, cidr_block=f"10.0.{index}.0/24", availability_zone=f"eu-central-1{zone}")
    for index, zone in enumerate("ab")
]
key = aws.kms.Key("envelope", enable_key_rotation=True, deletion_window_in_days=7)
cluster = eks.Cluster(
    "main",
    name="llm",
    version="@version@",
    vpc_id=vpc.id,
    private_subnet_ids=[subnet.id for subnet in subnets],
    authentication_mode=eks.AuthenticationMode.API,
    encryption_config_key_arn=key.arn,
    endpoint_private_access=True,
    endpoint_public_access=False,
    access_entries={
        "admin": eks.AccessEntryArgs(
            principal_arn="arn:aws:iam::123456789012:role/admins",
            access_policies={
                "all": eks.AccessPolicyAssociationArgs(
                    access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                    policy_arn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
                )
            },
        )
    },
    create_oidc_provider=True,
    skip_default_node_group=True,
    skip_default_security_groups=True,
    use_default_vpc_cni=True,
    create_instance_role=False,
)
role = aws.iam.Role("nodes", assume_role_policy=trust)
group = aws.eks.NodeGroup(
    "gpu",
    cluster_name=cluster.eks_cluster.name,
    node_group_name="gpu",
    node_role_arn=role.arn,
    subnet_ids=[subnet.id for subnet in subnets],
    scaling_config={"min_size": 0, "desired_size": 0, "max_size": 2},
    instance_types=["p5.48xlarge"],
)
pulumi.export("kubeconfig", cluster.kubeconfig_json)
pulumi.export("group", cluster.cluster_security_group_id)
pulumi.export("issuer", cluster.oidc_issuer)
pulumi.export("provider", cluster.oidc_provider_arn)
"""
CHILDREN = {
    "main": "eks:index:Cluster",
    "main-eksRole": "eks:index:ServiceRole",
    "main-eksRole-role": "aws:iam/role:Role",
    "main-eksRole-4b490823": "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "main-eksCluster": "aws:eks/cluster:Cluster",
    "main-kube-proxy": "aws:eks/addon:Addon",
    "main-admin": "aws:eks/accessEntry:AccessEntry",
    "main-admin-all": "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
    "main-oidcProvider": "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
}


# The kubeconfig logs in with the aws command, and the component's own Kubernetes provider asks for it at once.
AWS = """#!/bin/sh
echo '{"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential", "status": {"token": "none"}}'
"""


@pytest.fixture
def project(tmp_path: Path) -> CloudProject:
    command = tmp_path / "bin" / "aws"
    command.parent.mkdir()
    command.write_text(AWS)
    command.chmod(0o755)
    made = CloudProject(tmp_path)
    made.environment["PATH"] = f"{command.parent}{os.pathsep}{made.environment['PATH']}"
    return made


def test_the_component_has_the_real_ones_children_and_outputs(project: CloudProject) -> None:
    project.program(PROGRAM.replace("@version@", "1.33"))
    previewed = project.run("preview")
    assert "eks:index:Cluster" in previewed
    assert "main-eksCluster" in previewed
    project.up()
    found = {name: item["type"] for name, item in project.managed().items() if name.startswith("main")}
    assert found == CHILDREN
    assert '"command": "aws"' in project.output("kubeconfig")
    assert project.output("group").startswith("sg-")
    assert project.output("issuer").startswith("oidc.eks.eu-central-1.amazonaws.com/id/")
    assert project.output("provider").endswith(project.output("issuer"))
    config = project.one("aws:eks/cluster:Cluster").properties
    assert config["encryptionConfig"]["provider"]["keyArn"].startswith("arn:aws:kms:")
    assert config["accessConfig"]["authenticationMode"] == "API"

    assert "created" not in project.up()
    project.program(PROGRAM.replace("@version@", "1.34"))
    assert "main-eksCluster" in (upgraded := project.up())
    assert "replaced" not in upgraded
    assert project.one("aws:eks/cluster:Cluster").properties["version"] == "1.34"
    project.run("destroy", "--yes")
    assert project.listed() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("skip_default_node_group=False", "skipDefaultNodeGroup must be true in the stand-in"),
        ("fargate=True", "fargate has no rule in the stand-in's eks.Cluster"),
        ("authentication_mode=eks.AuthenticationMode.CONFIG_MAP", "authenticationMode must be API"),
    ],
)
def test_what_is_not_read_from_the_component_is_refused(project: CloudProject, change: str, said: str) -> None:
    name, _, _ = change.partition("=")
    rest = {
        "skip_default_node_group": "True",
        "authentication_mode": "eks.AuthenticationMode.API",
        "vpc_id": '"vpc-1"',
        "subnet_ids": '["subnet-1"]',
    }
    arguments = ", ".join([change, *(f"{key}={value}" for key, value in rest.items() if key != name)])
    project.program(f'import pulumi_eks as eks\neks.Cluster("main", {arguments})')
    assert said in project.run("preview", ok=False)
