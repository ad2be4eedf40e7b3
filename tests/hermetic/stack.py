"""A checked-in stack on the pretended cloud: this repository's own program, with changes to its settings."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from sandbox.paths import REPOSITORY
from sandbox.provider.cloud.store import Store
from tests.hermetic.project import Api, python

LOG = "events.json"
DEPLOYMENTS = "/apis/apps/v1/namespaces/llm/deployments"


class Event:
    """One step of one resource, as the engine reported it: when it began and when it had ended, in log order."""

    def __init__(self, op: str) -> None:
        self.op = op
        self.began = self.ended = -1


class CheckedInStack:
    """`Pulumi.<source>.yaml` under another stack name, with a state, a cloud and a cluster of its own."""

    def __init__(self, folder: Path, source: str, name: str, instance: str, **changes: Any) -> None:
        self.folder, self.name, self.instance = folder, name, instance
        self.state = folder / "state"
        text = (REPOSITORY / f"Pulumi.{source}.yaml").read_text()
        self.config: dict[str, Any] = yaml.safe_load(text)["config"]
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PULUMI_")},
            "LLMOPS_STATE": str(self.state),
            "LLMOPS_INSTANCE": instance,
            "LLMOPS_STACKS": str(folder),
            "PULUMI_DEBUG_COMMANDS": "true",  # shows --event-log
            "NO_COLOR": "1",
        }
        self.store = Store(self.state / instance / "cloud")
        self.set(**changes)

    def set(self, **changes: Any) -> None:
        """Change settings; what was set before stays."""
        self.config |= {f"llmops:{key}": value for key, value in changes.items()}
        (self.folder / f"Pulumi.{self.name}.yaml").write_text(yaml.safe_dump({"config": self.config}))

    def setting(self, key: str) -> Any:
        """A copy of a setting's value, to change."""
        return json.loads(json.dumps(self.config[f"llmops:{key}"]))

    def run(self, *arguments: str, ok: bool = True) -> str:
        """Run Pulumi; all it printed."""
        return self._said([str(REPOSITORY / "sandbox" / "pulumi"), *arguments, "--non-interactive"], ok=ok)

    def make(self, verb: str, *, ok: bool = True) -> str:
        """`make <verb>` of this stack; all it printed."""
        return self._said([sys.executable, "-m", "sandbox", verb], ok=ok)

    def _said(self, command: list[str], *, ok: bool) -> str:
        done = subprocess.run(
            [*command, "--stack", self.name],
            cwd=REPOSITORY,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=840,
            check=False,
        )
        assert (done.returncode == 0) is ok, done.stdout
        return done.stdout

    def steps(self, command: str, *arguments: str) -> dict[str, Event]:
        """Run `up`, `destroy` or `refresh`: what it did that was not `same`, by type and name."""
        log = self.folder / LOG
        log.unlink(missing_ok=True)
        flags = ["--skip-preview"] if command in ("up", "destroy", "refresh") else []
        self.run(command, "--yes", *flags, "--event-log", str(log), *arguments)
        found: dict[str, Event] = {}
        for number, kind, step in _events(log):
            urn, op = str(step["urn"]), str(step["op"])
            if op in ("same", "read"):
                continue
            name = f"{urn.split('::')[2].rpartition('$')[2].rpartition(':')[2]} {urn.rpartition('::')[2]}"
            event = found.setdefault(name, Event(op))
            if kind == "resourcePreEvent":
                event.began = number
            else:
                event.op, event.ended = op, number
        return found

    def changed(self, command: str, *arguments: str) -> dict[str, str]:
        """The same: what was done to which resource, in the end."""
        return {name: event.op for name, event in self.steps(command, *arguments).items()}

    def cloud(self) -> list[str]:
        """The types of everything in the pretended cloud."""
        return sorted(item.type for item in self.store.objects())

    @property
    def cluster_name(self) -> str:
        """What the cloud calls the stack's cluster."""
        return f"llmops-{self.name}"

    def standin(self, *arguments: str, check: bool = True) -> str:
        """`python -m sandbox.standin …`."""
        return python(self.environment, "-m", "sandbox.standin", *arguments, check=check)

    def api(self) -> Api:
        """The pretended cluster's API server, as its administrator."""
        listed = [line.split() for line in self.standin("list").splitlines()]
        (line,) = [words for words in listed if words[:1] == [self.cluster_name]]
        return Api(Path(line[-1]))

    def deployment(self, model: str) -> dict[str, Any]:
        """What serves a model, as the API server has it."""
        return self.api().get(f"{DEPLOYMENTS}/triton-{model}") or {}

    def available(self, model: str) -> int:
        """The replicas of a model that answer."""
        return self.deployment(model)["status"].get("availableReplicas", 0)

    def placed(self) -> dict[str, dict[str, str]]:
        """For each model the labels of the node that it runs on."""
        api = self.api()
        pods = (api.get("/api/v1/namespaces/llm/pods") or {})["items"]
        nodes = {n["metadata"]["name"]: n["metadata"]["labels"] for n in (api.get("/api/v1/nodes") or {})["items"]}
        return {
            pod["metadata"]["labels"]["app.kubernetes.io/instance"]: nodes[pod["spec"]["nodeName"]]
            for pod in pods
            if pod["metadata"]["labels"].get("app.kubernetes.io/name") == "triton"
        }


@contextmanager
def life(folder: Path, source: str, name: str, **gateway: Any) -> Generator[CheckedInStack]:
    """A checked-in stack for a story of tests, nothing of it made yet; its cluster goes whatever happened.

    Cut to what a test needs: one replica of each model, an ephemeral store; `gateway` changes that block.
    """
    stack = CheckedInStack(folder, source, name, name)
    models = [{**model, "replicas": 1} for model in stack.setting("models")]
    gateway = {**stack.setting("gateway"), "replicas": 1, "drainSeconds": 5, **gateway}
    stack.set(ephemeral=True, models=models, gateway=gateway)
    try:
        yield stack
    finally:
        # Where the story went well its last test has destroyed it, and where one was chosen by name there is none.
        stack.standin("delete", stack.cluster_name, check=False)


def assert_order(steps: dict[str, Event], order: Sequence[Sequence[str]]) -> None:
    """Everything of one row had ended before anything of the next began."""
    for earlier, later in pairwise(order):
        for first in earlier:
            for then in later:
                assert steps[first].ended < steps[then].began, f"{then} did not wait for {first}"


def _events(log: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for number, line in enumerate(log.read_text().splitlines()):
        event = json.loads(line)
        for kind in ("resourcePreEvent", "resOutputsEvent"):
            if kind in event:
                yield number, kind, event[kind]["metadata"]
