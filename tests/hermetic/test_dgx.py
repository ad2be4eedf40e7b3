"""The DGX stack as it is checked in, from nothing to nothing and back, on a pretended cluster of three DGX H100.

The API server that admits every object and the scheduler that places every pod are real; nodes, load balancers and
the charts of NVIDIA and MetalLB are not (docs/deploy/dgx.md).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import pretended_dgx, standin
from sandbox.progress import SILENT
from tests.hermetic.project import Api
from tests.hermetic.stack import CheckedInStack

STACK = "dgx"
GPU = "nvidia.com/gpu"
NAMESPACES = {"llm", "envoy-gateway-system", "gpu-operator", "metallb-system"}


class Dgx(CheckedInStack):
    """The checked-in stack, ephemeral, with a state and a pretended cluster of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, STACK, STACK, "hermetic", ephemeral=True)
        self.environment.pop("KUBECONFIG", None)  # so that `make` pretends a cluster
        self.first_preview = self.first_up = ""

    def make(self, verb: str, *, ok: bool = True, **changes: Any) -> str:
        """`make <verb> STACK=dgx` with some settings changed; those are forgotten for the next one."""
        kept = dict(self.config)
        self.set(**changes)
        try:
            return super().make(verb, ok=ok)
        finally:
            self.config = kept
            self.set()

    def run(self, *arguments: str, ok: bool = True) -> str:
        """Pulumi itself, on the running pretended cluster."""
        self.environment["KUBECONFIG"] = str(self.kubeconfig)
        try:
            return super().run(*arguments, ok=ok)
        finally:
            del self.environment["KUBECONFIG"]

    @property
    def kubeconfig(self) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LLMOPS_STATE", str(self.state))
            patch.setenv("LLMOPS_INSTANCE", self.instance)
            return standin.create(pretended_dgx.name_of(STACK), progress=SILENT).kubeconfig

    def api(self) -> Api:
        return Api(self.kubeconfig)


def summary(said: str) -> dict[str, int]:
    """Pulumi's own count: {"created": 84}, {"unchanged": 84}, {"to update": 1}."""
    counts = said.partition("Resources:")[2]
    return {words: int(n) for n, words in re.findall(r"^ +[-+~]* ?(\d+) ([a-z ]+)$", counts, flags=re.MULTILINE)}


def items(api: Api, path: str) -> list[dict[str, Any]]:
    return (api.get(path) or {}).get("items") or []


def pods(api: Api, namespace: str = "llm") -> list[dict[str, Any]]:
    return items(api, f"/api/v1/namespaces/{namespace}/pods")


def gpus(pod: dict[str, Any]) -> int:
    return sum(int(c["resources"].get("limits", {}).get(GPU, 0)) for c in pod["spec"]["containers"])


@pytest.fixture(scope="module")
def dgx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dgx]:
    """The stack, up. The tests of this file run in their order: each changes it and sees what follows."""
    stack = Dgx(tmp_path_factory.mktemp("dgx"))
    stack.first_preview = stack.make("preview")
    stack.first_up = stack.make("up")
    yield stack
    stack.make("down")
    assert not list(stack.state.glob("p-*")), "the pretended cluster is gone"


def test_it_previews_without_a_cluster_and_comes_up_as_previewed(dgx: Dgx) -> None:
    assert "No kubeconfig is given: dgx's cluster is pretended" in dgx.first_preview
    assert summary(dgx.first_preview)["to create"] == summary(dgx.first_up)["created"] > 60


def test_the_real_scheduler_places_every_triton_pod_on_a_dgx(dgx: Dgx) -> None:
    api = dgx.api()
    tritons = [pod for pod in pods(api) if gpus(pod)]
    assert sorted(gpus(pod) for pod in tritons) == [1, 1, 1, 1, 4, 4]
    assert {pod["spec"]["nodeName"] for pod in tritons} <= {"h100-1", "h100-2", "h100-3"}
    others = [pod for pod in (*pods(api), *pods(api, "envoy-gateway-system")) if not gpus(pod)]
    assert others
    assert {pod["spec"]["nodeName"].partition("-")[0] for pod in others} == {"system"}


def test_charts_that_cannot_be_rendered_here_are_never_reported_as_rendered(dgx: Dgx) -> None:
    assert "gpu-operator v26.7.0: recorded, not rendered" in dgx.first_up


def test_a_second_up_changes_nothing(dgx: Dgx) -> None:
    assert set(summary(dgx.make("up"))) == {"unchanged"}


def test_a_new_operator_is_one_update(dgx: Dgx) -> None:
    said = dgx.make("preview", versions={"gpuOperator": "v26.7.1"})
    assert summary(said)["to update"] == 1
    assert "gpu-operator-chart update" in said


