"""The GKE stack through its whole life: Pulumi's engine, a stand-in for Google, a real API server and scheduler.

The tests are one story and run in this order: each changes the stack that the ones before it left.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sandbox.paths import REPOSITORY
from sandbox.provider.cloud.store import Object
from tests.hermetic.project import Api
from tests.hermetic.stack import CheckedInStack, Event

pytestmark = pytest.mark.timeout(900)  # a minute each; on a busy machine ten
INSTANCE, STACK = "gketest", "gketest"
CLUSTER = f"llmops-{STACK}"
DEPLOYMENTS = "/apis/apps/v1/namespaces/llm/deployments"
BUCKET, POOL = "gcp:storage/bucket:Bucket", "gcp:container/nodePool:NodePool"


def small(stack: CheckedInStack) -> dict[str, Any]:
    """The checked-in settings, cut to what a test needs: one replica of each model, an ephemeral store, no ACME."""
    models = stack.setting("models")
    for model in models:
        model["replicas"] = 1
    gateway = {**stack.setting("gateway"), "replicas": 1, "drainSeconds": 5, "tls": {"kind": "none"}}
    return {"ephemeral": True, "models": models, "gateway": gateway}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CheckedInStack]:
    """The stack's settings and state; nothing of it is made yet."""
    made = CheckedInStack(tmp_path_factory.mktemp("gke"), "gcp", STACK, INSTANCE)
    made.set(**small(made))
    yield made
    # The last test has destroyed it, if all went well.
    standin(made, "delete", CLUSTER, check=False)


def standin(stack: CheckedInStack, *arguments: str, check: bool = True) -> str:
    """`python -m sandbox.standin …`."""
    return subprocess.run(
        [sys.executable, "-m", "sandbox.standin", *arguments],
        env=stack.environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=check,
    ).stdout


def cluster(stack: CheckedInStack) -> Api:
    """The pretended cluster's API server, as its administrator."""
    (line,) = [line.split() for line in standin(stack, "list").splitlines() if line.startswith(f"{CLUSTER} ")]
    return Api(Path(line[-1]))


def changed(steps: dict[str, Event]) -> dict[str, str]:
    """What was done to which resource."""
    return {name: event.op for name, event in steps.items()}


def pool(stack: CheckedInStack, name: str) -> Object:
    """The node pool that models know by this name."""
    pools = stack.store.objects(POOL)
    (found,) = [p for p in pools if p.properties["nodeConfig"]["labels"]["llmops.dev/pool"] == name]
    return found


def available(stack: CheckedInStack, model: str) -> int:
    """The replicas of a model that answer."""
    live = cluster(stack).get(f"{DEPLOYMENTS}/triton-{model}") or {}
    return live["status"].get("availableReplicas", 0)


def test_a_preview_needs_no_account_and_no_cluster(stack: CheckedInStack) -> None:
    said = stack.run("preview")
    for name in ("network-nat", "gke-control-plane", "gke-pool-h100", "models-bucket", "triton-llama-70b-server"):
        assert name in said
    assert stack.cloud() == []


def test_it_comes_up_and_every_model_runs_on_the_gpus_that_it_names(stack: CheckedInStack) -> None:
    stack.steps("up")
    api = cluster(stack)
    pods = (api.get("/api/v1/namespaces/llm/pods") or {})["items"]
    nodes = {n["metadata"]["name"]: n["metadata"]["labels"] for n in (api.get("/api/v1/nodes") or {})["items"]}
    placed = {
        pod["metadata"]["labels"]["app.kubernetes.io/instance"]: nodes[pod["spec"]["nodeName"]]
        for pod in pods
        if pod["metadata"]["labels"].get("app.kubernetes.io/name") == "triton"
    }
    assert {model: labels["llmops.dev/pool"] for model, labels in placed.items()} == {
        "llama-8b": "l4",
        "llama-70b": "h100",
    }
    assert placed["llama-70b"]["cloud.google.com/gke-accelerator"] == "nvidia-h100-80gb"
    service = api.get("/api/v1/namespaces/envoy-gateway-system/services/llm-public") or {}
    annotations = service["metadata"]["annotations"]
    assert annotations["cloud.google.com/l4-rbs"] == "enabled"
    assert annotations["networking.gke.io/load-balancer-ip-addresses"] == f"llmops-{STACK}-gateway"


def test_a_second_up_and_a_preview_of_the_running_cluster_change_nothing(stack: CheckedInStack) -> None:
    assert changed(stack.steps("up")) == {}
    stack.run("preview", "--expect-no-changes")


