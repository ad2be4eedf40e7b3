"""What the Kubernetes provider does differently in a pretended cluster."""

import base64
import gzip
import json
import threading
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from sandbox import standin
from sandbox.provider.contract import ProviderError, Task
from sandbox.provider.kubernetes import charts, helm, kubeconfig, recorded
from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.identity import Reference
from sandbox.provider.kubernetes.readiness import services
from sandbox.provider.kubernetes.readiness.failed import FailedError
from sandbox.provider.kubernetes.readiness.pretended import WITHOUT_NODE, Impatient, adapt
from sandbox.provider.kubernetes.rest import Json

SERVER = "https://10.246.9.2:6443"
OWN = {
    "clusters": [{"name": "llmops", "cluster": {"server": SERVER}}],
    "users": [{"name": "admin", "user": {"client-certificate-data": "YQ==", "client-key-data": "Yg=="}}],
    "contexts": [{"name": "llmops", "context": {"cluster": "llmops", "user": "admin"}}],
    "current-context": "llmops",
}
NODES = "1 of 2 replicas available; pod x: Unschedulable: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu."


def task(said: list[str]) -> Task:
    return Task(
        urn="urn", type="t", name="x", status=said.append, warn=said.append, cancelled=threading.Event(), timeout=0
    )


def adapted(reference: Reference, live: Json | None = None) -> tuple[Any, list[str]]:
    said: list[str] = []
    rule = adapt(task(said), cast(Cluster, None), reference, services.service, live or {})
    return rule, said


def cloud_user(server: str, command: str) -> str:
    document: dict[str, Any] = json.loads(json.dumps(OWN))
    document["clusters"][0]["cluster"] |= {"server": server, "certificate-authority-data": "Yw=="}
    document["users"][0]["user"] = {"exec": {"command": command, "args": ["eks", "get-token"]}}
    document["contexts"][0]["context"]["namespace"] = "llm"
    return json.dumps(document)


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standin, "credentials", lambda server: json.dumps(OWN) if server == SERVER else None)


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("command", ["aws", "/usr/local/bin/aws", "gke-gcloud-auth-plugin"])
def test_a_clouds_user_of_a_pretended_cluster_gets_the_stand_ins_credentials(command: str) -> None:
    access = kubeconfig.parse(cloud_user(SERVER, command))
    assert (access.certificate, access.key) == (b"a", b"b")
    assert access.authority == b"c"  # the cluster's own answer is what is trusted, not ours
    assert access.namespace == "llm"
    assert json.loads(access.content) == OWN  # helm would run the plugin otherwise


@pytest.mark.usefixtures("pretended")
def test_a_real_clusters_user_is_asked_as_ever() -> None:
    with pytest.raises(ProviderError, match="needs /nowhere/aws, which is not installed"):
        kubeconfig.parse(cloud_user("https://ABC.gr7.eu-central-1.eks.amazonaws.com", "/nowhere/aws"))


def test_objects_of_absent_controllers_are_not_waited_for() -> None:
    rule, said = adapted(Reference("gateway.networking.k8s.io/v1", "Gateway", "public", "llm"))
    assert rule is None
    assert said == ["not waited for: its controller does not run in a pretended cluster"]


def test_deployments_are_waited_for_as_ever() -> None:
    rule, said = adapted(Reference("apps/v1", "Deployment", "x", "llm"))
    assert rule is not None
    assert said == []


def test_a_service_in_front_of_an_absent_controllers_pods_needs_its_address_alone() -> None:
    live = {"spec": {"type": "LoadBalancer", "selector": {"gateway.envoyproxy.io/owning-gateway-name": "public"}}}
    rule, said = adapted(Reference("v1", "Service", "public", "llm"), live)
    assert "Envoy Gateway" in said[0]
    assert rule(cast(Cluster, None), live) == "an address from the cluster's load balancer"
    assert rule(cast(Cluster, None), {**live, "status": {"loadBalancer": {"ingress": [{"ip": "a"}]}}}) is None


def test_any_other_service_needs_a_pod() -> None:
    rule, _ = adapted(Reference("v1", "Service", "x", "llm"), {"spec": {"selector": {"app": "x"}}})
    assert rule is services.service


