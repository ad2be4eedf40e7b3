"""The platform that is measured: the local stack in a sandbox of its own, through the commands that users have."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import yaml

from bench import processes
from bench.errors import BenchError
from sandbox import cluster, paths

INSTANCE = "bench"
MODEL = "tiny-llama"
REPLICAS = 3
TENANT = "bench"
WITHOUT_LIMIT = 1_000_000_000  # counted all the same: the limit costs what it costs


def settings(models: Sequence[str] = (MODEL,), replicas: int = REPLICAS) -> dict[str, Any]:
    """The stack's values: every model with the same replicas, one tenant whose limits are never reached."""
    return {
        "targets": ["local"],
        "models": [{"name": name, "replicas": replicas} for name in models],
        "tenants": [{"name": TENANT, "requestsPerMinute": WITHOUT_LIMIT, "tokensPerMinute": WITHOUT_LIMIT}],
        "gateway": {"drainSeconds": 5},  # as the checked-in local stack: a `make down` waits for it
    }


@dataclass
class Container:
    """A running container: its role on the way of a request, and its ID."""

    namespace: str
    pod: str
    name: str
    id: str


@dataclass
class Platform:
    """One instance of the local stack."""

    directory: Path  # its stack files
    instance: str = INSTANCE
    phases: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])  # of the last `up`

    def configure(self, stack: str, values: dict[str, Any]) -> None:
        """Write a stack's file."""
        self.directory.mkdir(parents=True, exist_ok=True)
        content = {"config": {f"llmops:{key}": value for key, value in values.items()}}
        (self.directory / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(content))

    def run(self, *command: str, cwd: Path = paths.REPOSITORY, seconds: float = 1500, **env: str) -> str:
        """Run one of the repository's commands against this instance; its output. Raises BenchError."""
        variables = {**os.environ, "LLMOPS_INSTANCE": self.instance, "LLMOPS_STACKS": str(self.directory), **env}
        try:
            done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise BenchError(f"`{' '.join(command)}` did not end within {seconds:.0f} s.") from None
        if done.returncode:
            said = " ".join((done.stderr.strip() or done.stdout).split())[-300:]
            raise BenchError(f"`{' '.join(command)}` ended with {done.returncode}: {said}")
        return done.stdout

    def up(self) -> float:
        """`make up`, until a first answer has come through the gateway; the seconds that it took."""
        self.configure("local", settings())
        record = self.directory / "phases.jsonl"
        record.unlink(missing_ok=True)
        self.__dict__.pop("outputs", None)
        began, at = time.monotonic(), time.time()
        printed = self.run("make", "up", "ARGS=--color never", LLMOPS_PHASES=str(record))
        made = time.monotonic() - began
        self._first_answer(printed)
        took = time.monotonic() - began
        lines = record.read_text().splitlines() if record.exists() else []
        self.phases = [json.loads(line) for line in lines]
        for phase in self.phases:
            phase["after"] = phase.pop("began") - at
        duration = re.search(r"Duration: +(?:(\d+)m)?(\d+)s", printed)
        if duration:
            seconds = 60.0 * int(duration[1] or 0) + int(duration[2])
            self.phases.append({"step": "pulumi up (its own count)", "after": 0.0, "seconds": seconds})
        self.phases.append({"step": "first answer after make up", "after": made, "seconds": took - made})
        return took

    def _first_answer(self, printed: str) -> None:
        """Send the request that `make up` printed until it is answered."""
        endpoint, key = re.search(r"curl (\S+)/v1/", printed), re.search(r"Bearer (\S+?)'", printed)
        if not endpoint or not key:
            raise BenchError("`make up` printed no request with an endpoint and a key.")
        body = {"model": MODEL, "prompt": "The class statement", "max_tokens": 1}
        deadline, last = time.monotonic() + 120, "nothing"
        while time.monotonic() < deadline:
            try:
                headers = {"authorization": f"Bearer {key[1]}"}
                reply = httpx.post(f"{endpoint[1]}/v1/completions", json=body, headers=headers, timeout=30)
                if reply.status_code == 200:
                    return
                last = f"{reply.status_code} {reply.text[:200]}"
            except httpx.HTTPError as error:
                last = str(error)
            time.sleep(0.05)
        raise BenchError(f"The gateway gives no 200 within 120 s of `make up`; its last answer was: {last}.")

    def down(self) -> None:
        """`make down`."""
        self.__dict__.pop("outputs", None)
        self.configure("local", settings())
        self.run("make", "down", "ARGS=--color never")

    def ensure_up(self) -> None:
        """Bring it up unless it runs already."""
        if not self.is_up():
            self.up()

    def is_up(self) -> bool:
        """Whether the cluster runs with the stack on it."""
        try:
            return cluster.status(self.instance).ready and "endpoint" in self.outputs
        except BenchError:
            return False

    def state_bytes(self) -> int:
        """Size of the stack's state."""
        return len(self.run("sandbox/pulumi", "stack", "export", "--stack", "local"))

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, keys in the clear."""
        self.configure("local", settings())
        return json.loads(self.run("sandbox/pulumi", "stack", "output", "--stack", "local", "--json", "--show-secrets"))

    def pod_addresses(self) -> list[str]:
        """The addresses of the model's pods."""
        found = [
            pod["status"]["podIP"]
            for pod in self._pods()
            if any(container["name"] == "triton" for container in pod["spec"]["containers"])
            and not pod["metadata"].get("deletionTimestamp")
        ]
        if not found:
            raise BenchError(f"No pod of {MODEL} runs in instance {self.instance!r}; see `make status`.")
        return sorted(found)

    def containers(self) -> Iterator[Container]:
        """Every running container."""
        for pod in self._pods():
            for status in pod["status"].get("containerStatuses", []):
                if "running" in status["state"]:
                    meta = pod["metadata"]
                    identity = str(status["containerID"]).removeprefix("containerd://")
                    yield Container(meta["namespace"], meta["name"], status["name"], identity)

    def _pods(self) -> list[dict[str, Any]]:
        return json.loads(self.run("sandbox/kubectl", "get", "pods", "-A", "-o", "json", seconds=60))["items"]

    def processes(self) -> list[int]:
        """Everything of this sandbox: the supervisor's process and all below it. Raises BenchError when it is down."""
        identity = paths.cluster_dir(self.instance) / "supervisor.json"
        if not cluster.status(self.instance).running or not identity.exists():
            raise BenchError(f"The sandbox {self.instance!r} is not running.")
        known = json.loads(identity.read_text())
        return processes.tree(int(known["parent"] or known["pid"]))
