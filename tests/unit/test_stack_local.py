"""The local stack, built against Pulumi's mocks: what it is made of, and what every pod of it keeps to."""

from pathlib import Path
from typing import Any

import pulumi
import pytest

from stacks import local
from stacks.settings import parse
from tests.unit import checked_in
from tests.unit.recorder import Recorder, run


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorder:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text('{"clusters": [{"cluster": {"server": "https://10.0.0.1:6443"}}]}')
    monkeypatch.setenv("LLMOPS_KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("LLMOPS_MODEL_STORE", "/store")
    return Recorder.install("local")


def build(**changes: Any) -> None:
    settings = parse({**checked_in.values("local"), **changes})
    run(lambda: local.build(settings))


def test_the_inventory_is_the_checked_in_one(recorder: Recorder) -> None:
    build()
    found, expected = checked_in.inventory(recorder, "local")
    assert found == expected


def test_every_container_passes_pod_security_restricted(recorder: Recorder) -> None:
    build()
    deployments = recorder.of("Deployment")
    assert deployments
    for name, inputs in deployments.items():
        pod = inputs["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            context = container["securityContext"]
            assert not context["allowPrivilegeEscalation"], name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert context["readOnlyRootFilesystem"], name
            assert {"requests", "limits"} <= set(container["resources"]), name


def test_triton_gets_no_service_account_token(recorder: Recorder) -> None:
    build()
    pod = recorder.of("Deployment")["triton-tiny-llama-server"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False


def test_the_grace_period_is_longer_than_pre_stop_and_tritons_own_exit(recorder: Recorder) -> None:
    build()
    pod = recorder.of("Deployment")["triton-tiny-llama-server"]["spec"]["template"]["spec"]
    triton = pod["containers"][0]
    exit_timeout = next(int(a.split("=")[1]) for a in triton["args"] if a.startswith("--exit-timeout-secs="))
    assert pod["terminationGracePeriodSeconds"] > triton["lifecycle"]["preStop"]["sleep"]["seconds"] + exit_timeout


def test_replicas_come_from_the_settings(recorder: Recorder) -> None:
    build(models=[{"name": "tiny-llama", "replicas": 5}])
    assert recorder.of("Deployment")["triton-tiny-llama-server"]["spec"]["replicas"] == 5


def test_a_second_model_adds_objects_and_changes_none_but_the_admission(recorder: Recorder) -> None:
    build()
    before = {r.name: r.inputs for r in recorder.resources}
    recorder.resources.clear()
    build(models=[{"name": "tiny-llama"}, {"name": "other"}])
    after = {r.name: r.inputs for r in recorder.resources}
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed == {"edge-admission"}
    assert all("other" in name for name in set(after) - set(before))


def test_each_tenant_has_its_own_request_and_token_limit(recorder: Recorder) -> None:
    build()
    rules = recorder.of("BackendTrafficPolicy")["edge-limits"]["spec"]["rateLimit"]["global"]["rules"]
    limits = [(r["clientSelectors"][0]["headers"][0]["value"], r["limit"]["requests"], "cost" in r) for r in rules]
    assert limits == [
        ("team-a", 600, False),
        ("team-a", 200000, True),
        ("team-b", 60, False),
        ("team-b", 20000, True),
    ]


# How Pulumi marks a secret on the wire (sdk/go/common/resource/sig).
SIGNATURE, IS_SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"


def test_api_keys_are_secret_and_never_logged(recorder: Recorder) -> None:
    build()
    keys = recorder.of("Secret")["tenant-keys-secret"]["stringData"]
    assert keys[SIGNATURE] == IS_SECRET
    assert set(keys["value"]) == {"team-a", "team-b"}
    log = recorder.of("EnvoyProxy")["llm-proxy"]["spec"]["telemetry"]["accessLog"]["settings"][0]["format"]["json"]
    assert not any("AUTHORIZATION" in value.upper() or "API-KEY" in value.upper() for value in log.values())


def test_without_a_kubeconfig_the_program_says_what_to_do(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMOPS_KUBECONFIG")
    with pytest.raises(pulumi.RunError, match=r"llmops:sandbox.kubeconfig: .*run `make up`"):
        build()


def test_a_kubeconfig_that_is_not_there_is_named(recorder: Recorder) -> None:
    with pytest.raises(pulumi.RunError, match=r"llmops:sandbox.kubeconfig: cannot read /nowhere"):
        build(sandbox={"kubeconfig": "/nowhere"})
