"""How a cluster is doing: its components, their readiness and memory."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.cluster import components, handle, process


@dataclass(frozen=True)
class ComponentStatus:
    """One component. Memory in bytes: resident, and its proportional share of what it shares."""

    name: str
    ready: bool
    restarts: int
    exit: str
    resident: int
    proportional: int


@dataclass(frozen=True)
class Status:
    """A cluster at one moment."""

    instance: str
    running: bool
    ready: bool
    level: str  # "control-plane", "fake-nodes", "node", or "" when stopped
    server: str
    node_address: str
    kubeconfig: Path
    components: tuple[ComponentStatus, ...] = ()

    def __str__(self) -> str:
        """A table for the terminal."""
        if not self.running:
            return f"The cluster of instance '{self.instance}' is stopped."
        state = "ready" if self.ready else "not ready"
        lines = [
            f"Cluster of instance '{self.instance}': {self.level}, {state}, {self.server}",
            f"{'component':26}{'ready':7}{'restarts':10}{'RSS MiB':>9}{'PSS MiB':>9}",
        ]
        for one in self.components:
            sizes = f"{one.resident >> 20:9}{one.proportional >> 20:9}"
            lines.append(f"{one.name:26}{'yes' if one.ready else 'no':7}{one.restarts:<10}{sizes}  {one.exit}".rstrip())
        return "\n".join(lines)


def status(instance: str) -> Status:
    """The cluster of an instance now. Takes a few milliseconds."""
    cluster = handle.find(instance)
    identity = cluster.running()
    states = process.components(cluster.files) if identity else {}
    pids = by_inner_pid(identity.namespace) if identity else {}
    found: list[ComponentStatus] = []
    if identity is not None:
        found.append(ComponentStatus("supervisor", True, 0, "", *memory(identity.pid)))
    for name, state in states.items():
        if name == "sweep":
            continue  # ran once; there is nothing to show
        outer = pids.get(state["pid"], 0)
        found.append(ComponentStatus(name, state["ready"], state["restarts"], state["exit"], *memory(outer)))
    level = "node" if "kubelet" in states else "fake-nodes" if "kwok" in states else "control-plane"
    return Status(
        instance=instance,
        running=identity is not None,
        ready=bool(states) and all(state["ready"] for state in states.values()) and cluster.api.ready(),
        level=level if identity else "",
        server=components.server(cluster.addresses),
        node_address=cluster.addresses.node,
        kubeconfig=cluster.kubeconfig,
        components=tuple(found),
    )


def by_inner_pid(namespace: int) -> dict[int, int]:
    """Process numbers inside the cluster → on the host, for processes of the supervisor's own namespace."""
    found: dict[int, int] = {}
    for pid in process.processes():
        if process.namespace(pid) != namespace:
            continue
        try:
            lines = (process.PROC / str(pid) / "status").read_text().splitlines()
        except OSError:
            continue
        numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
        if len(numbers) > 1:
            found[int(numbers[-1])] = pid
    return found


def memory(pid: int) -> tuple[int, int]:
    """(resident, proportional) bytes of a process; zeros when it is gone."""
    try:
        lines = (process.PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines[1:] if "kB" in line}
    return sizes.get("Rss", 0), sizes.get("Pss", 0)
