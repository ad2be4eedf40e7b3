"""What an operator does to a running stack, and what users notice of it: nothing."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.live.platform import ROOT, Platform, wait_for
from tests.live.traffic import MODEL, Client

pytestmark = pytest.mark.live

AFTERMATH = 3.0  # seconds of load after the change
TRITON = "app.kubernetes.io/name=triton,app.kubernetes.io/instance=tiny-llama"


class Load:
    """Requests at a steady rate, whatever becomes of the earlier ones; every answer is kept."""

    def __init__(self, client: Client, per_second: float, max_tokens: int = 8) -> None:
        self.client, self.interval = client, 1 / per_second
        self.body = {"model": MODEL, "prompt": "The class statement", "max_tokens": max_tokens}
        self.failures: list[str] = []
        self.sent = 0

    async def during(self, work: Callable[[], Any]) -> Any:
        """Keep the load up while `work` runs in a thread, and a little longer; what `work` returned."""
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as http:
            requests: set[asyncio.Task[None]] = set()
            done = asyncio.create_task(asyncio.to_thread(work))
            until = float("inf")
            while time.monotonic() < until:
                requests.add(asyncio.create_task(self._one(http)))
                self.sent += 1
                await asyncio.sleep(self.interval)
                if done.done() and until == float("inf"):
                    until = time.monotonic() + AFTERMATH
            await asyncio.gather(*requests)
            return await done

    async def _one(self, http: httpx.AsyncClient) -> None:
        try:
            answer = await http.post(
                f"{self.client.endpoint}/v1/completions", json=self.body, headers=self.client.headers()
            )
            if answer.status_code != 200:
                self.failures.append(f"{answer.status_code}: {answer.text[:200]}")
        except httpx.HTTPError as error:
            self.failures.append(repr(error))


def ready_pods(platform: Platform) -> list[str]:
    """The names of the Triton pods that are Ready and not leaving."""
    return [
        pod["metadata"]["name"]
        for pod in platform.pods(TRITON)
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))
    ]


def three_ready(platform: Platform) -> list[str]:
    return wait_for(lambda: ready_pods(platform), lambda pods: len(pods) == 3, seconds=180)


def changes(platform: Platform) -> dict[str, int]:
    """What `pulumi preview` would do, by kind of operation."""
    result = platform.run("sandbox/pulumi", "preview", "--stack", "local", "--json")
    return json.loads(result.stdout)["changeSummary"]


def test_a_second_up_changes_nothing(platform: Platform) -> None:
    printed = platform.run("make", "up", "ARGS=--color never --expect-no-changes").stdout
    assert "unchanged" in printed


def test_a_preview_right_after_an_up_is_empty(platform: Platform) -> None:
    assert set(changes(platform)) == {"same"}


def test_a_deleted_replica_loses_no_request(platform: Platform, team_a: Client) -> None:
    victim = three_ready(platform)[0]
    load = Load(team_a, per_second=15)

    def kill() -> None:
        platform.kubectl("delete", "pod", "-n", "llm", victim, "--wait=true")
        wait_for(lambda: ready_pods(platform), lambda pods: len(pods) == 3 and victim not in pods, seconds=180)

    asyncio.run(load.during(kill))
    assert load.failures == []
    assert load.sent > 50


def test_a_rolling_update_under_load_fails_no_request(platform: Platform, team_a: Client) -> None:
    before = set(three_ready(platform))
    load = Load(team_a, per_second=15)

    def roll() -> None:
        platform.kubectl("rollout", "restart", "-n", "llm", "deployment/triton-tiny-llama")
        wait_for(lambda: set(ready_pods(platform)), lambda pods: len(pods) == 3 and not pods & before, seconds=300)

    asyncio.run(load.during(roll))
    assert load.failures == []
    assert load.sent > 100


def test_a_change_of_replicas_updates_one_thing(platform: Platform) -> None:
    platform.configure(models=[{"name": MODEL, "replicas": 2}, {"name": "second", "replicas": 1}])
    try:
        assert changes(platform) == {"same": changes(platform)["same"], "update": 1}
        platform.run("make", "up")
        wait_for(lambda: ready_pods(platform), lambda pods: len(pods) == 2, seconds=120)
    finally:
        platform.configure()
        platform.run("make", "up")
    three_ready(platform)


def test_a_new_key_version_replaces_the_key_and_the_old_one_is_refused(platform: Platform) -> None:
    old = platform.keys["team-b"]
    platform.configure(
        tenants=[
            {"name": name, **limits, **({"keyVersion": 2} if name == "team-b" else {})}
            for name, limits in platform.tenants().items()
        ]
    )
    try:
        platform.up()
        assert platform.keys["team-b"] != old
        wait_for(
            lambda: Client(platform.endpoint, old).complete(max_tokens=1).status_code,
            lambda status: status == 401,
            seconds=10,
        )
        assert platform.client("team-b").complete(max_tokens=1).status_code == 200
    finally:
        platform.configure()
        platform.up()


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGKILL, "kill -9")])
def test_an_interrupted_up_is_resumed_by_the_next(platform: Platform, number: signal.Signals, name: str) -> None:
    platform.configure(models=[{"name": MODEL, "replicas": 3, "drainSeconds": 29}, {"name": "second", "replicas": 1}])
    try:
        process = subprocess.Popen(
            ["make", "up"],
            cwd=ROOT,
            env=platform.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        for line in process.stdout:  # the rolling update has begun: this is in the middle
            if "updating" in line and "triton" in line:
                break
        else:
            pytest.fail("the update ended before it could be interrupted")
        os.killpg(process.pid, number)
        process.stdout.read()
        process.wait(timeout=120)
    finally:
        platform.configure()
        platform.up()
    three_ready(platform)
    assert set(changes(platform)) == {"same"}


def test_a_node_port_that_is_taken_is_named(platform: Platform) -> None:
    taken = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "squatter", "namespace": "default"},
        "spec": {"type": "NodePort", "ports": [{"port": 1, "nodePort": 30099}], "selector": {"app": "none"}},
    }
    subprocess.run(
        ["sandbox/kubectl", "apply", "-f", "-"],
        cwd=ROOT,
        env=platform.environment(),
        input=json.dumps(taken),
        text=True,
        check=True,
        capture_output=True,
    )
    platform.configure(gateway={"nodePort": 30099, "drainSeconds": 5})
    try:
        result = platform.run("make", "up", "ARGS=--color never", check=False)
        assert result.returncode != 0
        assert "30099" in result.stdout
        assert "Traceback" not in result.stdout + result.stderr
    finally:
        platform.kubectl("delete", "service", "-n", "default", "squatter")
        platform.configure()
        platform.up()


def test_a_wrong_kubeconfig_is_one_sentence(platform: Platform) -> None:
    platform.configure(sandbox={"kubeconfig": "/nonexistent/kubeconfig"})
    try:
        result = platform.run("make", "up", "ARGS=--color never", check=False)
        assert result.returncode != 0
        text = result.stdout + result.stderr
        assert "llmops:sandbox.kubeconfig: cannot read /nonexistent/kubeconfig" in text
        assert "Traceback" not in text
    finally:
        platform.configure()
