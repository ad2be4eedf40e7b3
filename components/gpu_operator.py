"""NVIDIA's GPU Operator from its official chart: drivers where the host has none, device plugin, MIG, DCGM metrics."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.chart import Chart, release
from components.cluster import Cluster
from components.gpu_sharing import UNCUT, WHOLE, MigLayout, MigStrategy, device_plugin, gpu_resource, mig_parted
from components.labels import labels
from components.namespace import privileged_namespace

NAMESPACE = "gpu-operator"
COUNTERS = Path(__file__).with_name("gpu_counters.csv")


@dataclass(frozen=True, kw_only=True)
class GpuFeatures:
    """What the operator does on the nodes; the same for its chart and for OpenShift's ClusterPolicy.

    `driver` and `toolkit` are off where the host brings them: DGX OS, EKS' NVIDIA AMI, GKE's driver installation.
    """

    driver: bool
    toolkit: bool
    mig: MigStrategy = "none"
    layouts: tuple[MigLayout, ...] = ()  # the MIG layouts that nodes may name by label; see node_labels()
    slices: tuple[int, ...] = ()  # by how many pods GPUs are shared in turns on nodes that say so by label
    gds: bool = False  # GPUDirect Storage: the nvidia-fs kernel module
    gdrcopy: bool = False  # low-latency copies by the CPU: the gdrdrv kernel module
    host_network_driver: bool = False  # the RDMA driver (DOCA-OFED) is the host's, not the Network Operator's
    service_monitor_labels: dict[str, str] = field(default_factory=dict[str, str])  # what Prometheus selects by

    def __post_init__(self) -> None:
        if self.layouts and self.mig == "none":
            raise ValueError("mig: layouts are given but the strategy is 'none'; set it to 'single' or 'mixed'")
        if not self.driver and (self.gds or self.gdrcopy):
            raise ValueError(
                "gds and gdrcopy: their kernel modules are built in the operator's own driver pod; "
                "with the host's driver install nvidia-fs and gdrdrv on the host, and leave both off"
            )


@dataclass(frozen=True, kw_only=True)
class GpuOperatorArgs:
    """The chart (stacks/versions.py) and what it does. `timeout`: seconds for the operator itself to become ready."""

    cluster: Cluster
    chart: Chart
    features: GpuFeatures
    timeout: int = 900


class GpuConfigs(pulumi.ComponentResource):
    """The ConfigMaps that the operands read, and `policy`: the part of values or ClusterPolicy that names them.

    Their names end in their content's digest: the operands read them when they start, so a changed one has to be
    another one for them to roll.
    """

    policy: dict[str, Any]

    def __init__(
        self,
        name: str,
        features: GpuFeatures,
        cluster: Cluster,
        namespace: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("llmops:index:GpuConfigs", name, {}, opts)
        resources = {"nvidia.com/gpu", *(_resource(features.mig, layout) for layout in features.layouts)}
        plugin = device_plugin(features.mig, features.slices, resources - {""})
        counters = self._map(f"{name}-counters", {"dcgm-metrics.csv": COUNTERS.read_text()}, cluster, namespace)
        sharing = self._map(f"{name}-sharing", plugin, cluster, namespace)
        layouts = self._map(f"{name}-mig", {"config.yaml": mig_parted(features.layouts)}, cluster, namespace)
        self.policy = {
            "driver": {
                "enabled": features.driver,
                # GPUDirect RDMA by DMA-BUF needs NVIDIA's open kernel modules, which "auto" picks on every GPU since
                # Turing; the older nvidia-peermem (rdma.enabled) stays off.
                "kernelModuleType": "auto",
                "rdma": {"enabled": False, "useHostMofed": features.host_network_driver},
            },
            "toolkit": {"enabled": features.toolkit},
            "mig": {"strategy": features.mig},
            "migManager": {
                "enabled": features.mig != "none",
                "config": {"name": layouts, "default": UNCUT},
            },
            "devicePlugin": {"config": {"name": sharing, "default": WHOLE}},
            "dcgmExporter": {
                "config": {"name": counters},
                # Without the Prometheus Operator's CRDs the operator leaves it out by itself.
                "serviceMonitor": {
                    "enabled": True,
                    "interval": "15s",
                    "honorLabels": True,  # the pod that uses the GPU, not the exporter's own
                    "additionalLabels": features.service_monitor_labels,
                },
            },
            "gds": {"enabled": features.gds},
            "gdrcopy": {"enabled": features.gdrcopy},
        }
        self.register_outputs({})

    def _map(
        self, name: str, data: dict[str, str], cluster: Cluster, namespace: pulumi.Input[str]
    ) -> pulumi.Output[str]:
        digest = hashlib.sha256(repr(sorted(data.items())).encode()).hexdigest()[:8]
        made = k8s.core.v1.ConfigMap(
            name,
            metadata={"name": f"{name}-{digest}", "namespace": namespace, "labels": labels("gpu-operator", name)},
            immutable=True,
            data=data,
            opts=cluster.child(self),
        )
        return made.metadata.apply(lambda meta: str(meta.name))


class GpuOperator(pulumi.ComponentResource):
    """The operator and its operands. `release` is what pods that want a GPU wait for.

    The release is ready when the operator is; drivers are built after that, and pods stay Pending meanwhile.
    """

    release: k8s.helm.v3.Release

    def __init__(self, name: str, args: GpuOperatorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:GpuOperator", name, {}, opts)
        # The operands load kernel modules, write the container runtime's configuration and mount the host's root:
        # nothing below `privileged` admits them (NVIDIA GPU Operator, "Getting started").
        namespace = privileged_namespace(f"{name}-namespace", args.cluster, NAMESPACE, self)
        configs = GpuConfigs(
            f"{name}-config", args.features, args.cluster, namespace, pulumi.ResourceOptions(parent=self)
        )
        self.release = release(
            f"{name}-chart",
            args.chart,
            cluster=args.cluster,
            parent=self,
            name=name,
            namespace=namespace,
            timeout=args.timeout,
            check_values=False,  # the new version's ClusterPolicy is written before its CRD is there
            values={
                **configs.policy,
                # A hook applies the new version's CRDs before every upgrade. They stay when the release goes:
                # removing them would delete every ClusterPolicy of the cluster.
                "operator": {"upgradeCRD": True, "cleanupCRD": False},
            },
        )
        self.register_outputs({})


def _resource(strategy: MigStrategy, layout: MigLayout) -> str:
    """The layout's resource; empty where it has several profiles, which no pool of models uses."""
    return gpu_resource(strategy, layout) if len(layout.profiles) == 1 else ""
