"""A pretended node as a value, and as the Node object that a kubelet of its kind would register."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from sandbox.cluster.components import FAKE
from sandbox.standin.reserved import Platform, reserved
from sandbox.toolchain.families import KUBERNETES

GROUP = "llmops.sandbox/group"
SPEC = "llmops.sandbox/spec"  # what the node was made from, as an annotation
GPU = "nvidia.com/gpu"

Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class Machine(Protocol):
    """What is needed of a machine type (stacks/machines.py)."""

    @property
    def name(self) -> str: ...
    @property
    def cpus(self) -> int: ...
    @property
    def memory_gib(self) -> int: ...
    @property
    def gpus(self) -> int: ...


@dataclass(frozen=True)
class Taint:
    """Keeps pods without a matching toleration away."""

    key: str
    value: str = ""
    effect: Effect = "NoSchedule"


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """One node, with all its GPUs. `devices` are further extended resources by name, e.g. `vpc.amazonaws.com/efa`."""

    name: str
    cpus: int
    memory_gib: int
    gpus: int = 0
    pods: int = 110
    storage_gib: int = 200
    devices: Mapping[str, int] = field(default_factory=dict[str, int])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    taints: Sequence[Taint] = ()
    platform: Platform = "kubernetes"  # who set its kubelet up: what that keeps for the system
    os_image: str = "Pretended"
    runtime: str = "containerd://2.1.5"

    @classmethod
    def of(
        cls,
        machine: Machine,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Taint] = (),
        devices: Mapping[str, int] | None = None,
        **more: Any,
    ) -> "NodeSpec":
        """A node that is a machine of this type; its `node.kubernetes.io/instance-type` label says so."""
        return cls(
            name=name,
            cpus=machine.cpus,
            memory_gib=machine.memory_gib,
            gpus=machine.gpus,
            labels={"node.kubernetes.io/instance-type": machine.name, **(labels or {})},
            taints=tuple(taints),
            devices=dict(devices or {}),
            **more,
        )


def capacity(spec: NodeSpec) -> dict[str, str]:
    """Everything the machine has."""
    found = {
        "cpu": str(spec.cpus),
        "memory": f"{spec.memory_gib}Gi",
        "ephemeral-storage": f"{spec.storage_gib}Gi",
        "pods": str(spec.pods),
        **{name: str(count) for name, count in spec.devices.items()},
    }
    return {**found, GPU: str(spec.gpus)} if spec.gpus else found


def allocatable(spec: NodeSpec) -> dict[str, str]:
    """What pods may have of it: without what the kubelet keeps for the system."""
    kept = reserved(spec.platform, spec.cpus, spec.memory_gib, spec.storage_gib, spec.pods)
    return {
        **capacity(spec),
        "cpu": f"{spec.cpus * 1000 - kept.cpu_milli}m",
        "memory": f"{spec.memory_gib * 1024 - kept.memory_mib}Mi",
        "ephemeral-storage": f"{spec.storage_gib * 1024 - kept.storage_mib}Mi",
    }


def labels(spec: NodeSpec, group: str) -> dict[str, str]:
    """The kubelet's own labels, the group, and the given ones."""
    return {
        "kubernetes.io/hostname": spec.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        **spec.labels,
        GROUP: group,
    }


def taints(spec: NodeSpec) -> list[dict[str, str]]:
    """In the API's form."""
    return [{k: v for k, v in asdict(taint).items() if v} for taint in spec.taints]


def record(spec: NodeSpec) -> str:
    """The spec as text, to tell later whether a node is still what it should be."""
    return json.dumps(asdict(spec), sort_keys=True, default=dict)


def compare(before: str | None, spec: NodeSpec) -> Literal["nothing", "marks", "machine"]:
    """What differs from the recorded spec: labels and taints, which change under the pods, or the machine itself."""
    after = record(spec)
    if before == after:
        return "nothing"
    old, new = json.loads(before or "{}"), json.loads(after)
    same = {k: v for k, v in new.items() if k not in ("labels", "taints")}
    return "marks" if same == {k: v for k, v in old.items() if k not in ("labels", "taints")} else "machine"


def manifest(spec: NodeSpec, group: str) -> dict[str, Any]:
    """The Node object. kwok makes it Ready and keeps everything that is given here."""
    key, _, value = FAKE.partition("=")
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": spec.name,
            "labels": labels(spec, group),
            "annotations": {key: value, SPEC: record(spec)},
        },
        "spec": {"taints": taints(spec)},
        "status": {
            "capacity": capacity(spec),
            "allocatable": allocatable(spec),
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": spec.runtime,
                "kernelVersion": "6.12.0",
                "kubeProxyVersion": KUBERNETES,
                "kubeletVersion": KUBERNETES,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": spec.os_image,
                "systemUUID": "",
            },
        },
    }
