"""When an object counts as ready, and what is said while it is not."""

from typing import Any, cast

import pytest

from sandbox.provider.contract import ProviderError
from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.identity import Reference
from sandbox.provider.kubernetes.readiness import wished
from sandbox.provider.kubernetes.readiness.rules import FailedError, rule_for
from sandbox.provider.kubernetes.rest import Json


class FakeRest:
    def text(self, path: str, query: dict[str, str]) -> str:
        return "Traceback...\nValueError: no model\n"


class FakeCluster:
    """Answers list calls from what the test gives it."""

    def __init__(self, **objects: list[Json]) -> None:
        self.objects, self.rest = objects, FakeRest()

    def list(self, api_version: str, kind: str, namespace: str | None, selector: str = "") -> list[Json]:
        return self.objects.get(kind, [])


def missing(live: Json, api_version: str, **objects: list[Json]) -> str | None:
    rule = rule_for(Reference(api_version, live["kind"], "x", "ns"))
    assert rule is not None
    return rule(cast(Cluster, FakeCluster(**objects)), live)


def deployment(**status: Any) -> Json:
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "x"}}}
    metadata = {"name": "x", "namespace": "ns", "generation": 3}
    return {"kind": "Deployment", "metadata": metadata, "spec": spec, "status": {"observedGeneration": 3, **status}}


READY = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


def test_a_rolled_out_deployment_is_ready() -> None:
    assert missing(deployment(**READY), "apps/v1") is None


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({**READY, "observedGeneration": 2}, "its controller to see the change"),
        ({**READY, "updatedReplicas": 1}, "1 of 2 replicas updated"),
        ({**READY, "replicas": 3}, "1 old replica(s) to end"),
        ({**READY, "availableReplicas": 0}, "0 of 2 replicas available"),
    ],
)
def test_a_deployment_says_how_far_it_is(status: dict[str, Any], text: str) -> None:
    assert text in (missing(deployment(**status), "apps/v1") or "")


def pod(**status: Any) -> Json:
    return {
        "kind": "Pod",
        "metadata": {"name": "x-1", "namespace": "ns", "creationTimestamp": "2026"},
        "status": status,
    }


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            {
                "containerStatuses": [
                    {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no"}}}
                ]
            },
            "pod x-1: container c: ImagePullBackOff: no",
        ),
        (
            {
                "containerStatuses": [
                    {
                        "name": "c",
                        "restartCount": 4,
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"reason": "Error", "exitCode": 1}},
                    }
                ]
            },
            "container c crashed (Error, exit code 1, 4 restart(s)); its last line: ValueError: no model",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}]},
            "Unschedulable: 0/1",
        ),
    ],
)
def test_a_deployment_names_the_trouble_of_its_pods(status: dict[str, Any], text: str) -> None:
    live = deployment(replicas=2, updatedReplicas=2, availableReplicas=0)
    assert text in (missing(live, "apps/v1", Pod=[pod(**status)]) or "")


def test_a_deployment_without_pods_names_the_refusal() -> None:
    event = {"involvedObject": {"name": "x-abc"}, "reason": "FailedCreate", "message": "violates PodSecurity"}
    live = deployment(replicas=0, updatedReplicas=0)
    assert "violates PodSecurity" in (missing(live, "apps/v1", Event=[event]) or "")


def test_a_rollout_that_gave_up_fails_at_once() -> None:
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    with pytest.raises(FailedError, match="no progress"):
        missing(deployment(updatedReplicas=2, replicas=2, conditions=[condition]), "apps/v1")


def test_a_failed_job_says_why() -> None:
    condition = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "it failed."}
    live = {"kind": "Job", "metadata": {"name": "x"}, "spec": {}, "status": {"conditions": [condition]}}
    with pytest.raises(FailedError, match="BackoffLimitExceeded: it failed"):
        missing(live, "batch/v1")


