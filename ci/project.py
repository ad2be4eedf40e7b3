"""The project's stacks, through the Pulumi CLI of `sandbox/pulumi` (the official one where that is installed)."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PULUMI = REPOSITORY / "sandbox" / "pulumi"


class PulumiError(Exception):
    """Pulumi refused; the text is its last line."""


@dataclass(frozen=True)
class Project:
    """The stacks of the project in a folder."""

    folder: Path = REPOSITORY

    def stacks(self) -> list[str]:
        """The names of the stacks that have a state."""
        listed: list[dict[str, str]] = json.loads(self._read("stack", "ls", "--json") or "[]")
        return sorted(entry["name"].rpartition("/")[2] for entry in listed)

    def create(self, stack: str, tags: dict[str, str]) -> None:
        """Make an empty stack with tags; a stack that exists only gets the tags."""
        self._read("config", "--json", "--stack", stack)  # the wrapper makes a missing stack
        if stack not in self.stacks():  # an official CLI makes none by itself
            self._read("stack", "init", stack, "--no-select")
        for name, value in tags.items():
            self._read("stack", "tag", "set", name, value, "--stack", stack)

    def tags(self, stack: str) -> dict[str, str]:
        """A stack's tags."""
        return json.loads(self._read("stack", "tag", "ls", "--json", "--stack", stack) or "{}")

    def destroy(self, stack: str) -> int:
        """Destroy everything in a stack and then the stack, showing what Pulumi says; its exit status."""
        code = self._show("destroy", "--yes", "--skip-preview", "--stack", stack)
        return code or self._show("stack", "rm", stack, "--yes", "--preserve-config")

    def _read(self, *arguments: str) -> str:
        done = subprocess.run(
            self._call(*arguments), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            raise PulumiError(lines[-1].strip() if lines else f"pulumi {arguments[0]} failed.")
        return done.stdout

    def _show(self, *arguments: str) -> int:
        return subprocess.run(self._call(*arguments), check=False, stdin=subprocess.DEVNULL).returncode

    def _call(self, *arguments: str) -> list[str]:
        return [str(PULUMI), "-C", os.fspath(self.folder), *arguments, "--non-interactive"]
