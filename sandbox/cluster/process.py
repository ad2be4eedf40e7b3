"""The supervisor seen from the host: its identity, its lock, its processes."""

import contextlib
import errno
import fcntl
import json
import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from select import select
from typing import Any

from sandbox.cluster.errors import ClusterError

PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """The running supervisor: its process on the host, its parent `unshare`, its process namespace (inode)."""

    pid: int
    parent: int
    namespace: int

    def write(self, path: Path) -> None:
        """Remember it."""
        path.write_text(json.dumps(asdict(self)))


def recall(path: Path) -> Identity | None:
    """The last supervisor, alive or not; None before the first."""
    try:
        return Identity(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


@dataclass(frozen=True)
class Files:
    """The files in an instance's cluster directory by which starter and supervisor know each other."""

    directory: Path

    @property
    def plan(self) -> Path:
        """What the supervisor runs."""
        return self.directory / "plan.json"

    @property
    def status(self) -> Path:
        """How its components are doing."""
        return self.directory / "status.json"

    @property
    def identity(self) -> Path:
        """Which process it is."""
        return self.directory / "supervisor.json"

    @property
    def alive(self) -> Path:
        """Locked as long as the supervisor lives."""
        return self.directory / "supervisor.lock"

    @property
    def logs(self) -> Path:
        """One file per component."""
        return self.directory / "logs"


@contextmanager
def only_one(path: Path) -> Generator[None]:
    """Hold a lock file; wait for whoever holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(path, "w")  # noqa: SIM115 (closed below; errors of the block are not ours to explain)
    except OSError as error:
        raise ClusterError(
            f"The state directory {path.parent} cannot be written ({error.strerror}): set LLMOPS_STATE to a "
            "directory that can be."
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock, or None when a living process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return None
        raise
    return descriptor


def wait_for_lock(path: Path, seconds: float = 15.0) -> int | None:
    """As `try_lock`, but give a supervisor that is just ending the time to do so."""
    deadline = time.monotonic() + seconds
    while (descriptor := try_lock(path)) is None and time.monotonic() < deadline:
        time.sleep(0.05)  # flock has no deadline of its own
    return descriptor


def running(files: Files) -> Identity | None:
    """The living supervisor, or None."""
    if not files.alive.exists():
        return None
    descriptor = try_lock(files.alive)
    if descriptor is not None:
        os.close(descriptor)
        return None
    return recall(files.identity)


def components(files: Files) -> dict[str, dict[str, Any]]:
    """What the supervisor last wrote about its components."""
    try:
        return json.loads(files.status.read_text())["components"]
    except (OSError, ValueError, KeyError):
        return {}


def processes() -> list[int]:
    """Every process of this machine."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def supervisors(plan: str = "") -> list[int]:
    """The supervisors on this machine, or those of one plan file."""
    found: list[int] = []
    for pid in processes():
        with contextlib.suppress(OSError):
            words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "sandbox.cluster.supervisor" in words and words[-2] == (plan or words[-2]):
                found.append(pid)
    return found


def child_of(parent: int) -> int | None:
    """The first child of a process. Reads /proc/*/stat: /proc/*/children is not in every kernel."""
    for pid in processes():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                return pid
    return None


def namespace(pid: int, kind: str = "pid") -> int:
    """The inode of a process's namespace; 0 when the process is gone."""
    try:
        return os.stat(PROC / str(pid) / "ns" / kind).st_ino
    except OSError:
        return 0


def end(identity: Identity, seconds: float = 12.0) -> None:
    """SIGTERM the supervisor, SIGKILL it when it does not end in time, and wait for it."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    try:
        if namespace(identity.pid) != identity.namespace:
            return  # the number was given to another process
        for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
            if select([descriptor], [], [], patience)[0]:
                return
        raise ClusterError(f"The cluster's supervisor (process {identity.pid}) cannot be ended: see 'ps'.")
    finally:
        os.close(descriptor)
        reap(identity.parent)


def kill(pid: int, seconds: float = 10.0) -> None:
    """SIGKILL a process and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select([descriptor], [], [], seconds)
        finally:
            os.close(descriptor)


def reap(pid: int, seconds: float = 2.0) -> None:
    """Collect an ended `unshare` that this very process started; somebody else's is not ours to collect."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.01)  # it ends right after its child
