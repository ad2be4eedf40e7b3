"""Node groups of EKS and GKE as the nodes that Kubernetes would see."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from sandbox.provider.cloud import clusters
from sandbox.provider.cloud.behaviours import eks, gke
from sandbox.provider.cloud.clusters import Endpoint, Node, Platform
from sandbox.provider.contract import ProviderError
from tests.unit.cloud_rig import CLUSTER, GROUP, Account, RefusedError

POOL = "gcp:container/nodePool:NodePool"
GKE = "gcp:container/cluster:Cluster"


class Recorded:
    """Control planes that only remember what they were asked for."""

    def __init__(self) -> None:
        self.clusters: dict[str, dict[str, Sequence[Node]]] = {}

    def create(self, name: str, platform: Platform) -> Endpoint:
        self.clusters.setdefault(name, {})
        return Endpoint(f"https://10.9.8.7:{6000 + len(self.clusters)}", b"PEM")

    def set_nodes(self, name: str, group: str, platform: Platform, nodes: Sequence[Node]) -> None:
        self.clusters[name][group] = nodes

    def delete(self, name: str) -> None:
        self.clusters.pop(name, None)


@pytest.fixture
def planes(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    found = Recorded()
    for module in (eks, gke):
        monkeypatch.setattr(module, "control_planes", lambda: found)
    return found


def test_an_eks_group_is_nodes_of_its_machine_type(planes: Recorded, tmp_path: Path) -> None:
    aws = Account(tmp_path)
    name, cluster = aws.cluster("llm")
    assert cluster["endpoint"] == "https://10.9.8.7:6001"
    assert cluster["certificateAuthority"] == {"data": "UEVN"}
    template, _ = aws.create(
        "aws:ec2/launchTemplate:LaunchTemplate",
        "t",
        instanceType="p5.48xlarge",
        networkInterfaces=[{"interfaceType": "efa", "networkCardIndex": i} for i in range(32)],
    )
    group = {
        "clusterName": name,
        "nodeGroupName": "gpu",
        "nodeRoleArn": cluster["roleArn"],
        "subnetIds": cluster["vpcConfig"]["subnetIds"],
        "scalingConfig": {"minSize": 0, "desiredSize": 0, "maxSize": 3},
        "launchTemplate": {"id": template, "version": "1"},
        "labels": {"pool": "gpu"},
        "taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}],
        "capacityType": "SPOT",
    }
    identifier, _ = aws.create(GROUP, "gpu", **group)
    assert identifier == "llm:gpu"
    nodes = planes.clusters["llm"]["gpu"]
    assert len({node.name for node in nodes}) == 3
    first = nodes[0]
    assert first.machine == "p5.48xlarge"
    assert first.taints == [("nvidia.com/gpu", "true", "NoSchedule")]
    assert first.devices == {"vpc.amazonaws.com/efa": 32}
    assert first.labels == {
        "eks.amazonaws.com/nodegroup": "gpu",
        "eks.amazonaws.com/capacityType": "SPOT",
        "node.kubernetes.io/instance-type": "p5.48xlarge",
        "topology.kubernetes.io/region": "eu-central-1",
        "topology.kubernetes.io/zone": "eu-central-1a",
        "pool": "gpu",
    }
    assert [node.labels["topology.kubernetes.io/zone"][-1] for node in nodes] == ["a", "b", "a"]
    aws.update(
        GROUP, "gpu", identifier, group, **{**group, "scalingConfig": {"minSize": 0, "desiredSize": 1, "maxSize": 5}}
    )
    assert len(planes.clusters["llm"]["gpu"]) == 5
    aws.delete(GROUP, "gpu", identifier)
    assert planes.clusters["llm"]["gpu"] == []
    aws.delete(CLUSTER, "cluster", name)
    assert planes.clusters == {}


def test_a_machine_type_that_nobody_knows_is_refused(planes: Recorded, tmp_path: Path) -> None:
    aws = Account(tmp_path)
    name, cluster = aws.cluster("llm")
    with pytest.raises(
        ProviderError, match=r"'t3.nano' is no machine type that the stand-in knows: add it to stacks/machines"
    ):
        aws.create(
            GROUP,
            "x",
            clusterName=name,
            nodeRoleArn=cluster["roleArn"],
            subnetIds=cluster["vpcConfig"]["subnetIds"],
            scalingConfig={"minSize": 1, "desiredSize": 1, "maxSize": 1},
            instanceTypes=["t3.nano"],
        )


def test_a_gke_pool_carries_gkes_own_labels_and_taint(planes: Recorded, tmp_path: Path) -> None:
    gcp = Account(tmp_path, "gcp")
    identifier, cluster = gcp.create(
        GKE,
        "c",
        name="llm",
        location="europe-west4",
        initialNodeCount=1,
        removeDefaultNodePool=True,
        deletionProtection=False,
    )
    assert cluster["endpoint"] == "10.9.8.7:6001"
    assert planes.clusters == {"llm": {}}
    common = {"cluster": identifier, "location": "europe-west4"}
    system = {"nodeConfig": {"machineType": "e2-standard-4"}, "nodeCount": 1, "name": "system"}
    gcp.create(POOL, "system", **common, **system)
    assert len(planes.clusters["llm"]["system"]) == 3  # one in each zone
    gpu = {
        "name": "gpu",
        "nodeLocations": ["europe-west4-b"],
        "autoscaling": {"totalMinNodeCount": 0, "totalMaxNodeCount": 2},
        "nodeConfig": {
            "machineType": "a3-highgpu-8g",
            "spot": True,
            "labels": {"pool": "gpu"},
            "guestAccelerators": [{"type": "nvidia-h100-80gb", "count": 8}],
        },
    }
    pool, _ = gcp.create(POOL, "gpu", **common, **gpu)
    nodes = planes.clusters["llm"]["gpu"]
    assert len(nodes) == 2
    assert nodes[0].taints == [("nvidia.com/gpu", "present", "NoSchedule")]
    assert (
        nodes[0].labels.items()
        >= {
            "cloud.google.com/gke-nodepool": "gpu",
            "cloud.google.com/gke-accelerator": "nvidia-h100-80gb",
            "cloud.google.com/gke-spot": "true",
            "node.kubernetes.io/instance-type": "a3-highgpu-8g",
            "topology.kubernetes.io/region": "europe-west4",
            "topology.kubernetes.io/zone": "europe-west4-b",
            "pool": "gpu",
        }.items()
    )
    wrong = [{"type": "nvidia-h100-80gb", "count": 4}]
    with pytest.raises(RefusedError, match=r"a3-highgpu-8g comes with 8 nvidia-h100-80gb, not with 4"):
        gcp.check(POOL, "y", {**common, "nodeConfig": {"machineType": "a3-highgpu-8g", "guestAccelerators": wrong}})
    gcp.delete(POOL, "gpu", pool)
    assert planes.clusters["llm"]["gpu"] == []


def test_a_protected_gke_cluster_is_not_deleted(planes: Recorded, tmp_path: Path) -> None:
    gcp = Account(tmp_path, "gcp")
    identifier, _ = gcp.create(
        GKE, "c", name="llm", location="europe-west4", initialNodeCount=1, removeDefaultNodePool=True
    )
    with pytest.raises(ProviderError, match=r"because deletionProtection is true"):
        gcp.delete(GKE, "c", identifier)


def test_without_control_planes_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clusters.VARIABLE, "none")
    _, cluster = Account(tmp_path).cluster()
    assert cluster["endpoint"] == clusters.NOWHERE
