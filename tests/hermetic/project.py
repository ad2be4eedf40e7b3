"""A Pulumi project of its own for one test, run through sandbox/pulumi."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.paths import REPOSITORY
from sandbox.provider.kubernetes import kubeconfig
from sandbox.provider.kubernetes.rest import ApiError, Json, Rest

STACK = "dev"
HEAD = """
import os
import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

config = pulumi.Config()
given = os.environ.get("TEST_KUBECONFIG") or open(os.environ["LLMOPS_KUBECONFIG"]).read()
cluster = k8s.Provider("cluster", kubeconfig=pulumi.Output.secret(given), cluster_identifier="test")
opts = pulumi.ResourceOptions(provider=cluster)
"""


class Api:
    """What a person at kubectl sees and does."""

    def __init__(self, path: Path) -> None:
        self.kubeconfig = path
        self._rest = Rest(kubeconfig.parse(path.read_text()))

    def get(self, path: str) -> Json | None:
        """One object, or None."""
        try:
            return self._rest.request("GET", path)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def post(self, path: str, body: Json) -> Json:
        """Make an object by hand."""
        return self._rest.request("POST", path, body=body, query={"fieldManager": "kubectl-create"})

    def patch(self, path: str, body: Json, manager: str = "kubectl-edit") -> Json:
        """Change an object by hand."""
        query = {"fieldManager": manager}
        return self._rest.request("PATCH", path, body=body, query=query, content_type="application/merge-patch+json")

    def delete(self, path: str) -> Json:
        """Delete an object by hand."""
        return self._rest.request("DELETE", path)


class Project:
    """A program, its stack and its state; `api` is a cluster for it, where it needs one."""

    head = HEAD

    def __init__(self, folder: Path, api: Api | None, config: str = "config: {}\n") -> None:
        self.folder, self._api = folder / "project", api
        self.state = folder / "state"
        self.folder.mkdir()
        (self.folder / "Pulumi.yaml").write_text("name: hermetic\nruntime: python\n")
        (self.folder / f"Pulumi.{STACK}.yaml").write_text(config)
        self.environment = {
            **os.environ,
            "LLMOPS_STATE": str(self.state),
            "LLMOPS_INSTANCE": "hermetic",
            "NO_COLOR": "1",
        }
        if api is not None:
            self.environment["LLMOPS_KUBECONFIG"] = str(api.kubeconfig)
        for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
            self.environment.pop(name, None)

    @property
    def api(self) -> Api:
        """The cluster that this project was given."""
        assert self._api is not None
        return self._api

    def program(self, text: str) -> None:
        """The program's text, behind the usual imports and `cluster`, `opts`."""
        (self.folder / "__main__.py").write_text(self.head + textwrap.dedent(text))

    def command(self, *arguments: str, stack: str = STACK) -> list[str]:
        """A command line for a stack of this project."""
        return [str(REPOSITORY / "sandbox" / "pulumi"), "-C", str(self.folder), *arguments, "--stack", stack]

    def run(self, *arguments: str, ok: bool = True, stack: str = STACK, **environment: str) -> str:
        """Run Pulumi; all it printed. `ok` says whether it must succeed."""
        done = subprocess.run(
            self.command(*arguments, "--non-interactive", stack=stack),
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=180,
            check=False,
        )
        assert (done.returncode == 0) is ok, done.stdout
        return done.stdout

    def up(self, *arguments: str, ok: bool = True, **environment: str) -> str:
        """`pulumi up` without asking and without a preview."""
        return self.run("up", "--yes", "--skip-preview", *arguments, ok=ok, **environment)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Pulumi in the background."""
        return subprocess.Popen(
            self.command(*arguments, "--non-interactive"),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def output(self, name: str) -> str:
        """One stack output in clear."""
        return self.run("stack", "output", name, "--show-secrets").strip()

    def resources(self) -> list[dict[str, Any]]:
        """The state's resources of our two packages."""
        exported = json.loads(self.run("stack", "export"))
        found: list[dict[str, Any]] = exported["deployment"].get("resources") or []
        return [r for r in found if str(r["type"]).startswith(("kubernetes:", "random:"))]

    def state_text(self) -> str:
        """Everything the backend holds, as it lies on the disk."""
        files = (self.state / "hermetic" / "backend").rglob("*.json*")
        return "\n".join(file.read_text(errors="replace") for file in files if file.is_file())


def python(environment: dict[str, str], *arguments: str, check: bool = True) -> str:
    """`python …` on this repository; what it printed."""
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=check
    ).stdout


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Until `condition` is true; fails naming `what` when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:.0f} s"
        threading.Event().wait(0.05)  # between looks
