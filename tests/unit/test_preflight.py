"""The look at an existing cluster before anything on it is changed: each finding is one sentence with its setting."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.kube_reader import KubeReader
from components.kubeconfig import KubeError, parse
from components.preflight import Needs, PoolNeed, failures
from tests.unit.fake_api import FakeApi, cluster, node

POOL = PoolNeed(key="dgx.pools[0]", nodes=2, gpus=8, gpu="h100-80gb", selector={"pool": "h100"})
NEEDS = Needs(distribution="kubernetes", pools=(POOL,), system_selector={})
HEALTHY = (node("dgx-1", POOL.selector), node("dgx-2", POOL.selector))


def look(objects: dict[str, Any], needs: Needs = NEEDS) -> list[str]:
    with FakeApi(objects) as api:
        return failures(KubeReader(parse(api.kubeconfig())), needs)


def pool(**changes: Any) -> Needs:
    return replace(NEEDS, pools=(replace(POOL, **changes),))


def test_a_cluster_that_is_as_the_settings_say_passes() -> None:
    assert look(cluster(*HEALTHY)) == []


def test_an_old_kubernetes_is_refused() -> None:
    assert look(cluster(*HEALTHY, version="v1.29.9-gke.1")) == [
        "dgx.kubeconfig: its cluster runs Kubernetes v1.29.9-gke.1; upgrade it to 1.30 or later"
    ]


def test_missing_nodes_are_counted_and_those_that_sleep_are_named() -> None:
    objects = cluster(node("dgx-1", POOL.selector), node("dgx-2", POOL.selector, ready=False), node("other"))
    assert look(objects) == [
        "dgx.pools[0].nodes: 1 Ready nodes have the labels pool=h100 (dgx-2 not Ready or cordoned), and 2 are needed; "
        "label or repair the others, or lower it"
    ]
    assert "dgx-2 not Ready or cordoned" in look(cluster(HEALTHY[0], node("dgx-2", POOL.selector, cordoned=True)))[0]


def test_a_host_that_is_not_there_is_named() -> None:
    found = look(cluster(node("dgx-1")), pool(selector={}, hosts=("dgx-1", "dgx-9"), nodes=1))
    assert found == ["dgx.pools[0].hosts: the cluster has no node dgx-9; correct the names"]


def test_without_selector_and_hosts_every_worker_counts_and_no_control_plane() -> None:
    master = node("cp-1", {"node-role.kubernetes.io/control-plane": ""}, gpus=None)
    assert look(cluster(master, node("dgx-1"), node("dgx-2")), pool(selector={})) == []


def test_a_broken_gpu_is_noticed() -> None:
    assert look(cluster(HEALTHY[0], node("dgx-2", POOL.selector, gpus=7))) == [
        "dgx.pools[0].machine: node dgx-2 offers 7 of 8 GPUs; "
        "repair it (kubectl describe node), or name the machine that it is"
    ]


def test_gpus_are_not_missed_before_the_operator_that_reports_them_is_there() -> None:
    objects = cluster(node("dgx-1", POOL.selector, gpus=None), node("dgx-2", POOL.selector, gpus=None))
    assert look(objects) == []
    objects["/apis/node.k8s.io/v1/runtimeclasses/nvidia"] = {"handler": "nvidia"}
    assert len(look(objects, replace(NEEDS, installs_gpu_operator=False))) == 2


def test_shared_gpus_are_not_counted() -> None:
    objects = cluster(node("dgx-1", POOL.selector, gpus=56), node("dgx-2", POOL.selector, gpus=0))
    assert look(objects, pool(shared=True)) == []


def test_another_gpu_than_the_machine_has_is_named() -> None:
    def with_product(name: str) -> dict[str, Any]:
        return cluster(HEALTHY[0], node("dgx-2", {**POOL.selector, "nvidia.com/gpu.product": name}))

    found = look(with_product("NVIDIA-A100-SXM4-80GB"))
    assert found == [
        "dgx.pools[0].machine: node dgx-2 has NVIDIA-A100-SXM4-80GB, and h100-80gb is expected; "
        "name the machine that it is"
    ]
    assert look(with_product("NVIDIA-H100-80GB-HBM3")) == []


def test_a_container_runtime_that_the_operator_cannot_use_is_named() -> None:
    odd = node("dgx-2", POOL.selector)
    odd["status"]["nodeInfo"]["containerRuntimeVersion"] = "docker://24.0.7"
    assert look(cluster(HEALTHY[0], odd)) == [
        "dgx.pools[0]: node dgx-2 runs docker://24.0.7; the GPU Operator needs containerd or CRI-O"
    ]


def test_the_stores_driver_must_be_there() -> None:
    needs = replace(NEEDS, csi_driver="spectrumscale.csi.ibm.com")
    objects = cluster(*HEALTHY)
    assert look(objects, needs) == [
        "storage.kind: the cluster has no CSI driver spectrumscale.csi.ibm.com; install it, or choose 'nfs'"
    ]
    objects["/apis/storage.k8s.io/v1/csidrivers/spectrumscale.csi.ibm.com"] = {"kind": "CSIDriver"}
    assert look(objects, needs) == []


def test_an_operator_that_somebody_else_installed_must_have_left_its_runtime_class() -> None:
    assert look(cluster(*HEALTHY), replace(NEEDS, installs_gpu_operator=False)) == [
        "dgx.gpuOperator.install: is false, and the cluster has no RuntimeClass 'nvidia', which a GPU Operator makes; "
        "set it to true"
    ]


def test_the_systems_nodes_must_exist() -> None:
    assert look(cluster(*HEALTHY), replace(NEEDS, system_selector={"role": "infra"})) == [
        "dgx.systemSelector: no Ready node has the labels role=infra; correct them"
    ]


def test_openshift_and_kubernetes_are_told_apart() -> None:
    routes = {"/apis/route.openshift.io/v1": {"kind": "APIResourceList"}}
    olm = {"/apis/operators.coreos.com/v1alpha1": {"kind": "APIResourceList"}}
    version = {"/apis/config.openshift.io/v1/clusterversions/version": {"status": {"desired": {"version": "4.19.3"}}}}
    plain, needs = cluster(*HEALTHY), replace(NEEDS, distribution="openshift", openshift_version="4.20")
    assert look({**plain, **routes}) == [
        "dgx.distribution: is 'kubernetes', and the cluster has OpenShift's Routes; set it to 'openshift'"
    ]
    assert look(plain, needs) == [
        "dgx.distribution: is 'openshift', and the cluster has no Routes; set it to 'kubernetes'"
    ]
    assert "Operator Lifecycle Manager" in look({**plain, **routes}, needs)[0]
    assert look({**plain, **routes, **olm, **version}, needs) == [
        "dgx.openshift.version: is '4.20', and the cluster runs 4.19.3; set it to that"
    ]


def test_a_token_is_sent_and_a_wrong_one_is_a_sentence() -> None:
    with FakeApi(cluster(*HEALTHY), token="secret") as api:
        assert KubeReader(parse(api.kubeconfig(token="secret"))).get("/version")
        with pytest.raises(KubeError, match="does not accept the kubeconfig's user"):
            KubeReader(parse(api.kubeconfig(token="wrong"))).get("/version")


def test_a_credential_plugins_token_is_used(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "import json, os\n"
        "assert json.loads(os.environ['KUBERNETES_EXEC_INFO'])['kind'] == 'ExecCredential'\n"
        "print(json.dumps({'status': {'token': os.environ['MINE']}}))\n"
    )
    run = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(plugin)]}
    with FakeApi(cluster(*HEALTHY), token="t") as api:
        config = json.loads(api.kubeconfig())
        config["users"][0]["user"] = {"exec": {**run, "env": [{"name": "MINE", "value": "t"}]}}
        assert KubeReader(parse(json.dumps(config))).get("/version")
        config["users"][0]["user"]["exec"]["command"] = "no-such-plugin"
        with pytest.raises(KubeError, match="needs no-such-plugin, which is not installed"):
            parse(json.dumps(config))


def test_a_server_that_does_not_answer_is_named() -> None:
    with FakeApi({}) as api:
        config = api.kubeconfig()
    with pytest.raises(KubeError, match=rf"API server at {api.url} does not answer"):
        KubeReader(parse(config)).get("/version")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the kubeconfig is empty"),
        ("a: [", "the kubeconfig is not YAML"),
        ("current-context: x", "has no context 'x'; there is none"),
        ("contexts: [{name: a, context: {cluster: c}}]\ncurrent-context: a", "has no cluster 'c'; there is none"),
        ("contexts: 3", "has a malformed list of contexts"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(KubeError, match=sentence):
        parse(text)
