"""Making the nodes of a group what they should be."""

import json
import threading
import time
from collections.abc import Sequence
from typing import Any

from sandbox.cluster.api import Api
from sandbox.cluster.errors import ClusterError
from sandbox.provider.kubernetes.mark import MARK, SPARE
from sandbox.standin import lifecycle, nodes
from sandbox.standin.nodes import NodeSpec

NODES = "/api/v1/nodes"
READY_WITHIN = 30.0  # seconds; a second is usual
# Taints that the control plane puts on and takes off by itself.
SYSTEM_TAINT = "node.kubernetes.io/"


def set_nodes(name: str, group: str, fixed: Sequence[NodeSpec], spare: Sequence[NodeSpec] = ()) -> None:
    """Add, change and remove nodes. Raises ClusterError for two of one name, or one of another group's."""
    names = [spec.name for spec in (*fixed, *spare)]
    if len(set(names)) < len(names):
        raise ClusterError(f"Node group '{group}' names a node twice: {', '.join(names)}.")
    api = lifecycle.api(name)
    there = {node["metadata"]["name"]: node for node in api.list(NODES)}
    # A spare node that was needed stays, until the group shrinks below it.
    wanted = [*fixed, *(spec for spec in spare if spec.name in there)]
    specs = {spec.name: spec for spec in wanted}
    api.merge(MARK, {"data": {SPARE + group: json.dumps([nodes.manifest(spec, group) for spec in spare])}})
    for node in there.values():
        own = node["metadata"].get("labels", {}).get(nodes.GROUP)
        if own == group and node["metadata"]["name"] not in specs:
            _remove(api, node["metadata"]["name"])
        elif own != group and node["metadata"]["name"] in specs:
            raise ClusterError(f"Node '{node['metadata']['name']}' is in group '{own}' already, not in '{group}'.")
    for spec in wanted:
        _set(api, group, spec, there.get(spec.name))
    _await(api, set(specs))


def _set(api: Api, group: str, spec: NodeSpec, live: dict[str, Any] | None) -> None:
    if live is not None:
        change = nodes.compare(live["metadata"].get("annotations", {}).get(nodes.SPEC), spec)
        if change == "marks":
            _relabel(api, group, spec, live)
        if change != "machine":
            return
        _remove(api, spec.name)
    api.create(NODES, nodes.manifest(spec, group))


def _relabel(api: Api, group: str, spec: NodeSpec, live: dict[str, Any]) -> None:
    wanted = nodes.manifest(spec, group)
    labels: dict[str, str | None] = dict.fromkeys(live["metadata"].get("labels", {}))
    kept = [t for t in live["spec"].get("taints") or [] if t["key"].startswith(SYSTEM_TAINT)]
    change = {
        "metadata": {"labels": labels | wanted["metadata"]["labels"], "annotations": wanted["metadata"]["annotations"]},
        "spec": {"taints": kept + wanted["spec"]["taints"]},
    }
    api.merge(f"{NODES}/{spec.name}", change)


def _remove(api: Api, name: str) -> None:
    """Take a node away, and its pods with it: nobody is left who could end them gently."""
    api.merge(f"{NODES}/{name}", {"spec": {"unschedulable": True}})
    for pod in api.list(f"/api/v1/pods?fieldSelector=spec.nodeName={name}"):
        metadata = pod["metadata"]
        api.delete(f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}", grace_seconds=0)
    api.delete(f"{NODES}/{name}")


def _await(api: Api, names: set[str]) -> None:
    deadline, tick = time.monotonic() + READY_WITHIN, threading.Event()
    while missing := names - {n["metadata"]["name"] for n in api.list(NODES) if _schedulable(n)}:
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{', '.join(sorted(missing))} not Ready after {READY_WITHIN:.0f} s: see logs/kwok.log of the cluster."
            )
        tick.wait(0.1)  # never set: a pause between two looks


def _schedulable(node: dict[str, Any]) -> bool:
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions") or [])
    return ready and not any(t["key"].startswith(SYSTEM_TAINT) for t in node["spec"].get("taints") or [])
