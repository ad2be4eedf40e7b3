"""GPU servers of an own data centre: nodes as the GPU Operator's feature discovery labels them.

Labels: https://github.com/NVIDIA/k8s-device-plugin (docs/gpu-feature-discovery). Product names and MiB are what
`nvidia-smi` prints on such machines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.standin.nodes import NodeSpec, Taint
from stacks.machines import Machine


@dataclass(frozen=True)
class Product:
    """How feature discovery names a kind of GPU; memory in MiB."""

    name: str
    memory: int
    family: str
    mig: bool = False


PRODUCTS = {
    "t4": Product("Tesla-T4", 15360, "turing"),
    "a10g": Product("NVIDIA-A10G", 23028, "ampere"),
    "l4": Product("NVIDIA-L4", 23034, "ada-lovelace"),
    "l40s": Product("NVIDIA-L40S", 46068, "ada-lovelace"),
    "a100-40gb": Product("NVIDIA-A100-SXM4-40GB", 40960, "ampere", mig=True),
    "a100-80gb": Product("NVIDIA-A100-SXM4-80GB", 81920, "ampere", mig=True),
    "h100-80gb": Product("NVIDIA-H100-80GB-HBM3", 81559, "hopper", mig=True),
    "h200-141gb": Product("NVIDIA-H200", 143771, "hopper", mig=True),
    "b200": Product("NVIDIA-B200", 183359, "blackwell", mig=True),
}


def discovered(machine: Machine) -> dict[str, str]:
    """The labels of a machine on which the GPU Operator has found the GPUs; none without any."""
    if machine.gpu is None:
        return {}
    product = PRODUCTS[machine.gpu.name]
    major, _, minor = machine.gpu.capability.partition(".")
    return {
        "feature.node.kubernetes.io/pci-10de.present": "true",
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.count": str(machine.gpus),
        "nvidia.com/gpu.replicas": "1",
        "nvidia.com/gpu.product": product.name,
        "nvidia.com/gpu.memory": str(product.memory),
        "nvidia.com/gpu.family": product.family,
        "nvidia.com/gpu.machine": machine.name.upper().replace("-", ""),
        "nvidia.com/gpu.compute.major": major,
        "nvidia.com/gpu.compute.minor": minor,
        "nvidia.com/mig.capable": str(product.mig).lower(),
    }


def server(
    machine: Machine,
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Taint] = (),
    devices: Mapping[str, int] | None = None,
    **more: Any,
) -> NodeSpec:
    """One server, e.g. of `stacks.machines.DGX["dgx-h100"]`; `devices` are its RDMA resources, if it shows any."""
    return NodeSpec.of(
        machine,
        name,
        labels={**discovered(machine), **(labels or {})},
        taints=taints,
        devices=devices,
        storage_gib=more.pop("storage_gib", 1800),  # the system disk; models lie on the data disks or on the network
        **more,
    )
