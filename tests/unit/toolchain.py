"""A toolchain in a directory of its own whose `go` is a shell script: quick, and it can be told to fail."""

import stat
from pathlib import Path

import pytest

from sandbox.toolchain import wheels

PLAYS_GO = """#!/bin/sh
echo "$*" >> "$FAKE_GO/calls"
[ "$1" = list ] && exit 0
while [ "$1" != -o ]; do shift; done
out=$2; shift 2
. "$FAKE_GO/behaviour"
for package in "$@"; do
    printf program > "$out/${package##*/}"
    chmod +x "$out/${package##*/}"
done
"""


class FakeGo:
    """Where the script lies, what it is to do before it writes programs, and what it was called with."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.script = root / "go"
        self.script.write_text(PLAYS_GO)
        self.script.chmod(self.script.stat().st_mode | stat.S_IEXEC)
        self.behaves("")

    def behaves(self, shell: str) -> None:
        """Shell commands run by every `go build`."""
        (self.root / "behaviour").write_text(shell + "\n")

    def builds(self) -> int:
        """How many times `go build` was called."""
        calls = self.root / "calls"
        return sum(line.startswith("build ") for line in calls.read_text().splitlines()) if calls.exists() else 0


def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeGo:
    """Put the cache under `tmp_path` and the script in Go's place."""
    fake = FakeGo(tmp_path / "fake")
    monkeypatch.setenv("LLMOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_GO", str(fake.root))
    monkeypatch.setattr(wheels, "directory", lambda _name: fake.root)  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(wheels, "binary", lambda _name: fake.script)  # pyright: ignore[reportUnknownLambdaType]
    return fake


def leftovers(tmp_path: Path) -> list[str]:
    """What lies in the programs' directories besides finished programs and locks."""
    found = (tmp_path / "cache" / "bin").glob("*/*")
    return sorted(p.name for p in found if p.name != "ratelimit" and not p.name.endswith(".lock"))