def test_a_gateway_waits_until_its_latest_change_is_programmed() -> None:
    conditions = [
        {"type": "Accepted", "status": "True", "observedGeneration": 2},
        {"type": "Programmed", "status": "True", "observedGeneration": 1},
    ]
    live = {"kind": "Gateway", "metadata": {"generation": 2}, "status": {"conditions": conditions}}
    assert missing(live, "gateway.networking.k8s.io/v1") == "condition Programmed for the latest change"
    conditions[1]["observedGeneration"] = 2
    assert missing(live, "gateway.networking.k8s.io/v1") is None


def test_a_route_needs_an_answer_from_every_parent() -> None:
    good = [{"type": "Accepted", "status": "True"}, {"type": "ResolvedRefs", "status": "True"}]
    live: Json = {
        "kind": "HTTPRoute",
        "metadata": {},
        "spec": {"parentRefs": [{"name": "a"}, {"name": "b"}]},
        "status": {"parents": [{"parentRef": {"name": "a"}, "conditions": good}]},
    }
    assert missing(live, "gateway.networking.k8s.io/v1") == "an answer of 1 parent(s) by their controller"
    refused = [{"type": "Accepted", "status": "False", "reason": "NoMatchingParent", "message": ""}]
    live["status"]["parents"].append({"parentRef": {"name": "b"}, "conditions": refused})
    assert missing(live, "gateway.networking.k8s.io/v1") == "parent b: condition Accepted: NoMatchingParent"


def test_a_policy_is_ready_when_its_target_accepted_it() -> None:
    live: Json = {"kind": "SecurityPolicy", "metadata": {}, "status": {}}
    assert missing(live, "gateway.envoyproxy.io/v1alpha1") == "an answer of 1 target(s) by their controller"
    live["status"]["ancestors"] = [
        {"ancestorRef": {"name": "g"}, "conditions": [{"type": "Accepted", "status": "True"}]}
    ]
    assert missing(live, "gateway.envoyproxy.io/v1alpha1") is None


def test_a_service_waits_for_a_ready_pod_unless_it_selects_none() -> None:
    live: Json = {"kind": "Service", "metadata": {"name": "x"}, "spec": {"selector": {"a": "b"}}}
    unready = [{"endpoints": [{"conditions": {"ready": False}}]}]
    assert missing(live, "v1", EndpointSlice=unready) == "a ready pod behind it"
    assert missing(live, "v1", EndpointSlice=[{"endpoints": [{"conditions": {"ready": True}}]}]) is None
    assert missing({**live, "spec": {}}, "v1") is None


def test_a_kind_without_a_rule_is_ready_at_once() -> None:
    assert rule_for(Reference("v1", "ConfigMap", "x", "ns")) is None


POLICY: Json = {
    "kind": "ClusterPolicy",
    "metadata": {"name": "x"},
    "status": {
        "state": "notReady",
        "ready": True,
        "parts": [{"name": "a"}],
        "conditions": [{"type": "Ready", "status": "False", "reason": "Building"}],
    },
}


@pytest.mark.parametrize(
    ("wish", "lacking"),
    [
        ("jsonpath={.status.state}", None),
        ("jsonpath={.status.state}=ready", ".status.state to be ready; it is notReady"),
        ("jsonpath={.status.ready}=true", None),
        ("jsonpath={.status.parts[0].name}=a", None),
        ("jsonpath={.status.parts[1].name}", ".status.parts[1].name"),
        ("jsonpath={.status.installedCSV}=v1", ".status.installedCSV to be v1"),
        ("condition=Ready", "condition Ready to be True: Building"),
        ("condition=Ready=False", None),
        ("condition=Upgraded", "condition Upgraded"),
        ('["jsonpath={.status.state}", "condition=Ready"]', "condition Ready to be True: Building"),
    ],
)
def test_a_program_may_say_what_it_waits_for(wish: str, lacking: str | None) -> None:
    assert wished.rule(wish)(cast(Cluster, None), POLICY) == lacking


@pytest.mark.parametrize(
    "wish", ["ready", "jsonpath=.status", "condition={.a}", "jsonpath={..a}", "jsonpath={}", "[1]"]
)
def test_a_wish_without_a_meaning_is_refused(wish: str) -> None:
    with pytest.raises(ProviderError, match=r"pulumi\.com/waitFor"):
        wished.rule(wish)
