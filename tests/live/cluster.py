"""An instance of the sandbox's cluster for tests of the cluster itself, and waiting for what it does."""

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import cluster, paths, toolchain
from sandbox.cluster import handle
from sandbox.cluster.process import Identity
from sandbox.progress import SILENT

INSTANCE = "cluster-t"


def until(done: Callable[[], object], seconds: float = 30.0, what: str = "") -> None:
    """Poll a condition; fails the test at the deadline."""
    deadline = time.monotonic() + seconds
    tick = threading.Event()  # never set: a bounded pause between two looks
    while not done():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:.0f} s: {what or done}")
        tick.wait(0.02)


class TestedCluster:
    """One instance, started and stopped by the tests."""

    __test__ = False

    def start(self, level: Any = "node") -> float:
        """Start it; the seconds it took."""
        began = time.monotonic()
        cluster.start(level, SILENT, INSTANCE)
        return time.monotonic() - began

    def stop(self) -> None:
        """Stop it and forget its state."""
        cluster.stop(SILENT, INSTANCE, delete=True)

    def identity(self) -> Identity:
        """The living supervisor."""
        found = handle.find(INSTANCE).running()
        assert found is not None
        return found

    def leftovers(self) -> list[str]:
        """What of it is on the host."""
        return cluster.leftovers(INSTANCE)

    def kubectl(self, *arguments: str, feed: str | None = None) -> str:
        """Standard output of kubectl; fails the test with its error."""
        done = subprocess.run(self.command(*arguments), input=feed, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def command(self, *arguments: str) -> list[str]:
        """kubectl's argument vector."""
        return [str(toolchain.binary("kubectl")), f"--kubeconfig={paths.kubeconfig(INSTANCE)}", *arguments]


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be collected has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
