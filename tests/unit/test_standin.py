"""Pretended clusters: what their nodes have, how they are named, and who may reach them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sandbox import paths, standin
from sandbox.cluster import stages
from sandbox.cluster.errors import ClusterError
from sandbox.standin import NodeSpec, Taint, nodes, servers, table
from sandbox.standin.reserved import reserved
from sandbox.standin.table import Pretended
from stacks.machines import DGX, GPUS


@dataclass(frozen=True)
class P5:
    name: str = "p5.48xlarge"
    cpus: int = 192
    memory_gib: int = 2048
    gpus: int = 8


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMOPS_STATE", str(tmp_path))
    monkeypatch.setenv("LLMOPS_INSTANCE", "local")
    return tmp_path


def node(**changes: object) -> NodeSpec:
    spec = NodeSpec.of(P5(), "gpu-0", platform="eks", taints=[Taint("nvidia.com/gpu", "true")])
    return replace(spec, **changes)  # pyright: ignore[reportArgumentType] (the fields' own types)


def test_a_node_has_what_its_machine_type_has() -> None:
    found = nodes.manifest(node(devices={"vpc.amazonaws.com/efa": 32}), "gpu")
    assert found["status"]["capacity"] == {
        "cpu": "192",
        "memory": "2048Gi",
        "ephemeral-storage": "200Gi",
        "pods": "110",
        "nvidia.com/gpu": "8",
        "vpc.amazonaws.com/efa": "32",
    }
    assert found["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "p5.48xlarge"
    assert found["spec"]["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]


def test_pods_may_not_have_what_the_kubelet_keeps() -> None:
    found = nodes.allocatable(node())
    assert found["nvidia.com/gpu"] == "8"
    # nodeadm: 60 + 10 + 2 × 5 + 188 × 2.5 millicores; 255 + 11 × 110 MiB, and 100 MiB before eviction
    assert found["cpu"] == f"{192_000 - 550}m"
    assert found["memory"] == f"{2048 * 1024 - 255 - 1210 - 100}Mi"


def test_gke_keeps_a_share_of_memory_that_falls_with_its_size() -> None:
    # Google's own example in "Plan node sizes": 8 GiB lose 25 % of the first 4 and 20 % of the next 4.
    assert reserved("gke", 2, 8, 100, 110).memory_mib == round(1024 * (1.0 + 0.8)) + 100
    assert reserved("gke", 2, 8, 100, 110).cpu_milli == 70


def test_a_node_without_gpus_has_no_gpu_resource() -> None:
    assert nodes.GPU not in nodes.capacity(NodeSpec(name="a", cpus=4, memory_gib=16))


def test_only_kwok_plays_a_pretended_node() -> None:
    assert nodes.manifest(node(), "gpu")["metadata"]["annotations"]["kwok.x-k8s.io/node"] == "fake"


@pytest.mark.parametrize(
    ("change", "found"),
    [({}, "nothing"), ({"labels": {"a": "b"}}, "marks"), ({"taints": ()}, "marks"), ({"gpus": 4}, "machine")],
)
def test_a_node_is_only_replaced_when_it_is_another_machine(change: dict[str, object], found: str) -> None:
    assert nodes.compare(nodes.record(node()), node(**change)) == found


def test_a_cluster_has_an_instance_of_its_own_in_every_sandbox(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = table.instance_of("llmops-aws")
    assert table.instance_of("llmops-gcp") != first
    monkeypatch.setenv("LLMOPS_INSTANCE", "other")
    assert table.instance_of("llmops-aws") != first
    monkeypatch.setenv("LLMOPS_INSTANCE", "local")
    assert table.instance_of("llmops-aws") == first
    assert paths.INSTANCE_NAME.fullmatch(first)


def test_a_sandbox_lists_its_own_clusters_and_no_others(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered("one", "https://10.246.1.2:6443")
    monkeypatch.setenv("LLMOPS_INSTANCE", "other")
    remembered("two", "https://10.246.2.2:6443")
    assert [entry.name for entry in standin.list()] == ["two"]
    table.forget("one")  # not this sandbox's
    monkeypatch.setenv("LLMOPS_INSTANCE", "local")
    assert [entry.name for entry in standin.list()] == ["one"]


def test_credentials_are_those_of_the_server_that_is_asked_for(state: Path) -> None:
    entry = remembered("one", "https://10.246.1.2:6443")
    assert standin.credentials(entry.server) is None  # never started
    path = paths.kubeconfig(entry.instance)
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    assert standin.credentials(entry.server) == "{}"
    assert standin.credentials("https://ABCDEF.gr7.eu-central-1.eks.amazonaws.com") is None


def test_nodes_of_a_cluster_that_is_not_there_are_refused(state: Path) -> None:
    remembered("llmops-aws", "")
    with pytest.raises(
        ClusterError, match="no pretended cluster 'llmops-aws-2' in sandbox 'local'; there is llmops-aws"
    ):
        standin.set_nodes("llmops-aws-2", "gpu", [])


def test_deleting_a_cluster_that_is_not_there_does_nothing(state: Path) -> None:
    standin.delete("llmops-aws")


def test_every_platform_says_how_its_load_balancers_are_reached(tmp_path: Path) -> None:
    for name in stages.UPSTREAM:
        file = tmp_path / "kustomize" / "stage" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("kind: Stage")
    assert ".elb.standin.invalid" in stages.render(tmp_path, "hostname")
    assert "203.0.113." in stages.render(tmp_path, "address")
    assert "@INGRESS@" not in stages.render(tmp_path, "address")


def test_a_record_of_a_node_is_text_that_can_be_compared() -> None:
    assert json.loads(nodes.record(node()))["gpus"] == 8


def remembered(name: str, server: str) -> Pretended:
    instance = table.instance_of(name)
    entry = Pretended(name=name, sandbox=paths.instance(), instance=instance, platform="eks", server=server)
    table.remember(entry)
    return entry


def test_a_server_is_labelled_as_the_gpu_operator_labels_it() -> None:
    found = servers.server(DGX["dgx-h100"], "dgx-0", devices={"rdma/rdma_shared_device_a": 63})
    assert nodes.capacity(found)["nvidia.com/gpu"] == "8"
    assert nodes.capacity(found)["rdma/rdma_shared_device_a"] == "63"
    assert found.labels["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3"
    assert found.labels["nvidia.com/gpu.machine"] == "DGXH100"
    assert (found.cpus, found.memory_gib) == (224, 2048)


def test_feature_discovery_knows_every_gpu_of_the_machine_table() -> None:
    assert servers.PRODUCTS.keys() == GPUS.keys()
