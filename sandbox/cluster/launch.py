"""Starting the supervisor in namespaces of its own, and clearing what the kernel does not take away with it."""

import contextlib
import os
import sys
import time
from pathlib import Path

from sandbox.cluster import cgroups, components, host, process
from sandbox.cluster.errors import ClusterError
from sandbox.cluster.handle import Cluster
from sandbox.cluster.plan import Plan
from sandbox.cluster.process import Identity
from sandbox.cluster.programs import program
from sandbox.cluster.supervisor import LOCK_FD
from sandbox.paths import REPOSITORY, state_root

MOUNTPOINTS = "mountpoints"  # in the state directory: which directories of the host `start` made


def spawn(cluster: Cluster, plan: Plan) -> None:
    """Clear what a killed cluster left, then start the supervisor in namespaces of its own."""
    control = cluster.files
    clear(cluster)
    lock = process.wait_for_lock(control.alive)
    if lock is None:
        raise ClusterError(f"{control.alive} is locked by another process: run 'make down' and try again.")
    parent = 0
    try:
        control.identity.unlink(missing_ok=True)
        cgroups.create(cluster.instance)
        _mountpoints(plan)
        plan.write(control.plan)
        control.status.unlink(missing_ok=True)
        for log in control.logs.glob("*.log"):
            log.replace(log.with_suffix(".log.1"))
        parent = _unshare(cluster, lock)
        pid = _wait_for_child(cluster, parent)
        Identity(pid, parent, process.namespace(pid)).write(control.identity)
        host.connect(cluster.addresses, pid)
    except BaseException as error:
        if parent:  # an interrupted start leaves nothing half plugged in
            process.kill(parent)
            process.reap(parent)
        cgroups.remove(cluster.instance)
        if isinstance(error, OSError):
            raise ClusterError(f"The cluster could not be started: {error}; run 'make doctor'.") from None
        raise
    finally:
        os.close(lock)


def _mountpoints(plan: Plan) -> None:
    """The cluster's own directories are mounted over the host's, so the host must have some; remember which it had."""
    made = state_root() / MOUNTPOINTS
    for where in [where for _, where in plan.binds] + plan.tmpfs:
        if not Path(where).is_dir():
            Path(where).mkdir(parents=True)
            with open(made, "a") as record:
                record.write(where + "\n")


def remove_mountpoints() -> None:
    """Remove the empty directories made for mounting, unless another cluster has something mounted there."""
    made = state_root() / MOUNTPOINTS
    if made.exists() and not process.supervisors():
        for where in made.read_text().split():
            with contextlib.suppress(OSError):
                Path(where).rmdir()
        made.unlink()


def _unshare(cluster: Cluster, lock: int) -> int:
    argv = [str(program("unshare")), "--pid", "--mount", "--net", "--ipc", "--uts", "--propagation", "private"]
    argv += ["--fork", "--kill-child", "--mount-proc", sys.executable, "-S", "-m", "sandbox.cluster.supervisor"]
    log = str(cluster.files.logs / "supervisor.log")
    return os.posix_spawn(
        argv[0],
        [*argv, cluster.instance, str(cluster.files.plan)],
        {"PATH": components.PATH, "HOME": "/root", "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, lock, LOCK_FD),
        ],
        setsid=True,
    )


def _wait_for_child(cluster: Cluster, parent: int) -> int:
    deadline = time.monotonic() + 10
    own = process.namespace(os.getpid())
    while time.monotonic() < deadline:
        pid = process.child_of(parent)
        if pid is not None and process.namespace(pid) not in (0, own):
            return pid
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(parent, os.WNOHANG)[0] == parent:
                break
        time.sleep(0.005)  # a fork announces itself to nobody
    raise ClusterError(
        "The kernel refused new namespaces for the cluster "
        f"({cluster.last_lines('supervisor', 1) or 'no answer'}): run as root outside of a restricted container."
    )


def clear(cluster: Cluster) -> None:
    """Whatever the kernel does not take away by itself."""
    host.disconnect(cluster.addresses)
    if left := cgroups.remove(cluster.instance):
        raise ClusterError(f"The control group {left[0]} cannot be removed: a process is still in it (see 'ps').")
