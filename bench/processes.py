"""What processes use, read from /proc: memory and processor time of trees and of containers."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")  # per second
KIB = 1024


def _read(pid: int, name: str) -> str:
    """A process's file; empty when the process is gone."""
    try:
        return (PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on: a command may contain anything, even brackets."""
    return _read(pid, "stat").rpartition(")")[2].split()


def everyone() -> list[int]:
    """Every process of this machine."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def tree(root: int) -> list[int]:
    """A process and everything below it."""
    children: dict[int, list[int]] = {}
    for pid in everyone():
        fields = _stat(pid)
        if len(fields) > 1:
            children.setdefault(int(fields[1]), []).append(pid)
    found, queue = [root], [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def cpu_seconds(pids: Iterable[int]) -> dict[int, float]:
    """Processor time (user and system, threads included) used so far by each process that lives."""
    found: dict[int, float] = {}
    for pid in pids:
        fields = _stat(pid)
        if len(fields) > 12:
            found[pid] = (int(fields[11]) + int(fields[12])) / TICKS
    return found


def memory(pids: Iterable[int]) -> tuple[int, int]:
    """Bytes of the processes together: (resident, proportional). The second counts every shared page once."""
    resident = proportional = 0
    for pid in pids:
        for text in _read(pid, "smaps_rollup").splitlines():
            name, _, value = text.partition(":")
            if name == "Rss":
                resident += int(value.split()[0]) * KIB
            elif name == "Pss":
                proportional += int(value.split()[0]) * KIB
    return resident, proportional


def program(pid: int) -> str:
    """A short name: the program, or the module that Python runs."""
    words = [word for word in _read(pid, "cmdline").split("\0") if word]
    if not words:
        return _read(pid, "comm").strip()
    name = Path(words[0]).name
    if name.startswith("python") and "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    return name


def in_containers(containers: Iterable[str]) -> dict[str, list[int]]:
    """Container ID → its processes. IDs are those of the container runtime, which names cgroups after them."""
    found: dict[str, list[int]] = {container: [] for container in containers}
    for pid in everyone():
        groups = _read(pid, "cgroup")
        for container, pids in found.items():
            if container in groups:
                pids.append(pid)
                break
    return found


def meter(pids_by_role: dict[str, list[int]]) -> Callable[[], dict[str, float]]:
    """A function that gives processor seconds by role since it was made."""
    before = {role: cpu_seconds(pids) for role, pids in pids_by_role.items()}

    def read() -> dict[str, float]:
        return {
            role: sum(seconds - before[role].get(pid, 0.0) for pid, seconds in cpu_seconds(pids).items())
            for role, pids in pids_by_role.items()
        }

    return read
