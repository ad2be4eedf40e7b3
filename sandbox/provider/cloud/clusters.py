"""The control planes behind pretended clusters: sandbox.standin's, or none.

LLMOPS_STANDIN_CLUSTERS=none starts none: tests of the cloud alone need no API server. Endpoints are then addresses at
which nothing answers.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sandbox.progress import SILENT  # the engine shows what a resource is waiting for

VARIABLE = "LLMOPS_STANDIN_CLUSTERS"
Platform = Literal["eks", "gke"]
Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
Taint = tuple[str, str, Effect]  # key, value, effect
# TEST-NET-2: routed nowhere (RFC 5737).
NOWHERE = "https://198.51.100.1:443"


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node of a node group, as its cloud would set it up."""

    name: str
    machine: str
    labels: dict[str, str]
    taints: list[Taint] = field(default_factory=list[Taint])
    devices: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class Endpoint:
    """Where an API server answers, and the authority of its certificate (PEM)."""

    server: str
    ca_pem: bytes


class ControlPlanes(Protocol):
    """What the stand-in needs of whoever runs control planes."""

    def create(self, name: str, platform: Platform) -> Endpoint: ...

    def set_nodes(self, name: str, group: str, platform: Platform, nodes: Sequence[Node]) -> None: ...

    def delete(self, name: str) -> None: ...


class Real:
    """sandbox.standin: a real API server for each cluster, with kwok's nodes."""

    def create(self, name: str, platform: Platform) -> Endpoint:
        from sandbox import standin

        found = standin.create(name, platform, SILENT)
        return Endpoint(found.server, found.ca_pem)

    def set_nodes(self, name: str, group: str, platform: Platform, nodes: Sequence[Node]) -> None:
        from sandbox import standin
        from stacks import machines

        types = machines.AWS if platform == "eks" else machines.GCP
        standin.set_nodes(
            name,
            group,
            [
                standin.NodeSpec.of(
                    types[node.machine],
                    node.name,
                    labels=node.labels,
                    taints=[standin.Taint(key, value, effect) for key, value, effect in node.taints],
                    devices=node.devices,
                    platform=platform,
                )
                for node in nodes
            ],
        )

    def delete(self, name: str) -> None:
        from sandbox import standin

        standin.delete(name, SILENT)


class Nowhere:
    """No control plane at all."""

    def create(self, name: str, platform: Platform) -> Endpoint:
        return Endpoint(NOWHERE, b"-----BEGIN CERTIFICATE-----\n(no control plane runs)\n-----END CERTIFICATE-----\n")

    def set_nodes(self, name: str, group: str, platform: Platform, nodes: Sequence[Node]) -> None:
        """There is nowhere to put them."""

    def delete(self, name: str) -> None:
        """There is none."""


def control_planes() -> ControlPlanes:
    """Whoever runs control planes in this process."""
    return Nowhere() if os.environ.get(VARIABLE) == "none" else Real()
