"""Pretended EKS and GKE clusters have a real API server and scheduler: pods land on the group that they fit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hermetic.cloud import CloudProject

POD = """
import base64
import pulumi_kubernetes as k8s

def pod(name, provider, selector, gpus, tolerations=None):
    return k8s.core.v1.Pod(
        name,
        metadata={"name": name, "namespace": "default"},
        spec={
            "nodeSelector": selector,
            "tolerations": tolerations,
            "containers": [
                {"name": "c", "image": "none", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}},
            ],
        },
        opts=pulumi.ResourceOptions(provider=provider),
    )
"""
GKE = """
network = gcp.compute.Network("net", auto_create_subnetworks=False)
nodes = gcp.compute.Subnetwork("nodes", network=network.id, ip_cidr_range="10.0.0.0/20")
cluster = gcp.container.Cluster(
    "gke", name="gke-test", location="europe-west4", network=network.id, subnetwork=nodes.id,
    initial_node_count=1, remove_default_node_pool=True, deletion_protection=False,
)
system = gcp.container.NodePool(
    "system", name="system", cluster=cluster.id, location="europe-west4", node_count=1,
    node_config={"machine_type": "e2-standard-4"},
)
gpu = gcp.container.NodePool(
    "gpu", name="gpu", cluster=cluster.id, location="europe-west4", initial_node_count=0,
    autoscaling={"total_min_node_count": 0, "total_max_node_count": 2},
    node_config={
        "machine_type": "a3-highgpu-8g",
        "guest_accelerators": [{"type": "nvidia-h100-80gb", "count": 8}],
    },
    opts=pulumi.ResourceOptions(depends_on=[system]),
)
def config(values):
    endpoint, authority = values
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "gke",
        "clusters": [
            {"name": "gke", "cluster": {"server": f"https://{endpoint}", "certificate-authority-data": authority}},
        ],
        "contexts": [{"name": "gke", "context": {"cluster": "gke", "user": "gke"}}],
        "users": [{"name": "gke", "user": {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "gke-gcloud-auth-plugin",
            "interactiveMode": "Never", "provideClusterInfo": True,
        }}}],
    })
parts = [cluster.endpoint, cluster.master_auth.cluster_ca_certificate]
provider = k8s.Provider("cluster", kubeconfig=pulumi.Output.all(*parts).apply(config), cluster_identifier="gke-test",
                        opts=pulumi.ResourceOptions(depends_on=[gpu]))
served = pod("served", provider, {"cloud.google.com/gke-accelerator": "nvidia-h100-80gb"}, 8,
             [{"key": "nvidia.com/gpu", "operator": "Exists"}])
pulumi.export("node", served.spec.node_name)
"""
EKS = """
import pulumi_eks as eks
vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16")
subnets = [
    aws.ec2.Subnet(f"s{i}", vpc_id=vpc.id, cidr_block=f"10.0.{i}.0/24", availability_zone=f"eu-central-1{z}").id
    for i, z in enumerate("ab")
]
cluster = eks.Cluster(
    "eks", name="eks-test", version="1.34", vpc_id=vpc.id, private_subnet_ids=subnets,
    authentication_mode=eks.AuthenticationMode.API, skip_default_node_group=True, skip_default_security_groups=True,
    use_default_vpc_cni=True, create_instance_role=False,
)
role = aws.iam.Role("nodes", assume_role_policy=trust)
gpu = aws.eks.NodeGroup(
    "gpu", cluster_name="eks-test", node_group_name="gpu", node_role_arn=role.arn, subnet_ids=subnets,
    scaling_config={"min_size": 0, "desired_size": 0, "max_size": 2}, instance_types=["p5.48xlarge"],
    opts=pulumi.ResourceOptions(depends_on=[cluster]),
)
provider = k8s.Provider("cluster", kubeconfig=cluster.kubeconfig_json, cluster_identifier="eks-test",
                        opts=pulumi.ResourceOptions(depends_on=[gpu]))
served = pod("served", provider, {"eks.amazonaws.com/nodegroup": "gpu"}, 8)
pulumi.export("node", served.spec.node_name)
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[CloudProject]:
    made = CloudProject(tmp_path, clusters=True, instance="hermcloud")
    yield made
    made.stop_clusters()


@pytest.mark.parametrize(("program", "node"), [(GKE, "gke-gke-test-gpu-"), (EKS, "ip-10-")], ids=["gke", "eks"])
def test_a_pod_runs_on_the_gpu_group_of_a_pretended_cluster(project: CloudProject, program: str, node: str) -> None:
    project.program(POD + program)
    assert "served create" in project.run("preview")
    assert project.clusters() == []
    project.up()
    assert project.output("node").startswith(node)
    assert "created" not in project.up()
    # With more than a machine has, the scheduler says no.
    project.program(POD + program.replace("}, 8", "}, 9"))
    assert "Insufficient nvidia.com/gpu" in project.up(ok=False)
    project.program(POD + program)
    project.run("destroy", "--yes")
    assert project.listed() == []
    assert project.clusters() == []