def test_a_pod_without_a_node_is_given_up_with_the_schedulers_reason() -> None:
    now = [0.0]
    rule = Impatient(lambda _cluster, live: live["missing"], lambda _cluster: [], lambda: now[0])
    nobody = cast(Cluster, None)
    assert rule(nobody, {"missing": NODES}) == NODES
    now[0] = WITHOUT_NODE
    assert rule(nobody, {"missing": NODES}) == NODES
    now[0] = WITHOUT_NODE + 0.1
    with pytest.raises(FailedError, match=r"no node takes its pods: .*2 Insufficient nvidia"):
        rule(nobody, {"missing": NODES})


def test_a_pod_that_found_a_node_meanwhile_is_waited_for_again() -> None:
    now = [0.0]
    rule = Impatient(lambda _cluster, live: live["missing"], lambda _cluster: [], lambda: now[0])
    nobody = cast(Cluster, None)
    rule(nobody, {"missing": NODES})
    now[0] = WITHOUT_NODE * 2
    rule(nobody, {"missing": "1 of 2 replicas available"})
    assert rule(nobody, {"missing": NODES}) == NODES


class FakeRest:
    """Holds the Secrets of one namespace."""

    def __init__(self) -> None:
        self.secrets: dict[str, Json] = {}

    def request(self, method: str, path: str, *, query: Json | None = None, body: Any = None) -> Json:
        if method == "POST":
            self.secrets[body["metadata"]["name"]] = body
        if method == "DELETE":
            del self.secrets[path.rpartition("/")[2]]
        return {"items": list(self.secrets.values())}


class FakeCluster:
    """All that recording needs of one."""

    def __init__(self) -> None:
        self.rest = FakeRest()


INPUTS = {"name": "gpus", "namespace": "system", "chart": "gpus-chart", "version": "v26.3.2", "values": {"a": 1}}


def test_a_recorded_release_is_read_as_helms_own() -> None:
    said: list[str] = []
    cluster = cast(Cluster, FakeCluster())
    found = recorded.install(task(said), cluster, INPUTS)
    assert found == helm.stored(cluster, "system", "gpus")
    assert (found.chart, found.version, found.status, found.values) == ("gpus-chart", "v26.3.2", "deployed", {"a": 1})
    assert "recorded, not rendered" in said[-1]


def test_an_upgrade_is_the_next_revision_and_the_only_one_kept() -> None:
    cluster = FakeCluster()
    recorded.install(task([]), cast(Cluster, cluster), INPUTS)
    found = recorded.install(task([]), cast(Cluster, cluster), {**INPUTS, "version": "v26.3.3"})
    assert (found.revision, found.version) == (2, "v26.3.3")
    assert list(cluster.rest.secrets) == ["sh.helm.release.v1.gpus.v2"]


def test_a_record_says_what_it_is() -> None:
    cluster = FakeCluster()
    recorded.install(task([]), cast(Cluster, cluster), INPUTS)
    (secret,) = cluster.rest.secrets.values()
    record = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    assert record["info"]["description"] == "recorded, not rendered"
    assert record["manifest"] == ""


def test_a_chart_is_known_by_its_name_wherever_it_is_published() -> None:
    assert charts.find("oci://registry.example.com/mirror/cert-manager", "1.21.2") is charts.find(
        "cert-manager", "v1.21.2"
    )
    assert charts.find("gpu-operator", "v26.3.2") is None


OWN_FILES = sorted(recorded.OWN.rglob("*.yaml"))


@pytest.mark.parametrize("file", OWN_FILES, ids=lambda file: file.name)
def test_our_own_crds_say_that_they_stand_in_and_what_for(file: Path) -> None:
    head = "".join(line for line in file.read_text().splitlines(True) if line.startswith("#"))
    assert head.startswith("# A stand-in for")
    assert "After" in head
    for document in yaml.safe_load_all(file.read_text()):
        group, names = document["spec"]["group"], document["spec"]["names"]
        assert document["metadata"]["name"] == f"{names['plural']}.{group}"


def test_every_file_of_the_tables_is_there() -> None:
    own = [s for table in (recorded.APIS, recorded.PACKAGES) for sources in table.values() for s in sources]
    assert all((recorded.OWN / path).is_file() for source in own if not source.module for path in source.paths)


def test_a_pod_is_waited_for_while_nodes_are_started_for_it() -> None:
    now, spare = [0.0], [["gpu-1"], []]
    rule = Impatient(lambda _cluster, live: live["missing"], lambda _cluster: spare.pop(0), lambda: now[0])
    assert "starting gpu-1" in (rule(cast(Cluster, None), {"missing": NODES}) or "")
    now[0] = WITHOUT_NODE * 2
    assert rule(cast(Cluster, None), {"missing": NODES}) == NODES
