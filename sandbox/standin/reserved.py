"""What a kubelet keeps of a machine for the system and for itself, by who set the kubelet up.

EKS: nodeadm in https://github.com/awslabs/amazon-eks-ami (kube-reserved of AL2023 nodes). GKE:
https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes. OpenShift: "Allocating resources for nodes"
(system-reserved without automatic sizing). Kubernetes: the kubelet's own hard eviction thresholds
(https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/), which count for all of them.
"""

from dataclasses import dataclass
from typing import Literal

Platform = Literal["eks", "gke", "kubernetes", "openshift"]

EVICTION_MIB = 100  # memory.available
EVICTION_STORAGE = 0.1  # nodefs.available
# Millicores of the first, the second, the next two and every further core, of 1000 (EKS and GKE alike).
CPU_STEPS = ((1, 60), (1, 10), (2, 5))
CPU_REST = 2.5
# GKE: (GiB, share) of memory in ascending order, and of the rest.
GKE_STEPS = ((4, 0.25), (4, 0.20), (8, 0.10), (112, 0.06))
GKE_REST = 0.02


@dataclass(frozen=True)
class Reserved:
    """Millicores, MiB of memory and MiB of ephemeral storage that no pod may have."""

    cpu_milli: int
    memory_mib: int
    storage_mib: int


def reserved(platform: Platform, cpus: int, memory_gib: int, storage_gib: int, pods: int) -> Reserved:
    """The reservation of one machine."""
    memory = {
        "eks": 255 + 11 * pods,
        "gke": round(1024 * _stepped(memory_gib, GKE_STEPS, GKE_REST)),
        "kubernetes": 0,
        "openshift": 1024,
    }[platform]
    cpu = {"kubernetes": 0.0, "openshift": 500.0}.get(platform, _stepped(cpus, CPU_STEPS, CPU_REST))
    return Reserved(int(cpu), memory + EVICTION_MIB, round(storage_gib * 1024 * EVICTION_STORAGE))


def _stepped(amount: int, steps: tuple[tuple[int, float], ...], rest: float) -> float:
    total = 0.0
    for width, share in steps:
        total += min(amount, width) * share
        amount = max(0, amount - width)
    return total + amount * rest
