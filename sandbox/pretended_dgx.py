"""A pretended cluster for a DGX stack that is given none: a real control plane, nodes shaped like its pools."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import standin
from sandbox.progress import Progress
from sandbox.standin import NodeSpec, Taint
from stacks.machines import DGX, Machine
from stacks.schema.dgx import GpuPool
from stacks.settings import Settings

if TYPE_CHECKING:
    from sandbox.cluster.api import Api

# What GPU Feature Discovery calls them (nvidia.com/gpu.product), for the machines of stacks/machines.py.
PRODUCTS = {
    "a100-80gb": "NVIDIA-A100-SXM4-80GB",
    "h100-80gb": "NVIDIA-H100-80GB-HBM3",
    "h200-141gb": "NVIDIA-H200",
    "b200": "NVIDIA-B200",
}
# The machines for all that is not a model: three, so that what is spread over nodes is spread.
SYSTEM = Machine(name="system", cpus=32, memory_gib=128)


def wanted(settings: Settings) -> bool:
    """Whether the stack runs on a pretended cluster: no kubeconfig in its settings and none in the environment."""
    named = settings.dgx is not None and settings.dgx.kubeconfig is not None
    return "dgx" in settings.targets and not named and not os.environ.get("KUBECONFIG")


def prepare(stack: str, settings: Settings, progress: Progress) -> Path:
    """Start, or find, the cluster, and make its nodes what the settings say. Its administrator's kubeconfig."""
    assert settings.dgx is not None
    name = name_of(stack)
    openshift = settings.dgx.distribution == "openshift"
    with progress.step(f"Pretend a cluster for {stack}: real control plane, no machines"):
        endpoint = standin.create(name, platform="openshift" if openshift else "kubernetes", progress=progress)
        for pool in settings.dgx.pools:
            standin.set_nodes(name, pool.name, _nodes(settings, pool))
        standin.set_nodes(name, "system", _system(settings))
        _furnish(name, settings)
    count = sum(pool.nodes for pool in settings.dgx.pools)
    progress.say(f"No kubeconfig is given: {stack}'s cluster is pretended, and so are its {count} GPU nodes.")
    return endpoint.kubeconfig


def forget(stack: str, settings: Settings, progress: Progress) -> bool:
    """Stop the stack's pretended cluster and forget it with everything in it; whether there was one."""
    name = name_of(stack)
    if not wanted(settings) or all(one.name != name for one in standin.list()):
        return False
    with progress.step("Stop the pretended cluster"):
        standin.delete(name, progress)
    return True


def name_of(stack: str) -> str:
    """The pretended cluster's name."""
    return f"dgx-{stack}"


def _nodes(settings: Settings, pool: GpuPool) -> list[NodeSpec]:
    """The pool's nodes as the GPU Operator would leave them: it does not run here."""
    assert settings.dgx is not None
    machine, gpu = DGX[pool.machine], DGX[pool.machine].gpu
    assert gpu is not None
    seen, mixed = pool.unit(machine), settings.dgx.gpu_operator.mig == "mixed" and pool.mig
    labels = {
        "node.kubernetes.io/instance-type": machine.name,
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.count": str(machine.gpus),
        "nvidia.com/gpu.product": PRODUCTS.get(gpu.name, f"NVIDIA-{gpu.name.upper()}"),
        **pool.selector,
    }
    network = settings.dgx.network_operator
    devices = {f"nvidia.com/mig-{next(iter(pool.mig))}": seen.gpus} if mixed and pool.mig else {}
    if network.install:
        devices[f"rdma/{network.resource}"] = network.pods_per_node
    return [
        NodeSpec(
            name=name,
            cpus=machine.cpus,
            memory_gib=machine.memory_gib,
            gpus=0 if mixed else seen.gpus,
            labels=labels,
            devices=devices,
            # Where there are other nodes, ours keep what has no business on a GPU away.
            taints=(Taint("nvidia.com/gpu", "present", "NoSchedule"),) if settings.dgx.system_selector else (),
        )
        for name in pool.hosts or [f"{pool.name}-{number}" for number in range(1, pool.nodes + 1)]
    ]


def _system(settings: Settings) -> list[NodeSpec]:
    assert settings.dgx is not None
    selector = settings.dgx.system_selector
    return [NodeSpec.of(SYSTEM, f"system-{number}", labels=selector) for number in range(1, 4)] if selector else []


def _furnish(name: str, settings: Settings) -> None:
    """What somebody else has installed on such a cluster before we come."""
    from sandbox.standin.lifecycle import api

    assert settings.dgx is not None
    server: Api = api(name)
    if settings.storage.kind == "gpfs":
        driver = "spectrumscale.csi.ibm.com"
        server.apply(
            f"/apis/storage.k8s.io/v1/csidrivers/{driver}",
            {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": driver}, "spec": {}},
        )
    if not settings.dgx.gpu_operator.install:
        server.apply(
            "/apis/node.k8s.io/v1/runtimeclasses/nvidia",
            {
                "apiVersion": "node.k8s.io/v1",
                "kind": "RuntimeClass",
                "metadata": {"name": "nvidia"},
                "handler": "nvidia",
            },
        )
