"""A pretended cluster: a real control plane whose scheduler places pods on GPU nodes that are not there."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import cluster as sandbox_cluster
from sandbox import paths, standin
from sandbox.progress import SILENT
from sandbox.standin import Endpoint, NodeSpec, Taint
from tests.hermetic.project import Api, Project, wait_for

NAME = "llmops-test"
READY_WITHIN = 45  # seconds, on a busy machine; about ten on an idle one
REFUSED_WITHIN = 120  # seconds, of which the provider waits twelve for a node; it would wait 300 without
GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class Started:
    """The cluster, the state directory that remembers it, and how long it took to come."""

    endpoint: Endpoint
    state: Path
    seconds: float


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """One pretended OpenShift cluster for all tests of this file, in a state directory of its own."""
    state = tmp_path_factory.mktemp("standin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMOPS_STATE", str(state))
        patch.setenv("LLMOPS_INSTANCE", "hermetic")
        began = time.monotonic()
        endpoint = standin.create(NAME, platform="openshift", progress=SILENT)
        seconds = time.monotonic() - began
        nodes("gpu-0", "gpu-1")
        standin.set_nodes(NAME, "system", [NodeSpec(name="system-0", cpus=16, memory_gib=64)])
        yield Started(endpoint, state, seconds)
        (entry,) = standin.list()
        standin.delete(NAME, SILENT)
        # Here and not in a test: it must hold whatever the tests did.
        assert sandbox_cluster.leftovers(entry.instance) == []
        assert not paths.state_dir(entry.instance).exists()
        assert standin.list() == ()


@pytest.fixture
def api(started: Started) -> Api:
    return Api(started.endpoint.kubeconfig)


@pytest.fixture
def project(tmp_path: Path, started: Started, api: Api) -> Iterator[Project]:
    """An empty project whose provider sees the pretended cluster; nothing of it stays."""
    project = Project(tmp_path, api)
    project.environment["LLMOPS_STATE"] = str(started.state)
    yield project
    if (project.folder / "__main__.py").exists():
        project.run("destroy", "--yes", "--skip-preview")


def nodes(*names: str, spare: tuple[str, ...] = ()) -> None:
    """Nodes with eight GPUs each, and nodes that may be started."""

    def node(name: str) -> NodeSpec:
        return NodeSpec(name=name, cpus=224, memory_gib=2048, gpus=8, taints=[Taint(GPU, "present")])

    standin.set_nodes(NAME, "gpu", [node(name) for name in names], [node(name) for name in spare])


def node_names(api: Api) -> set[str]:
    found = (api.get("/api/v1/nodes?labelSelector=llmops.sandbox%2Fgroup%3Dgpu") or {})["items"]
    return {node["metadata"]["name"] for node in found}


def deployment(replicas: int, gpus: int = 8) -> str:
    return f"""
        k8s.core.v1.Namespace("llm", metadata={{"name": "llm"}}, opts=opts)
        k8s.apps.v1.Deployment("triton", metadata={{"name": "triton", "namespace": "llm"}},
            spec={{"replicas": {replicas}, "selector": {{"match_labels": {{"app": "triton"}}}},
                  "template": {{"metadata": {{"labels": {{"app": "triton"}}}},
                               "spec": {{"tolerations": [{{"key": "{GPU}", "operator": "Exists"}}],
                                        "containers": [{{"name": "triton", "image": "nvcr.io/nvidia/tritonserver",
                                            "resources": {{"limits": {{"{GPU}": "{gpus}"}}}}}}]}}}}}},
            opts=pulumi.ResourceOptions(provider=cluster, depends_on=[]))
    """


def test_it_is_ready_in_seconds(started: Started) -> None:
    assert started.seconds < READY_WITHIN


def test_pods_are_placed_by_the_gpus_that_the_nodes_have(project: Project, api: Api) -> None:
    project.program(deployment(2))
    project.up()
    pods = (api.get("/api/v1/namespaces/llm/pods") or {})["items"]
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == ["gpu-0", "gpu-1"]

    project.program(deployment(3))
    began = time.monotonic()
    said = project.up(ok=False)
    assert "Insufficient nvidia.com/gpu" in said
    assert time.monotonic() - began < REFUSED_WITHIN

    nodes("gpu-0", "gpu-1", "gpu-2")
    assert node_names(api) == {"gpu-0", "gpu-1", "gpu-2"}
    project.up()
    nodes("gpu-0", "gpu-1")
    assert node_names(api) == {"gpu-0", "gpu-1"}


def test_a_spare_node_is_started_when_a_pod_needs_it_and_stays(project: Project, api: Api) -> None:
    nodes("gpu-0")
    nodes("gpu-0", spare=("gpu-1", "gpu-2"))
    assert node_names(api) == {"gpu-0"}
    project.program(deployment(2))
    project.up()
    assert node_names(api) == {"gpu-0", "gpu-1"}
    nodes("gpu-0", spare=("gpu-1", "gpu-2"))
    assert node_names(api) == {"gpu-0", "gpu-1"}
    nodes("gpu-0", "gpu-1")


def test_a_pod_that_tolerates_no_gpu_node_is_told_so(project: Project) -> None:
    project.program("""
        k8s.batch.v1.Job("job", metadata={"name": "job", "namespace": "default"},
            spec={"template": {"spec": {"restartPolicy": "Never", "nodeSelector": {"kubernetes.io/hostname": "gpu-0"},
                                        "containers": [{"name": "a", "image": "a"}]}}}, opts=opts)
    """)
    assert "untolerated taint" in project.up(ok=False)


def test_a_load_balancer_has_an_address_and_leaves_with_its_service(project: Project, api: Api) -> None:
    path = "/api/v1/namespaces/default/services/public"
    project.program("""
        service = k8s.core.v1.Service("public", metadata={"name": "public", "namespace": "default"},
            spec={"type": "LoadBalancer", "ports": [{"port": 80}],
                  "selector": {"gateway.envoyproxy.io/owning-gateway-name": "public"}}, opts=opts)
        pulumi.export("address", service.status.load_balancer.ingress[0].ip)
    """)
    project.up()
    assert project.output("address").startswith("203.0.113.")
    live = api.get(path) or {}
    assert live["metadata"]["finalizers"] == ["service.kubernetes.io/load-balancer-cleanup"]
    project.run("destroy", "--yes", "--skip-preview")
    assert api.get(path) is None


def test_a_claim_gets_its_volume_from_a_provisioner_that_is_not_there(project: Project, api: Api) -> None:
    project.program("""
        k8s.storage.v1.StorageClass("fast", metadata={"name": "fast"}, provisioner="ebs.csi.aws.com",
            volume_binding_mode="WaitForFirstConsumer", opts=opts)
        k8s.core.v1.PersistentVolumeClaim("data", metadata={"name": "data", "namespace": "default"},
            spec={"storage_class_name": "fast", "access_modes": ["ReadWriteOnce"],
                  "resources": {"requests": {"storage": "1Gi"}}}, opts=opts)
        k8s.batch.v1.Job("reader", metadata={"name": "reader", "namespace": "default"},
            spec={"template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "a", "image": "a", "volumeMounts": [{"name": "d", "mountPath": "/d"}]}],
                "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}}}, opts=opts)
    """)
    project.up()
    claim = api.get("/api/v1/namespaces/default/persistentvolumeclaims/data") or {}
    assert claim["status"]["phase"] == "Bound"
    assert (api.get("/apis/batch/v1/namespaces/default/jobs/reader") or {})["status"]["succeeded"] == 1
    project.run("destroy", "--yes", "--skip-preview")
    volume = f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}"
    wait_for(lambda: api.get(volume) is None, "the volume's removal")


OPERATOR = """
    release = k8s.helm.v3.Release("gpus", name="gpus", chart="gpu-operator", version="{version}", namespace="default",
        repository_opts={{"repo": "https://helm.ngc.nvidia.com/nvidia"}}, values={{"mig": {{"strategy": "single"}}}},
        opts=opts)
    empty = {{"enabled": True}}
    k8s.apiextensions.CustomResource("policy", api_version="nvidia.com/v1", kind="ClusterPolicy",
        metadata={{"name": "policy"}},
        spec={{"operator": {{}}, "daemonsets": {{}}, "driver": {{"enabled": False}}, "toolkit": empty,
              "devicePlugin": empty, "dcgm": empty, "dcgmExporter": empty, "gfd": empty, "nodeStatusExporter": empty,
              "mig": {{"strategy": "{strategy}"}}}},
        opts=pulumi.ResourceOptions(provider=cluster, depends_on=[release]))
    pulumi.export("revision", release.status.revision)
"""


def test_a_chart_that_cannot_be_rendered_is_recorded_and_says_so(project: Project, api: Api) -> None:
    program = {"version": "v26.3.2", "strategy": "single"}
    project.program(OPERATOR.format(**program))
    assert "recorded, not rendered" in project.up()
    assert "2 unchanged" not in project.run("preview", "--expect-no-changes")
    project.program(OPERATOR.format(**{**program, "version": "v26.3.3"}))
    project.up()
    assert project.output("revision") == "2"
    assert "unchanged" in project.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    project.program(OPERATOR.format(**{**program, "strategy": "double"}))
    assert 'Unsupported value: "double"' in project.up(ok=False)
    project.program(OPERATOR.format(**program))
    project.run("destroy", "--yes", "--skip-preview")
    secrets = (api.get("/api/v1/namespaces/default/secrets?labelSelector=owner%3Dhelm") or {})["items"]
    assert secrets == []


def test_charts_with_a_source_are_installed_for_real_and_their_apis_work(project: Project, api: Api) -> None:
    project.program("""
        def chart(name, version, **values):
            return k8s.helm.v3.Release(name, name=name, namespace="default", chart=name, version=version,
                values=values, opts=opts)
        def custom(api_version, kind, spec, release):
            namespaced = kind in ("LeaderWorkerSet", "IPAddressPool")
            k8s.apiextensions.CustomResource(kind.lower(), api_version=api_version, kind=kind,
                metadata={"name": "it", "namespace": "default"} if namespaced else {"name": "it"},
                spec=spec, opts=pulumi.ResourceOptions(provider=cluster, depends_on=[release]))
        certificates = chart("cert-manager", "v1.21.2", crds={"enabled": True})
        custom("cert-manager.io/v1", "ClusterIssuer", {"selfSigned": {}}, certificates)
        karpenter = chart("karpenter", "1.15.0", settings={"clusterName": "x"}, replicas=1)
        tagged = [{"tags": {"cluster": "x"}}]
        custom("karpenter.k8s.aws/v1", "EC2NodeClass", {"role": "nodes", "subnetSelectorTerms": tagged,
            "securityGroupSelectorTerms": tagged, "amiSelectorTerms": [{"alias": "al2023@latest"}]}, karpenter)
        lws = chart("lws", "0.9.0")
        pod = {"spec": {"containers": [{"name": "a", "image": "a"}]}}
        custom("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", {"replicas": 1,
            "leaderWorkerTemplate": {"size": 2, "workerTemplate": pod}}, lws)
        metallb = chart("metallb", "0.16.1", loadBalancerClass="metallb.io/metallb", crds={"enabled": True})
        custom("metallb.io/v1beta1", "IPAddressPool", {"addresses": ["192.0.2.0/28"]}, metallb)
        chart("external-dns", "1.22.0", policy="upsert-only")
        gateway = chart("gateway-helm", "v1.9.1")
        custom("gateway.networking.k8s.io/v1", "GatewayClass",
            {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"}, gateway)
    """)
    project.up()
    live = api.get("/apis/apps/v1/namespaces/default/deployments/envoy-gateway") or {}
    assert live["status"]["readyReplicas"] == 1


def test_a_chart_whose_pods_fit_nowhere_fails_with_the_schedulers_reason(project: Project) -> None:
    project.program("""
        k8s.helm.v3.Release("lws", name="lws", namespace="default", version="0.9.0", timeout=170,
            chart="oci://registry.k8s.io/lws/charts/lws", values={"nodeSelector": {"kubernetes.io/arch": "arm64"}},
            opts=opts)
    """)
    began = time.monotonic()
    assert "didn't match Pod's node affinity/selector" in project.up(ok=False)
    assert time.monotonic() - began < REFUSED_WITHIN


def test_openshifts_own_apis_check_what_is_given_to_them(project: Project, api: Api) -> None:
    project.program("""
        subscription = k8s.apiextensions.CustomResource("nfd", api_version="operators.coreos.com/v1alpha1",
            kind="Subscription", metadata={"name": "nfd", "namespace": "default"},
            spec={"name": "nfd", "source": "redhat-operators", "sourceNamespace": "openshift-marketplace",
                  "channel": "stable"}, opts=opts)
        k8s.apiextensions.CustomResource("features", api_version="nfd.openshift.io/v1", kind="NodeFeatureDiscovery",
            metadata={"name": "features", "namespace": "default"}, spec={"operand": {"servicePort": 12000}},
            opts=pulumi.ResourceOptions(provider=cluster, depends_on=[subscription]))
        k8s.apiextensions.CustomResource("door", api_version="route.openshift.io/v1", kind="Route",
            metadata={"name": "door", "namespace": "default"},
            spec={"to": {"kind": "Service", "name": "public"}, "tls": {"termination": "edge"}}, opts=opts)
    """)
    assert "operator nfd: recorded, not installed" in project.up()


def test_a_clouds_own_kubeconfig_reaches_the_pretended_cluster(project: Project, started: Started) -> None:
    document = json.loads(started.endpoint.kubeconfig.read_text())
    document["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "aws",
            "args": ["eks", "get-token", "--cluster-name", NAME],
        }
    }
    project.program("""
        k8s.core.v1.ConfigMap("note", metadata={"name": "note", "namespace": "default"}, data={"a": "b"}, opts=opts)
    """)
    project.up(TEST_KUBECONFIG=json.dumps(document))
    project.run("destroy", "--yes", "--skip-preview", TEST_KUBECONFIG=json.dumps(document))


def test_it_survives_being_asked_for_again(started: Started) -> None:
    assert standin.create(NAME, platform="openshift", progress=SILENT) == started.endpoint
    assert os.environ["LLMOPS_STATE"] == str(started.state)
