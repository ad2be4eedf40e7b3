"""Stands in for the node autoscaler of a pretended cluster: starts spare nodes for pods that fit on no other.

The spare nodes are what the node groups could still grow by (`standin.set_nodes(…, spare=…)`), kept as Node manifests
in the cluster's mark. As the real ones do, it only judges what the scheduler has refused, by node selectors, required
node affinity, taints and requests.
"""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.mark import MARK, SPARE
from sandbox.provider.kubernetes.quantity import parse
from sandbox.provider.kubernetes.rest import ApiError, Json

Amounts = dict[str, Decimal]
# A node that still starts will take the pods for which it was started: another one would be one too many.
STARTING = frozenset({"node.kubernetes.io/not-ready", "node.kubernetes.io/network-unavailable"})


def grow(cluster: Cluster) -> list[str]:
    """Start the nodes that are missing; their names."""
    pods = cluster.rest.request("GET", "/api/v1/pods").get("items") or []
    waiting = [pod for pod in pods if _refused(pod)]
    data = cluster.rest.request("GET", MARK).get("data") or {}
    spare = [node for key, text in sorted(data.items()) if key.startswith(SPARE) for node in json.loads(text)]
    if not waiting or not spare:
        return []
    nodes = cluster.rest.request("GET", "/api/v1/nodes").get("items") or []
    started = [node["metadata"]["name"] for node in missing(waiting, pods, nodes, spare)]
    for node in spare:
        if node["metadata"]["name"] in started:
            try:
                cluster.rest.request("POST", "/api/v1/nodes", body=node)
            except ApiError as error:
                if error.code != 409:  # another resource's wait was quicker
                    raise
    return started


def missing(waiting: list[Json], pods: list[Json], nodes: list[Json], spare: list[Json]) -> list[Json]:
    """The spare nodes that the waiting pods need, given what the nodes have left. Pure."""
    there = {node["metadata"]["name"] for node in nodes}
    left = [(node, _left(node, pods)) for node in nodes]
    unused = [node for node in spare if node["metadata"]["name"] not in there]
    started: list[Json] = []
    for pod in waiting:
        wanted = requests(pod)
        if _place(pod, wanted, left):
            continue
        for node in unused:
            fresh = [(node, _left(node, []))]
            if _place(pod, wanted, fresh):
                left += fresh
                started.append(node)
                unused.remove(node)
                break
    return started


def requests(pod: Json) -> Amounts:
    """What a pod asks a node for: its containers together, or one init container where that is more."""
    spec = pod["spec"]
    found: Amounts = {}
    for container in spec.get("containers") or []:
        for name, amount in _asked(container).items():
            found[name] = found.get(name, Decimal(0)) + amount
    for container in spec.get("initContainers") or []:
        for name, amount in _asked(container).items():
            found[name] = max(found.get(name, Decimal(0)), amount)
    return {**found, "pods": Decimal(1)}


def _asked(container: Json) -> Amounts:
    resources = container.get("resources") or {}
    given = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: parse(amount) for name, amount in given.items()}


def _left(node: Json, pods: list[Json]) -> Amounts:
    left = {name: parse(amount) for name, amount in ((node.get("status") or {}).get("allocatable") or {}).items()}
    for pod in pods:
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if pod["spec"].get("nodeName") == node["metadata"]["name"] and not ended:
            for name, amount in requests(pod).items():
                left[name] = left.get(name, Decimal(0)) - amount
    return left


def _place(pod: Json, wanted: Amounts, nodes: list[tuple[Json, Amounts]]) -> bool:
    """Put a pod on the first node that takes it."""
    for node, left in nodes:
        fits = all(left.get(name, Decimal(0)) >= amount for name, amount in wanted.items())
        if fits and _selected(pod, node) and _tolerated(pod, node):
            for name, amount in wanted.items():
                left[name] -= amount
            return True
    return False


def _selected(pod: Json, node: Json) -> bool:
    labels: dict[str, str] = node["metadata"].get("labels") or {}
    spec = pod["spec"]
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not affinity:
        return True
    terms = affinity.get("nodeSelectorTerms") or []
    return any(all(_matches(e, labels) for e in term.get("matchExpressions") or []) for term in terms)


def _matches(expression: Json, labels: dict[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            if value is None or not value.lstrip("-").isdigit():
                return False
            return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
        case _:
            return False


def _tolerated(pod: Json, node: Json) -> bool:
    tolerations: list[Json] = pod["spec"].get("tolerations") or []
    taints: Iterable[Json] = (node.get("spec") or {}).get("taints") or []
    return all(
        any(_tolerates(t, taint) for t in tolerations)
        for taint in taints
        if taint["effect"] != "PreferNoSchedule" and taint["key"] not in STARTING
    )


def _tolerates(toleration: Json, taint: Json) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return (toleration.get("key"), toleration.get("value", "")) == (taint["key"], taint.get("value", ""))


def _refused(pod: Any) -> bool:
    """Whether the scheduler found no node for a pod."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c.get("type") == "PodScheduled" and c.get("reason") == "Unschedulable" for c in conditions)
