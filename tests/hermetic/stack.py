"""A checked-in stack on the pretended cloud: this repository's own program, with changes to its settings."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sandbox.paths import REPOSITORY
from sandbox.provider.cloud.store import Store

LOG = "events.json"


class Event:
    """One step of one resource, as the engine reported it: when it began and when it had ended, in log order."""

    def __init__(self, op: str) -> None:
        self.op = op
        self.began = self.ended = -1


class CheckedInStack:
    """`Pulumi.<source>.yaml` under another stack name, with a state, a cloud and a cluster of its own."""

    def __init__(self, folder: Path, source: str, name: str, instance: str, **changes: Any) -> None:
        self.folder, self.name, self.instance = folder, name, instance
        text = (REPOSITORY / f"Pulumi.{source}.yaml").read_text()
        self.config: dict[str, Any] = yaml.safe_load(text)["config"]
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PULUMI_")},
            "LLMOPS_STATE": str(folder / "state"),
            "LLMOPS_INSTANCE": instance,
            "LLMOPS_STACKS": str(folder),
            "PULUMI_DEBUG_COMMANDS": "true",  # shows --event-log
            "NO_COLOR": "1",
        }
        self.store = Store(folder / "state" / instance / "cloud")
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
        done = subprocess.run(
            [str(REPOSITORY / "sandbox" / "pulumi"), *arguments, "--stack", self.name, "--non-interactive"],
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

    def cloud(self) -> list[str]:
        """The types of everything in the pretended cloud."""
        return sorted(item.type for item in self.store.objects())


def _events(log: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for number, line in enumerate(log.read_text().splitlines()):
        event = json.loads(line)
        for kind in ("resourcePreEvent", "resOutputsEvent"):
            if kind in event:
                yield number, kind, event[kind]["metadata"]
