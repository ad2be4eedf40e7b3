"""Whether an existing cluster is what the stack takes it for, looked at before anything on it is changed.

Only reads, so a preview does it too. Every failure is one sentence that begins with the setting to change.
What no API tells stays the operator's own matter: that DGX OS' container runtime has `nvidia` as its default, that
the nodes have an NFS client, and that the fabric works (docs/deploy/dgx.md has the commands).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from components.kube_reader import KubeReader
from components.kubeconfig import Json

# Native sidecars, `sleep` in preStop hooks and Gateway API's CEL rules: all on by default since.
OLDEST = (1, 30)
CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
GPU, PRODUCT = "nvidia.com/gpu", "nvidia.com/gpu.product"
RUNTIME_CLASS = "nvidia"  # made by the GPU Operator
RUNTIMES = ("containerd://", "cri-o://")


@dataclass(frozen=True, kw_only=True)
class PoolNeed:
    """What the stack says of one pool. `key` is its setting, `gpus` whole ones of one node, `gpu` e.g. h100-80gb."""

    key: str
    nodes: int
    gpus: int
    gpu: str
    selector: dict[str, str]
    hosts: tuple[str, ...] = ()
    shared: bool = False  # by MIG or in turns: then the number that a node reports is another


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What the stack needs of the cluster. `csi_driver` is the store's, where it has one."""

    distribution: Literal["kubernetes", "openshift"]
    pools: tuple[PoolNeed, ...]
    system_selector: dict[str, str]
    csi_driver: str | None = None
    installs_gpu_operator: bool = True  # GPUs are not reported before it is there
    openshift_version: str = ""


def failures(reader: KubeReader, needs: Needs) -> list[str]:
    """What is wrong, a sentence each; empty where the cluster is as it should be. Raises KubeError."""
    nodes = reader.items("/api/v1/nodes")
    return [
        *_version(reader, needs),
        *_distribution(reader, needs),
        *_nodes(nodes, needs),
        *_system(nodes, needs),
        *_storage(reader, needs),
        *_runtime_class(reader, needs),
    ]


def _version(reader: KubeReader, needs: Needs) -> Iterator[str]:
    text = str((reader.get("/version") or {}).get("gitVersion"))
    found = re.match(r"v(\d+)\.(\d+)", text)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        yield f"dgx.kubeconfig: its cluster runs Kubernetes {text}; upgrade it to {OLDEST[0]}.{OLDEST[1]} or later"


def _distribution(reader: KubeReader, needs: Needs) -> Iterator[str]:
    is_openshift = reader.get("/apis/route.openshift.io/v1") is not None
    if needs.distribution == "kubernetes":
        if is_openshift:
            yield "dgx.distribution: is 'kubernetes', and the cluster has OpenShift's Routes; set it to 'openshift'"
        return
    if not is_openshift:
        yield "dgx.distribution: is 'openshift', and the cluster has no Routes; set it to 'kubernetes'"
    elif reader.get("/apis/operators.coreos.com/v1alpha1") is None:
        yield "dgx.distribution: the cluster has no Operator Lifecycle Manager, which installs the operators; enable it"
    running = (reader.get("/apis/config.openshift.io/v1/clusterversions/version") or {}).get("status") or {}
    version = str((running.get("desired") or {}).get("version") or "")
    if version and not version.startswith(f"{needs.openshift_version}."):
        yield f"dgx.openshift.version: is {needs.openshift_version!r}, and the cluster runs {version}; set it to that"


def _nodes(nodes: list[Json], needs: Needs) -> Iterator[str]:
    for pool in needs.pools:
        found = [node for node in nodes if _belongs(node, pool)]
        names = {node["metadata"]["name"] for node in found}
        where = "are named in hosts" if pool.hosts else f"have the labels {_shown(pool.selector)}"
        if absent := sorted(set(pool.hosts) - names):
            yield f"{pool.key}.hosts: the cluster has no node {', '.join(absent)}; correct the names"
        able = [node for node in found if _able(node)]
        if len(able) < pool.nodes:
            asleep = sorted(names - {node["metadata"]["name"] for node in able})
            but = f" ({', '.join(asleep)} not Ready or cordoned)" if asleep else ""
            yield (
                f"{pool.key}.nodes: {len(able)} Ready nodes {where}{but}, and {pool.nodes} are needed; "
                "label or repair the others, or lower it"
            )
        for node in found:
            yield from _gpus(node, pool, needs)


def _gpus(node: Json, pool: PoolNeed, needs: Needs) -> Iterator[str]:
    name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
    product = str(labels.get(PRODUCT, ""))
    model = pool.gpu.partition("-")[0].upper()
    if product and not re.search(rf"(^|[^A-Z0-9]){model}([^0-9]|$)", product.upper()):
        yield f"{pool.key}.machine: node {name} has {product}, and {pool.gpu} is expected; name the machine that it is"
    reported = int((node["status"].get("allocatable") or {}).get(GPU, 0))
    known_later = needs.installs_gpu_operator and not reported
    if not pool.shared and not known_later and reported < pool.gpus:
        yield (
            f"{pool.key}.machine: node {name} offers {reported} of {pool.gpus} GPUs; "
            "repair it (kubectl describe node), or name the machine that it is"
        )
    runtime = str((node["status"].get("nodeInfo") or {}).get("containerRuntimeVersion"))
    if not runtime.startswith(RUNTIMES):
        yield f"{pool.key}: node {name} runs {runtime}; the GPU Operator needs containerd or CRI-O"


def _system(nodes: list[Json], needs: Needs) -> Iterator[str]:
    if needs.system_selector and not any(_has(node, needs.system_selector) and _able(node) for node in nodes):
        yield f"dgx.systemSelector: no Ready node has the labels {_shown(needs.system_selector)}; correct them"


def _storage(reader: KubeReader, needs: Needs) -> Iterator[str]:
    if needs.csi_driver and reader.get(f"/apis/storage.k8s.io/v1/csidrivers/{needs.csi_driver}") is None:
        yield f"storage.kind: the cluster has no CSI driver {needs.csi_driver}; install it, or choose 'nfs'"


def _runtime_class(reader: KubeReader, needs: Needs) -> Iterator[str]:
    if not needs.installs_gpu_operator and reader.get(f"/apis/node.k8s.io/v1/runtimeclasses/{RUNTIME_CLASS}") is None:
        yield (
            f"dgx.gpuOperator.install: is false, and the cluster has no RuntimeClass {RUNTIME_CLASS!r}, "
            "which a GPU Operator makes; set it to true"
        )


def _belongs(node: Json, pool: PoolNeed) -> bool:
    if pool.hosts:
        return node["metadata"]["name"] in pool.hosts
    if pool.selector:
        return _has(node, pool.selector)
    return not any(role in (node["metadata"].get("labels") or {}) for role in CONTROL_PLANE)


def _has(node: Json, selector: dict[str, str]) -> bool:
    labels = node["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _able(node: Json) -> bool:
    conditions = node["status"].get("conditions") or []
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not node["spec"].get("unschedulable")


def _shown(selector: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in selector.items()) or "of any worker"