def test_more_replicas_change_one_deployment(stack: CheckedInStack) -> None:
    models = stack.setting("models")
    models[0]["replicas"] = 2
    stack.set(models=models)
    assert changed(stack.steps("up")) == {"Deployment triton-llama-8b-server": "update"}
    assert available(stack, "llama-8b") == 2


def test_a_bigger_pool_a_new_tenant_and_another_version_change_what_they_name(stack: CheckedInStack) -> None:
    gke, tenants, models = stack.setting("gke"), stack.setting("tenants"), stack.setting("models")
    gke["nodePools"][1]["max"] = 3
    tenants.append({"name": "newcomer", "models": ["llama-8b"]})
    models[0]["version"] = "2"
    stack.set(gke=gke, tenants=tenants, models=models)
    done = changed(stack.steps("up"))
    assert done["NodePool gke-pool-h100"] == "update"
    assert done["RandomPassword tenant-keys-newcomer"] == "create"
    assert done["Deployment triton-llama-8b-server"] == "update"
    assert not any("70b" in name or name.startswith(("Cluster ", "Subnetwork ", "Bucket")) for name in done)
    assert set(done.values()) == {"update", "create"}


def test_a_pool_with_another_capacity_is_there_before_the_old_one_goes(stack: CheckedInStack) -> None:
    before = pool(stack, "l4").properties["name"]
    gke = stack.setting("gke")
    gke["nodePools"][0]["capacity"] = "spot"
    stack.set(gke=gke)
    stack.steps("up")
    after = pool(stack, "l4").properties
    assert after["name"] != before
    assert after["nodeConfig"]["spot"] is True
    assert available(stack, "llama-8b") == 2


def test_an_upgrade_is_one_update_and_what_was_changed_by_hand_is_taken_back(stack: CheckedInStack) -> None:
    cluster(stack).patch(f"{DEPLOYMENTS}/triton-llama-8b", {"spec": {"replicas": 4}})
    with stack.store.locked():
        (bucket,) = stack.store.objects(BUCKET)
        bucket.properties["publicAccessPrevention"] = "inherited"
        stack.store.write(bucket)
    stack.set(gke={**stack.setting("gke"), "releaseChannel": "RAPID", "minVersion": "1.35"})
    done = changed(stack.steps("up", "--refresh"))
    assert done["Cluster gke-control-plane"] == "update"
    assert done["Bucket models-bucket"] == "update"
    assert done["Deployment triton-llama-8b-server"] == "update"
    (bucket,) = stack.store.objects(BUCKET)
    assert bucket.properties["publicAccessPrevention"] == "enforced"
    (control_plane,) = stack.store.objects("gcp:container/cluster:Cluster")
    assert control_plane.properties["masterVersion"].startswith("1.35.")
    assert available(stack, "llama-8b") == 2


def test_the_store_is_switched_from_the_bucket_to_filestore(stack: CheckedInStack) -> None:
    stack.set(storage={"kind": "filestore"})
    steps = stack.steps("up")
    assert steps["Instance models-share-instance"].op == "create"
    # Pods leave the bucket before it goes.
    assert steps["Deployment triton-llama-8b-server"].ended < steps["Bucket models-bucket"].began
    live = cluster(stack).get(f"{DEPLOYMENTS}/triton-llama-8b") or {}
    assert "persistentVolumeClaim" in json.dumps(live["spec"]["template"]["spec"]["volumes"])
    (volume,) = (cluster(stack).get("/api/v1/persistentvolumes") or {})["items"]
    assert volume["status"]["phase"] == "Bound"
    assert changed(stack.steps("up")) == {}


def test_a_destroy_takes_everything_in_the_order_in_which_it_can_go(stack: CheckedInStack) -> None:
    steps = stack.steps("destroy")
    order = [
        ["Service llm-public-service", "PersistentVolume models-volume"],
        ["Namespace llm", "Namespace envoy-gateway-system"],
        ["NodePool gke-pool-l4", "NodePool gke-pool-h100"],
        ["NodePool gke-pool-system"],
        ["Cluster gke-control-plane"],
        ["RouterNat network-nat", "Subnetwork network-subnet", "IAMMember gke-nodes-node"],
        ["Network network-vpc"],
    ]
    for earlier, later in pairwise(order):
        for first in earlier:
            for then in later:
                assert steps[first].ended < steps[then].began, f"{then} went before {first} had gone"
    assert steps["Service llm-public-service"].ended < steps["Address gateway-ip"].began
    assert stack.cloud() == []
    assert CLUSTER not in standin(stack, "list")


def test_the_same_stack_comes_up_again_and_goes_again(stack: CheckedInStack) -> None:
    stack.steps("up")
    assert available(stack, "llama-70b") == 1
    stack.steps("destroy")
    assert stack.cloud() == []
