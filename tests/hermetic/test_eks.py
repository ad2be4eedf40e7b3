"""The EKS stack through its whole life: Pulumi's engine, a stand-in for AWS, a real API server and scheduler.

The tests are one story and run in this order: each changes the stack that the ones before it left.
"""

import json
from collections.abc import Iterator

import pytest

from tests.hermetic.stack import DEPLOYMENTS, CheckedInStack, assert_order, life

pytestmark = pytest.mark.timeout(900)  # a minute each; on a busy machine ten
STACK = "ekstest"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CheckedInStack]:
    """The stack's settings and state; nothing of it is made yet."""
    with life(tmp_path_factory.mktemp("eks"), "aws", STACK) as made:
        yield made


def test_a_preview_needs_no_account_and_no_cluster(stack: CheckedInStack) -> None:
    said = stack.run("preview")
    for name in ("network-vpc", "eks-eksCluster", "nodes-h100", "models-bucket", "triton-llama-3-70b-server"):
        assert name in said
    assert stack.cloud() == []


def test_it_comes_up_and_every_model_runs_on_the_gpus_that_it_names(stack: CheckedInStack) -> None:
    stack.steps("up")
    placed = stack.placed()
    assert {model: labels["llmops.dev/pool"] for model, labels in placed.items()} == {
        "llama-3-8b": "l40s",
        "llama-3-70b": "h100",
    }
    assert placed["llama-3-70b"]["node.kubernetes.io/instance-type"] == "p5.48xlarge"
    service = stack.api().get("/api/v1/namespaces/envoy-gateway-system/services/llm-public") or {}
    assert service["spec"]["loadBalancerClass"] == "service.k8s.aws/nlb"
    assert service["spec"]["loadBalancerSourceRanges"] == ["203.0.113.0/24"]


def test_a_second_up_and_a_preview_of_the_running_cluster_change_nothing(stack: CheckedInStack) -> None:
    assert stack.changed("up") == {}
    stack.run("preview", "--expect-no-changes")


def test_more_replicas_change_one_deployment(stack: CheckedInStack) -> None:
    models = stack.setting("models")
    models[0]["replicas"] = 2
    stack.set(models=models)
    assert stack.changed("up") == {"Deployment triton-llama-3-8b-server": "update"}
    assert stack.available("llama-3-8b") == 2


def test_a_bigger_node_group_is_changed_in_place_and_a_new_tenant_adds_a_key(stack: CheckedInStack) -> None:
    eks, tenants = stack.setting("eks"), stack.setting("tenants")
    eks["nodeGroups"][0]["max"] = 9
    tenants.append({"name": "newcomer", "models": ["llama-3-8b"]})
    stack.set(eks=eks, tenants=tenants)
    done = stack.changed("up")
    assert done["NodeGroup nodes-l40s"] == "update"
    assert done["RandomPassword tenant-keys-newcomer"] == "create"
    assert not any(name.startswith(("Deployment ", "Cluster ", "Subnet ")) for name in done)


def test_a_group_with_another_capacity_is_made_before_the_old_one_goes(stack: CheckedInStack) -> None:
    eks = stack.setting("eks")
    eks["nodeGroups"][0]["capacity"] = "spot"
    stack.set(eks=eks)
    steps = stack.steps("up")
    assert steps["NodeGroup nodes-l40s"].op in ("delete-replaced", "replace", "create-replacement")
    (group,) = [g for g in stack.store.objects("aws:eks/nodeGroup:NodeGroup") if "l40s" in g.id]
    assert group.properties["capacityType"] == "SPOT"
    assert stack.available("llama-3-8b") == 2


def test_an_upgrade_goes_through_control_plane_addons_and_nodes(stack: CheckedInStack) -> None:
    stack.set(eks={**stack.setting("eks"), "kubernetesVersion": "1.35"})
    steps = stack.steps("up")
    assert steps["Cluster eks-eksCluster"].op == "update"
    order = ["Cluster eks-eksCluster", "Addon addons-kube-proxy", "NodeGroup nodes-l40s", "Addon node-addons-coredns"]
    assert_order(steps, [[step] for step in order])


def test_what_was_changed_by_hand_is_seen_and_taken_back(stack: CheckedInStack) -> None:
    api = stack.api()
    api.patch(f"{DEPLOYMENTS}/triton-llama-3-8b", {"spec": {"replicas": 5}})
    with stack.store.locked():
        (access,) = stack.store.objects("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
        access.properties["blockPublicPolicy"] = False
        stack.store.write(access)
    done = stack.changed("up", "--refresh")
    assert done["BucketPublicAccessBlock models-no-public-access"] == "update"
    assert done["Deployment triton-llama-3-8b-server"] == "update"
    assert (api.get(f"{DEPLOYMENTS}/triton-llama-3-8b") or {})["spec"]["replicas"] == 2


def test_the_store_is_switched_from_s3_to_efs(stack: CheckedInStack) -> None:
    stack.set(storage={"kind": "efs"})
    done = stack.changed("up")
    assert done["FileSystem models-files"] == "create"
    assert done["Bucket models-bucket"] == "delete"
    live = stack.deployment("llama-3-8b")
    volumes = json.dumps(live["spec"]["template"]["spec"]["volumes"])
    assert "persistentVolumeClaim" in volumes


def test_a_destroy_takes_everything_in_the_order_in_which_it_can_go(stack: CheckedInStack) -> None:
    steps = stack.steps("destroy")
    groups = ["NodeGroup nodes-system", "NodeGroup nodes-l40s", "NodeGroup nodes-h100"]
    order = [
        ["Service llm-public-service"],  # the load balancer, while its controller lives
        ["Release load-balancers-chart", "Release autoscaler-chart"],
        ["Addon node-addons-aws-ebs-csi-driver", "Addon node-addons-aws-efs-csi-driver"],
        groups,
        ["Addon addons-vpc-cni"],
        ["Cluster eks-eksCluster"],
        ["NatGateway network-nat-eu-central-1a", "Subnet network-private-eu-central-1a"],
        ["Vpc network-vpc"],
    ]
    assert_order(steps, order)
    assert stack.cloud() == []
    assert stack.cluster_name not in stack.standin("list")


def test_the_same_stack_comes_up_again(stack: CheckedInStack) -> None:
    stack.steps("up")
    assert stack.available("llama-3-70b") == 1
