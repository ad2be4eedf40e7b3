"""DGX, HGX and OpenShift, built against Pulumi's mocks and a fake API: what they are made of and keep to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from sandbox.paths import REPOSITORY
from stacks import dgx
from stacks.settings import SettingsError, parse
from tests.unit import checked_in
from tests.unit.checked_in import inventory
from tests.unit.fake_api import FakeApi, cluster, node
from tests.unit.recorder import Recorder, run

EXAMPLES = REPOSITORY / "docs" / "deploy" / "examples"
H100 = {"node.kubernetes.io/instance-type": "dgx-h100"}
INFRA = {"node-role.kubernetes.io/infra": ""}
OPENSHIFT_APIS: dict[str, Any] = {
    "/apis/route.openshift.io/v1": {"kind": "APIResourceList"},
    "/apis/operators.coreos.com/v1alpha1": {"kind": "APIResourceList"},
}


def nodes() -> dict[str, Any]:
    """A cluster that all examples fit."""
    machines = [node(f"dgx-{i}", H100) for i in range(1, 5)]
    return cluster(*machines, node("infra-1", INFRA, gpus=None))


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi(nodes()) as api:
        yield api


@pytest.fixture
def recorder(api: FakeApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorder:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(api.kubeconfig())
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    return Recorder.install("dgx")


def values(name: str = "dgx") -> dict[str, Any]:
    return checked_in.values(name, REPOSITORY if name == "dgx" else EXAMPLES)


def changed(name: str = "dgx", **blocks: Any) -> dict[str, Any]:
    """An example with keys of `dgx` or whole blocks replaced."""
    found = values(name)
    own = {key: blocks.pop(key) for key in list(blocks) if key not in found and key not in ("ephemeral", "guards")}
    return {**found, **blocks, "dgx": {**found["dgx"], **own}}


def build(given: dict[str, Any]) -> None:
    settings = parse(given)
    run(lambda: dgx.build(settings))


def pods(recorder: Recorder) -> dict[str, dict[str, Any]]:
    """The pods that our own workloads describe."""
    kinds = ("Deployment", "StatefulSet", "DaemonSet", "Job")
    return {n: w["spec"]["template"]["spec"] for kind in kinds for n, w in recorder.of(kind).items()}


def test_the_dgx_inventory_is_the_checked_in_one(recorder: Recorder) -> None:
    build(values())
    found, expected = inventory(recorder, "dgx")
    assert found == expected


def test_the_openshift_inventory_is_the_checked_in_one(recorder: Recorder, api: FakeApi) -> None:
    api.objects.update(OPENSHIFT_APIS)
    build(values("openshift"))
    found, expected = inventory(recorder, "openshift")
    assert found == expected


def test_dgx_os_keeps_its_own_driver_and_toolkit(recorder: Recorder) -> None:
    build(values())
    told = recorder.of("Release")["gpu-operator-chart"]["values"]
    assert (told["driver"]["enabled"], told["toolkit"]["enabled"]) == (False, False)


def test_hgx_without_drivers_gets_them_and_its_mig_layout_by_label(recorder: Recorder) -> None:
    build(values("hgx"))
    told = recorder.of("Release")["gpu-operator-chart"]["values"]
    assert (told["driver"]["enabled"], told["toolkit"]["enabled"]) == (True, True)
    labels = {p["metadata"]["name"]: p["metadata"]["labels"] for p in recorder.of("NodePatch").values()}
    assert labels["dgx-3"] == {"llmops.dev/pool": "small", "nvidia.com/mig.config": "llmops-small"}
    assert "nvidia.com/mig.config" not in labels["dgx-1"]
    assert recorder.of("NicClusterPolicy")["nic-cluster-policy"]["spec"]["rdmaSharedDevicePlugin"]["config"]


def test_no_pod_of_ours_names_a_user_on_openshift_and_every_one_does_elsewhere(
    recorder: Recorder, api: FakeApi
) -> None:
    def users() -> dict[str, list[Any]]:
        return {
            name: [
                context[key]
                for context in (pod["securityContext"], *(c.get("securityContext", {}) for c in pod["containers"]))
                for key in ("runAsUser", "runAsGroup", "fsGroup")
                if key in context
            ]
            for name, pod in pods(recorder).items()
        }

    build(values())
    assert users()
    assert all(users().values())
    recorder.resources.clear()
    api.objects.update(OPENSHIFT_APIS)
    build(values("openshift"))
    assert users()
    assert not any(users().values())
    assert all(pod["securityContext"]["runAsNonRoot"] for pod in pods(recorder).values())


def test_envoys_pods_may_name_theirs_on_openshift(recorder: Recorder, api: FakeApi) -> None:
    api.objects.update(OPENSHIFT_APIS)
    build(values("openshift"))
    binding = recorder.of("RoleBinding")["envoy-gateway-system-nonroot"]
    assert binding["roleRef"]["name"] == "system:openshift:scc:nonroot-v2"
    assert binding["subjects"][0]["name"] == "system:serviceaccounts:envoy-gateway-system"


def test_openshifts_operators_come_by_subscription_and_build_drivers_in_its_own_image(
    recorder: Recorder, api: FakeApi
) -> None:
    api.objects.update(OPENSHIFT_APIS)
    build(values("openshift"))
    assert {s["spec"]["name"] for s in recorder.of("Subscription").values()} == {"nfd", "gpu-operator-certified"}
    policy = recorder.of("ClusterPolicy")["gpus-policy"]["spec"]
    assert policy["operator"]["use_ocp_driver_toolkit"] is True
    assert policy["driver"]["enabled"] is True
    assert "gpu-operator-chart" not in recorder.of("Release")


def test_the_route_encrypts_and_waits_as_long_as_an_answer_may_take(recorder: Recorder, api: FakeApi) -> None:
    api.objects.update(OPENSHIFT_APIS)
    build(values("openshift"))
    route = recorder.of("Route")["llm-route"]
    assert route["spec"]["tls"] == {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"}
    assert route["metadata"]["annotations"]["haproxy.router.openshift.io/timeout"] == "300s"


def test_the_store_is_mounted_for_large_reads_and_never_written(recorder: Recorder) -> None:
    build(values())
    volume = recorder.of("PersistentVolume")["models-volume"]["spec"]
    assert {"nfsvers=4.2", "ro", "hard", "noatime", "nconnect=8", "rsize=1048576"} <= set(volume["mountOptions"])
    assert volume["accessModes"] == ["ReadOnlyMany"]
    assert volume["persistentVolumeReclaimPolicy"] == "Retain"
    claim = recorder.of("PersistentVolumeClaim")["models-claim"]["metadata"]["name"]
    assert volume["claimRef"] == {"namespace": "llm", "name": claim}


def test_another_export_is_another_claim_so_that_pods_roll_over_to_it(recorder: Recorder) -> None:
    def claim(path: str) -> str:
        recorder.resources.clear()
        build(changed(storage={"kind": "nfs", "nfs": {"server": "10.0.0.5", "path": path}}))
        return recorder.of("PersistentVolumeClaim")["models-claim"]["metadata"]["name"]

    assert claim("/a") == claim("/a")
    assert claim("/a") != claim("/b")


def test_the_store_outlives_the_stack_unless_that_is_ephemeral(recorder: Recorder) -> None:
    build(values())
    assert recorder.protected == {"models-volume", "models-claim"}
    recorder.protected.clear()
    build(changed(ephemeral=True))
    assert not recorder.protected


def test_nfs_over_rdma_has_its_own_port_and_one_connection(recorder: Recorder) -> None:
    nfs = {"server": "10.0.0.5", "path": "/models", "rdma": True}
    build(changed(storage={"kind": "nfs", "nfs": nfs}))
    options = recorder.of("PersistentVolume")["models-volume"]["spec"]["mountOptions"]
    assert {"proto=rdma", "port=20049"} <= set(options)
    assert not any(option.startswith("nconnect") for option in options)


def test_a_gpfs_directory_is_named_as_its_driver_does(recorder: Recorder, api: FakeApi) -> None:
    api.objects["/apis/storage.k8s.io/v1/csidrivers/spectrumscale.csi.ibm.com"] = {"kind": "CSIDriver"}
    gpfs = {"clusterId": "7118073361626808055", "filesystemUid": "09762E69:5D36FE8D", "path": "/ibm/fs1/models"}
    build(changed(storage={"kind": "gpfs", "gpfs": gpfs}))
    volume = recorder.of("PersistentVolume")["models-volume"]["spec"]
    assert volume["csi"]["volumeHandle"] == "0;0;7118073361626808055;09762E69:5D36FE8D;;;/ibm/fs1/models"
    assert volume["accessModes"] == ["ReadWriteMany"]  # the only mode that the driver has


def test_metallb_goes_after_the_load_balancer_that_it_made(recorder: Recorder) -> None:
    build(values())
    assert recorder.of("IPAddressPool")["metallb-public"]["spec"]["addresses"] == ["10.20.0.240/28"]
    assert "metallb-public-arp" in recorder.of("L2Advertisement")


def test_routers_learn_the_addresses_by_bgp(recorder: Recorder) -> None:
    peers = [{"myAsn": 64500, "peerAsn": 64501, "peerAddress": "10.20.0.1"}]
    build(changed(loadBalancer={"kind": "metallb", "addresses": ["10.20.0.240/28"], "bgpPeers": peers}))
    assert recorder.of("BGPPeer")["metallb-router-0"]["spec"]["peerAddress"] == "10.20.0.1"
    assert not recorder.of("L2Advertisement")


def test_nothing_is_registered_on_a_cluster_that_does_not_fit(recorder: Recorder, api: FakeApi) -> None:
    api.objects.update(cluster(node("dgx-1", H100), version="v1.28.0"))
    with pytest.raises(pulumi.RunError) as caught:
        build(values())
    keys = [line.split(": ")[0] for line in str(caught.value).splitlines()]
    assert keys == ["llmops:dgx.kubeconfig", "llmops:dgx.pools[0].nodes", "llmops:dgx.systemSelector"]
    assert not recorder.resources


def test_the_look_is_skipped_only_with_a_reason(recorder: Recorder, api: FakeApi) -> None:
    api.objects.clear()
    build(changed(skipPreflight="its nodes arrive on Monday"))
    assert recorder.resources
    with pytest.raises(SettingsError, match=r"llmops:dgx.skipPreflight: 'x' does not fit"):
        parse(changed(skipPreflight="x"))


def test_without_a_kubeconfig_the_program_says_what_to_do(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG")
    with pytest.raises(pulumi.RunError, match=r"llmops:dgx.kubeconfig: is not set, and neither is \$KUBECONFIG"):
        build(values())


H = {"name": "a", "machine": "dgx-h100", "nodes": 1}


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        (
            {"pools": [{**H, "hosts": ["x"], "selector": {"a": "b"}}]},
            "dgx.pools[0].selector: hosts names the nodes already; leave one out",
        ),
        (
            {"pools": [{**H, "nodes": 2, "hosts": ["x"]}]},
            "dgx.pools[0].nodes: 2 are more than the 1 in hosts; name the others, or lower it",
        ),
        (
            {"pools": [{**H, "timeSlices": 2}]},
            "dgx.pools[0].hosts: is missing; nodes whose GPUs are shared are told so by name",
        ),
        (
            {"pools": [{**H, "hosts": ["x"], "mig": {"1g.10gb": 7}}]},
            "dgx.pools[0].mig: dgx.gpuOperator.mig is 'none'; set that to 'single' or 'mixed'",
        ),
        (
            {"pools": [{**H, "hosts": ["x"], "mig": {"seven": 7}}]},
            "dgx.pools[0].mig: {'seven': 7} does not fit; name one MIG profile and its instances on one GPU, 1 to 7, "
            "like 1g.10gb: 7",
        ),
        (
            {"pools": [H, {**H, "name": "b"}]},
            "dgx.pools: 'a' has neither selector nor hosts, so the others are part of it; give it one",
        ),
        (
            {"gpuOperator": {"gds": True}},
            "dgx.gpuOperator.hostDriver: the host brings the modules of gds and gdrcopy then; leave both out",
        ),
        (
            {"loadBalancer": {"kind": "metallb"}},
            "dgx.loadBalancer.addresses: is empty; give MetalLB addresses of your network",
        ),
        (
            {"loadBalancer": {"addresses": ["10.0.0.0/28"]}},
            "dgx.loadBalancer.addresses: is MetalLB's; set dgx.loadBalancer.kind to 'metallb', or leave it out",
        ),
        (
            {"loadBalancer": {"kind": "metallb", "addresses": ["10.0.0.9-10.0.0.1"]}},
            "dgx.loadBalancer.addresses[0]: '10.0.0.9-10.0.0.1' ends before it begins; write the lower address first",
        ),
        (
            {"openshift": {"route": "reencrypt"}},
            "dgx.openshift: dgx.distribution is 'kubernetes'; set that to 'openshift', or leave this out",
        ),
        (
            {"storage": {"kind": "gpfs"}},
            "storage.gpfs: is missing; storage.kind is 'gpfs', so say where that is",
        ),
    ],
)
def test_a_contradiction_is_one_sentence(blocks: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(changed(**blocks))
    assert f"llmops:{sentence}" in str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        (
            {"gpuOperator": {"hostDriver": True}},
            "dgx.gpuOperator.hostDriver: OpenShift's nodes have no GPU driver; set it to false",
        ),
        (
            {"loadBalancer": {"kind": "metallb", "addresses": ["10.0.0.0/28"]}},
            "dgx.loadBalancer: OpenShift's router is the way in (dgx.openshift.route); leave it out",
        ),
        ({"gateway": {}}, "dgx.openshift.route: is for a name; set gateway.hostname"),
        (
            {"openshift": {"route": "reencrypt"}},
            "dgx.openshift.route: 'reencrypt' needs a certificate at the gateway; set gateway.tls.kind to 'given'",
        ),
        (
            {"openshift": {"approval": "Manual"}},
            "dgx.openshift.gpuStartingCsv: is missing; with approval 'Manual' name the version to begin with",
        ),
    ],
)
def test_a_contradiction_on_openshift_is_one_sentence(blocks: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(changed("openshift", **blocks))
    assert f"llmops:{sentence}" in str(caught.value).splitlines()


def test_models_see_mig_instances_as_small_gpus() -> None:
    pool = parse(values("hgx")).dgx.pools[1]  # pyright: ignore[reportOptionalMemberAccess] (the example has it)
    machine = pool.unit(dgx.DGX[pool.machine])
    assert (machine.gpus, machine.gpu and machine.gpu.memory_gib) == (16, 40)
