"""The GKE stack through its whole life: Pulumi's engine, a stand-in for Google, a real API server and scheduler.

The tests are one story and run in this order: each changes the stack that the ones before it left.
"""

import json
from collections.abc import Iterator

import pytest

from sandbox.provider.cloud.store import Object
from tests.hermetic.stack import DEPLOYMENTS, CheckedInStack, assert_order, life

pytestmark = pytest.mark.timeout(900)  # a minute each; on a busy machine ten
STACK = "gketest"
BUCKET, POOL = "gcp:storage/bucket:Bucket", "gcp:container/nodePool:NodePool"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CheckedInStack]:
    """The stack's settings and state, without ACME; nothing of it is made yet."""
    with life(tmp_path_factory.mktemp("gke"), "gcp", STACK, tls={"kind": "none"}) as made:
        yield made


def pool(stack: CheckedInStack, name: str) -> Object:
    """The node pool that models know by this name."""
    pools = stack.store.objects(POOL)
    (found,) = [p for p in pools if p.properties["nodeConfig"]["labels"]["llmops.dev/pool"] == name]
    return found


def test_a_preview_needs_no_account_and_no_cluster(stack: CheckedInStack) -> None:
    said = stack.run("preview")
    for name in ("network-nat", "gke-control-plane", "gke-pool-h100", "models-bucket", "triton-llama-70b-server"):
        assert name in said
    assert stack.cloud() == []


def test_it_comes_up_and_every_model_runs_on_the_gpus_that_it_names(stack: CheckedInStack) -> None:
    stack.steps("up")
    placed = stack.placed()
    assert {model: labels["llmops.dev/pool"] for model, labels in placed.items()} == {
        "llama-8b": "l4",
        "llama-70b": "h100",
    }
    assert placed["llama-70b"]["cloud.google.com/gke-accelerator"] == "nvidia-h100-80gb"
    service = stack.api().get("/api/v1/namespaces/envoy-gateway-system/services/llm-public") or {}
    annotations = service["metadata"]["annotations"]
    assert annotations["cloud.google.com/l4-rbs"] == "enabled"
    assert annotations["networking.gke.io/load-balancer-ip-addresses"] == f"llmops-{STACK}-gateway"


def test_a_second_up_and_a_preview_of_the_running_cluster_change_nothing(stack: CheckedInStack) -> None:
    assert stack.changed("up") == {}
    stack.run("preview", "--expect-no-changes")


def test_more_replicas_change_one_deployment(stack: CheckedInStack) -> None:
    models = stack.setting("models")
    models[0]["replicas"] = 2
    stack.set(models=models)
    assert stack.changed("up") == {"Deployment triton-llama-8b-server": "update"}
    assert stack.available("llama-8b") == 2


def test_a_bigger_pool_a_new_tenant_and_another_version_change_what_they_name(stack: CheckedInStack) -> None:
    gke, tenants, models = stack.setting("gke"), stack.setting("tenants"), stack.setting("models")
    gke["nodePools"][1]["max"] = 3
    tenants.append({"name": "newcomer", "models": ["llama-8b"]})
    models[0]["version"] = "2"
    stack.set(gke=gke, tenants=tenants, models=models)
    done = stack.changed("up")
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
    assert stack.available("llama-8b") == 2


def test_an_upgrade_is_one_update_and_what_was_changed_by_hand_is_taken_back(stack: CheckedInStack) -> None:
    stack.api().patch(f"{DEPLOYMENTS}/triton-llama-8b", {"spec": {"replicas": 4}})
    with stack.store.locked():
        (bucket,) = stack.store.objects(BUCKET)
        bucket.properties["publicAccessPrevention"] = "inherited"
        stack.store.write(bucket)
    stack.set(gke={**stack.setting("gke"), "releaseChannel": "RAPID", "minVersion": "1.35"})
    done = stack.changed("up", "--refresh")
    assert done["Cluster gke-control-plane"] == "update"
    assert done["Bucket models-bucket"] == "update"
    assert done["Deployment triton-llama-8b-server"] == "update"
    (bucket,) = stack.store.objects(BUCKET)
    assert bucket.properties["publicAccessPrevention"] == "enforced"
    (control_plane,) = stack.store.objects("gcp:container/cluster:Cluster")
    assert control_plane.properties["masterVersion"].startswith("1.35.")
    assert stack.available("llama-8b") == 2


def test_the_store_is_switched_from_the_bucket_to_filestore(stack: CheckedInStack) -> None:
    stack.set(storage={"kind": "filestore"})
    steps = stack.steps("up")
    assert steps["Instance models-share-instance"].op == "create"
    # Pods leave the bucket before it goes.
    assert steps["Deployment triton-llama-8b-server"].ended < steps["Bucket models-bucket"].began
    live = stack.deployment("llama-8b")
    assert "persistentVolumeClaim" in json.dumps(live["spec"]["template"]["spec"]["volumes"])
    (claim,) = (stack.api().get("/api/v1/namespaces/llm/persistentvolumeclaims") or {})["items"]
    assert claim["status"]["phase"] == "Bound"  # what Pulumi has waited for; the volume's own status may come later
    assert stack.changed("up") == {}


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
    assert_order(steps, order)
    assert steps["Service llm-public-service"].ended < steps["Address gateway-ip"].began
    assert stack.cloud() == []
    assert stack.cluster_name not in stack.standin("list")


def test_the_same_stack_comes_up_again_and_goes_again(stack: CheckedInStack) -> None:
    stack.steps("up")
    assert stack.available("llama-70b") == 1
    stack.steps("destroy")
    assert stack.cloud() == []
