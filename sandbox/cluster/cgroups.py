"""The instance's control groups on the host: below them the kubelet keeps every pod's. Version 1 and 2."""

import contextlib
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
V2_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")


def name(instance: str) -> str:
    """The group of an instance, relative to each hierarchy's root."""
    return f"llmops-{instance}"


def unified(root: Path = ROOT) -> bool:
    """Whether this machine has the version 2 hierarchy alone."""
    return (root / "cgroup.controllers").exists()


def hierarchies(root: Path = ROOT) -> list[Path]:
    """The directories that groups are made in: one for version 2, one per controller for version 1."""
    if unified(root):
        return [root]
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())


def existing(instance: str, root: Path = ROOT) -> list[Path]:
    """The instance's groups that are there now."""
    return [path / name(instance) for path in hierarchies(root) if (path / name(instance)).is_dir()]


def create(instance: str, root: Path = ROOT) -> None:
    """Make the instance's group in every hierarchy. Idempotent; raises OSError where the kernel refuses."""
    for hierarchy in hierarchies(root):
        group = hierarchy / name(instance)
        if unified(root):
            _delegate(hierarchy)
        group.mkdir(exist_ok=True)
        if unified(root):
            _delegate(group)
        # Version 1 starts a cpuset empty, and nothing can run in an empty one.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / file).exists() and not unified(root) and not (group / file).read_text().strip():
                (group / file).write_text((hierarchy / file).read_text())


def _delegate(group: Path) -> None:
    offered = (group / "cgroup.controllers").read_text().split()
    for controller in V2_CONTROLLERS:
        if controller in offered:
            # One by one: a controller that cannot be delegated must not hold back the others.
            with contextlib.suppress(OSError):
                (group / "cgroup.subtree_control").write_text(f"+{controller}")


def remove(instance: str, seconds: float = 5.0, root: Path = ROOT) -> list[Path]:
    """Remove the instance's groups, waiting for ended processes to leave them; returns what is still there."""
    deadline = time.monotonic() + seconds
    while True:
        for group in existing(instance, root):
            for path in [*sorted(group.rglob("*/"), key=lambda path: -len(path.parts)), group]:
                with contextlib.suppress(OSError):
                    path.rmdir()
        left = existing(instance, root)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)  # the kernel reports no event for an emptied group
