"""The platform under test: a local stack in a sandbox of its own, brought up as README says."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tests.live import issuer
from tests.live.traffic import MODEL, Client

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
INSTANCE = "live"
REQUESTS = 10  # per minute, of the tenants that count requests
TOKENS = 2000  # per minute, of the tenants that count tokens

OPEN = {"requestsPerMinute": 1_000_000, "tokensPerMinute": 100_000_000}
FEW_REQUESTS = {"requestsPerMinute": REQUESTS, "tokensPerMinute": 100_000_000}
FEW_TOKENS = {"requestsPerMinute": 1_000_000, "tokensPerMinute": TOKENS}
GATEWAY = {"drainSeconds": 5, "jwt": issuer.SETTINGS}
# Counters cannot be reset, so each test that counts has a tenant of its own.
TENANTS: dict[str, dict[str, Any]] = {
    "team-a": OPEN,
    "team-b": {**OPEN, "models": [MODEL]},
    **dict.fromkeys(
        ("sequential", "parallel", "exhausted", "by-both", *(f"spoofer-{n}" for n in range(1, 5))), FEW_REQUESTS
    ),
    **dict.fromkeys(("tokens-parallel", "tokens-hang-up"), FEW_TOKENS),
}


def settings(**changes: Any) -> dict[str, Any]:
    """The values of the stack under test."""
    return {
        "targets": ["local"],
        "models": [{"name": MODEL, "replicas": 3}, {"name": "second", "replicas": 1}],
        "tenants": [{"name": name, **limits} for name, limits in TENANTS.items()],
        "gateway": GATEWAY,
        **changes,
    }


@dataclass
class Platform:
    """A running stack: its commands, its cluster, its clients."""

    directory: Path  # where its stack file is
    instance: str = INSTANCE
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def endpoint(self) -> str:
        return str(self.outputs["endpoint"])

    @property
    def keys(self) -> dict[str, str]:
        return dict(self.outputs["apiKeys"])

    @staticmethod
    def tenants() -> dict[str, dict[str, Any]]:
        """The tenants of the stack under test, with their limits."""
        return TENANTS

    def client(self, tenant: str) -> Client:
        return Client(self.endpoint, self.keys[tenant])

    def environment(self, **more: str) -> dict[str, str]:
        # The outer make's own variables (ARGS above all) are not for the makes in here.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
        return {**inherited, "LLMOPS_INSTANCE": self.instance, "LLMOPS_STACKS": str(self.directory), **more}

    def configure(self, **changes: Any) -> None:
        """Write the stack's file."""
        values = {f"llmops:{key}": value for key, value in settings(**changes).items()}
        (self.directory / "Pulumi.local.yaml").write_text(yaml.safe_dump({"config": values}))

    def run(
        self, *command: str, timeout: float = 1500, check: bool = True, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the repository's commands against this stack."""
        result = subprocess.run(
            command, cwd=ROOT, env=self.environment(**env), capture_output=True, text=True, timeout=timeout
        )
        if check and result.returncode != 0:
            raise AssertionError(
                f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}"
            )
        return result

    def up(self) -> str:
        """`make up`; what it printed."""
        printed = self.run("make", "up", "ARGS=--color never").stdout
        self.outputs = json.loads(
            self.run("sandbox/pulumi", "stack", "output", "--stack", "local", "--json", "--show-secrets").stdout
        )
        return printed

    def down(self) -> str:
        """`make down`; what it printed."""
        return self.run("make", "down", "ARGS=--color never").stdout

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        return self.run("sandbox/kubectl", *arguments, check=check, timeout=120).stdout

    def pods(self, selector: str, namespace: str = "llm") -> list[dict[str, Any]]:
        return json.loads(self.kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "json"))["items"]

    def gateway_log(self, until: Callable[[str], bool], seconds: float = 20) -> str:
        """The gateway's access log, once it says what is waited for."""

        def read() -> str:
            return self.kubectl(
                *("logs", "-n", "envoy-gateway-system", "-c", "envoy", "--tail=-1"),
                *("-l", "gateway.envoyproxy.io/owning-gateway-name=llm"),
            )

        return wait_for(read, until, seconds)


def wait_for(read: Callable[[], T], good: Callable[[T], bool], seconds: float) -> T:
    """Read until it is good; fails with the last reading."""
    deadline = time.monotonic() + seconds
    while not good(value := read()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still not after {seconds} s: {value!r:.2000}")
        time.sleep(0.2)
    return value
