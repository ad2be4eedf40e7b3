"""What the supervisor is to run, as data: written by `start`, read by the supervisor. Standard library only."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

# Inside the cluster's own mount namespace, so that no path is longer than a socket's 108 bytes.
RUN = "/run/llmops"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"


@dataclass(frozen=True)
class Probe:
    """When a component counts as ready: exactly one of the fields is set.

    `tcp`: "host:port" accepts; `unix`: the socket accepts; `https`: the URL answers 200 to the administrator.
    """

    tcp: str = ""
    unix: str = ""
    https: str = ""


@dataclass(frozen=True)
class Component:
    """One process to keep running. `oneshot`: to run once to a successful end instead."""

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    needs: list[str] = field(default_factory=lambda: list[str]())
    ready: Probe = Probe()
    oneshot: bool = False
    linger: bool = False  # gets time to end by itself when the cluster stops: it has files to close


@dataclass(frozen=True)
class Plan:
    """Everything the supervisor needs to know."""

    instance: str
    node: str  # host name and node name
    address: str  # of the node, with prefix length
    logs: str
    status: str
    ca: str
    admin: str  # certificate and key of the administrator, without suffix
    binds: list[list[str]]  # [what, over what]: the cluster's own directories over the host's
    tmpfs: list[str]  # the cluster's own, forgotten when it ends
    components: list[Component]

    def write(self, path: Path) -> None:
        """Replace the file at once."""
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(asdict(self), indent=1))
        os.replace(part, path)

    def grows_into(self, other: "Plan") -> bool:
        """Whether a cluster that runs this plan becomes the other by starting components and nothing else.

        What ran once and ended does not count: it may name another Python by now.
        """
        kept = all(one in other.components for one in self.components if not one.oneshot)
        return kept and replace(self, components=[]) == replace(other, components=[])


def read(path: Path) -> Plan | None:
    """The plan in a file; None when there is none that can be read."""
    try:
        raw: dict[str, Any] = json.loads(path.read_text())
        listed: list[dict[str, Any]] = raw.pop("components")
        components: list[Component] = []
        for one in listed:
            probe: dict[str, Any] = one.pop("ready")
            components.append(Component(**one, ready=Probe(**probe)))
        return Plan(**raw, components=components)
    except (OSError, ValueError, KeyError, TypeError):
        return None