def test_replicas_and_a_tenant_change_in_place(dgx: Dgx) -> None:
    models, tenants = dgx.setting("models"), dgx.setting("tenants")
    models[0]["replicas"] = 2
    tenants[1]["requestsPerMinute"] = 60
    said = summary(dgx.make("up", models=models, tenants=tenants))
    assert said["updated"] == 2
    assert "created" not in said
    assert sorted(gpus(pod) for pod in pods(dgx.api()) if gpus(pod)) == [1, 1, 4, 4]


def test_another_export_is_mounted_before_the_old_one_is_let_go(dgx: Dgx) -> None:
    storage = {"kind": "nfs", "nfs": {"server": "nfs2.storage.internal", "path": "/export/models"}}
    said = summary(dgx.make("up", storage=storage))
    assert said["replaced"] == 2  # the volume and its claim
    api = dgx.api()
    claims = items(api, "/api/v1/namespaces/llm/persistentvolumeclaims")
    assert [claim["status"]["phase"] for claim in claims] == ["Bound"]
    mounted = {
        v["persistentVolumeClaim"]["claimName"]
        for p in pods(api)
        for v in p["spec"]["volumes"]
        if "persistentVolumeClaim" in v
    }
    assert mounted == {claims[0]["metadata"]["name"]}


def test_nodes_that_are_named_get_the_pools_label_and_lose_it_with_the_pool(dgx: Dgx) -> None:
    settings = dgx.setting("dgx")
    settings["pools"] = [{"name": "h100", "machine": "dgx-h100", "nodes": 3, "hosts": ["h100-1", "h100-2", "h100-3"]}]

    def labels() -> list[str | None]:
        found = {node["metadata"]["name"]: node["metadata"]["labels"] for node in items(dgx.api(), "/api/v1/nodes")}
        return [found[name].get("llmops.dev/pool") for name in ("h100-1", "h100-2", "h100-3", "system-1")]

    assert summary(dgx.make("up", dgx=settings))["created"] == 3
    assert labels() == ["h100", "h100", "h100", None]
    assert summary(dgx.make("up"))["deleted"] == 3
    assert labels() == [None] * 4


def test_a_model_that_the_pool_cannot_hold_is_refused_with_the_arithmetic(dgx: Dgx) -> None:
    models = dgx.setting("models")
    models[1]["replicas"] = 12
    said = dgx.make("preview", models=models, ok=False)
    assert "llmops:dgx.pools[0].nodes: 3 dgx-h100 with 8 GPUs each cannot hold the models of this pool" in said


def test_a_cluster_that_is_not_what_the_settings_say_is_refused_before_anything_changes(dgx: Dgx) -> None:
    api, node = dgx.api(), "/api/v1/nodes/h100-2"
    api.patch(node, {"spec": {"unschedulable": True}})
    try:
        said = dgx.run("up", "--yes", "--skip-preview", ok=False)
    finally:
        api.patch(node, {"spec": {"unschedulable": None}})
    assert "llmops:dgx.pools[0].nodes: 2 Ready nodes" in said
    assert "h100-2 not Ready or cordoned" in said


def test_what_somebody_changed_by_hand_is_seen_and_set_right(dgx: Dgx) -> None:
    api, deployment = dgx.api(), "/apis/apps/v1/namespaces/llm/deployments/triton-llama-70b"
    api.patch(deployment, {"spec": {"replicas": 1}})
    api.delete("/apis/metallb.io/v1beta1/namespaces/metallb-system/l2advertisements/public-arp")
    assert summary(dgx.run("refresh", "--yes", "--skip-preview"))["updated"] >= 1
    said = summary(dgx.make("up"))
    assert (said["created"], said["updated"]) == (1, 1)
    live = api.get(deployment)
    assert live is not None
    assert live["spec"]["replicas"] == 2


def test_it_is_destroyed_to_nothing_and_comes_back(dgx: Dgx) -> None:
    api = dgx.api()
    dgx.run("destroy", "--yes", "--skip-preview")
    exported = dgx.folder / "exported.json"
    dgx.run("stack", "export", "--file", str(exported))
    assert not json.loads(exported.read_text())["deployment"].get("resources")
    names = {namespace["metadata"]["name"] for namespace in items(api, "/api/v1/namespaces")}
    assert not names & NAMESPACES
    assert not items(api, "/api/v1/persistentvolumes")
    assert {node["metadata"]["name"] for node in items(api, "/api/v1/nodes")} > {"h100-1", "h100-2", "h100-3"}
    assert summary(dgx.make("up")) == summary(dgx.first_up)
