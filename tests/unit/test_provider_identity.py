"""Which object a resource stands for, which cluster a kubeconfig, which chart a reference."""

import json
from typing import Any, cast

import pytest

from sandbox.provider.contract import Naming, ProviderError, Task
from sandbox.provider.kubernetes import charts, identity, kubeconfig
from sandbox.provider.kubernetes.provider import KubernetesProvider
from sandbox.provider.password import RandomPassword, generate

KUBECONFIG: dict[str, Any] = {
    "current-context": "one",
    "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443/"}}],
    "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
}


def test_a_type_token_is_an_api_version_and_a_kind() -> None:
    assert identity.kind_of("kubernetes:core/v1:Namespace") == ("v1", "Namespace")
    assert identity.kind_of("kubernetes:apps/v1:Deployment") == ("apps/v1", "Deployment")
    assert identity.kind_of("kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyPatchPolicy")[1] == "EnvoyPatchPolicy"


@pytest.mark.parametrize(
    "token",
    [
        "kubernetes:core/v1:ConfigMapPatch",
        "kubernetes:core/v1:PodList",
        "kubernetes:helm.sh/v4:Chart",
        "kubernetes:yaml:X",
    ],
)
def test_what_is_no_object_is_refused(token: str) -> None:
    with pytest.raises(ProviderError, match=token):
        identity.kind_of(token)


def test_a_name_is_given_once_and_kept() -> None:
    first = identity.named({}, {}, "Web", Naming(seed=b"1"))
    assert first["name"].startswith("web-")
    assert len(first["name"]) == len("web-") + 7
    assert identity.named({}, first, "Web", Naming(seed=b"2"))["name"] == first["name"]
    assert identity.named({"name": "own"}, first, "Web", Naming())["name"] == "own"
    assert identity.named({}, {"name": "own"}, "Web", Naming(seed=b"2"))["name"] != "own"


def test_a_manager_marks_one_resource_and_outlives_a_renaming() -> None:
    assert identity.manager_of("urn:a") != identity.manager_of("urn:b")
    assert identity.manager_of("urn:b", {"__fieldManager": "pulumi-a"}) == "pulumi-a"


def test_a_kubeconfig_is_read_as_kubectl_reads_it() -> None:
    access = kubeconfig.parse(json.dumps(KUBECONFIG))
    assert (access.server, access.context, access.namespace) == ("https://10.0.0.1:6443", "one", "team")
    assert access.token == "t"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"current-context": ""}, "names no current-context"),
        ({"current-context": "two"}, "has no context 'two'; there is one"),
        ({"clusters": []}, "has no cluster 'c'; there is none"),
        ({"users": []}, "has no user 'u'"),
        (
            {"users": [{"name": "u", "user": {"client-key": "/nowhere/key"}}]},
            "names /nowhere/key, which cannot be read",
        ),
        ({"users": [{"name": "u", "user": {"exec": {"command": "no-such-tool"}}}]}, "needs no-such-tool"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ProviderError) as caught:
        kubeconfig.parse(json.dumps({**KUBECONFIG, **change}))
    assert sentence in str(caught.value)
    assert "sandbox.kubeconfig" in str(caught.value)


def test_provider_settings_without_a_rule_are_refused() -> None:
    failures = KubernetesProvider().check_config({"renderYamlToDirectory": "x", "enableServerSideApply": "false"})
    assert [f.property for f in failures] == ["renderYamlToDirectory", "enableServerSideApply"]


def test_a_renewed_kubeconfig_updates_the_provider_and_a_moved_cluster_replaces_it() -> None:
    renewed = {**KUBECONFIG, "users": [{"name": "u", "user": {"token": "new"}}]}
    moved = {**KUBECONFIG, "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.2:6443"}}]}
    old = {"kubeconfig": json.dumps(KUBECONFIG)}
    provider = KubernetesProvider()
    assert provider.diff_config(old, {"kubeconfig": json.dumps(renewed)}).replace == set()
    assert provider.diff_config(old, {"kubeconfig": json.dumps(moved)}).replace == {"kubeconfig"}
    named = {"clusterIdentifier": "a"}
    assert provider.diff_config({**old, **named}, {"kubeconfig": json.dumps(moved), **named}).replace == set()


def test_a_chart_is_found_by_reference_and_version() -> None:
    reference = "oci://docker.io/envoyproxy/gateway-helm"
    assert charts.find(reference, "1.9.1") is charts.find(reference, "v1.9.1")
    assert charts.find(reference, "v0.0.1") is None
    assert "v0.0.1 has no rule" in str(charts.unknown(reference, "v0.0.1"))


def test_a_password_has_the_length_and_the_letters_that_are_asked_for() -> None:
    word = generate({"length": 40, "special": False, "minNumeric": 3})
    assert len(word) == 40
    assert word.isalnum()
    assert sum(c.isdigit() for c in word) >= 3
    assert generate({"length": 40}) != generate({"length": 40})


def test_a_password_refuses_what_it_cannot_do() -> None:
    task = cast(Task, None)  # its rules do not look at it

    def failures(**news: Any) -> list[str]:
        return [f.reason for f in RandomPassword().check(task, {}, news, Naming())[1]]

    assert failures(length=0) == ["must be a whole number from 1 to 4096, not 0."]
    assert "has no argument 'lenght'" in failures(length=3, lenght=3)[0]
    assert failures(length=3, minLower=2, minUpper=2) == ["is less than the sum of the minima."]
    assert failures(length=20, special=False) == []
