"""GPUs on OpenShift: Node Feature Discovery and the GPU Operator from OperatorHub, and what they are told."""

from dataclasses import dataclass
from typing import Any, Literal

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components.cluster import Cluster
from components.custom import custom
from components.gpu_operator import GpuConfigs, GpuFeatures
from components.olm import PATIENCE, OlmOperator, OlmOperatorArgs
from components.pods import PRIVILEGED_NAMESPACE

NFD_NAMESPACE, GPU_NAMESPACE = "openshift-nfd", "nvidia-gpu-operator"
# Whose metrics OpenShift's own Prometheus reads; in this namespace the operator expects it.
MONITORED = {"openshift.io/cluster-monitoring": "true"}
# Display controllers and network cards by their PCI vendor: `pci-10de` is how the GPU Operator finds its nodes.
WORKER = {"sources": {"pci": {"deviceClassWhitelist": ["0200", "0207", "03"], "deviceLabelFields": ["vendor"]}}}


@dataclass(frozen=True, kw_only=True)
class OpenShiftGpusArgs:
    """Channels and approval of both operators; `version` is OpenShift's own, e.g. 4.20."""

    cluster: Cluster
    features: GpuFeatures
    version: str
    nfd_channel: str
    nfd_starting_csv: str | None
    gpu_channel: str
    gpu_starting_csv: str | None
    approval: Literal["Automatic", "Manual"]


class OpenShiftGpus(pulumi.ComponentResource):
    """Both operators, a NodeFeatureDiscovery and a ClusterPolicy. `policy` resolves when the GPUs can be used."""

    policy: k8s.apiextensions.CustomResource

    def __init__(self, name: str, args: OpenShiftGpusArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:OpenShiftGpus", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        discovery = OlmOperator(
            f"{name}-nfd",
            OlmOperatorArgs(
                cluster=args.cluster,
                namespace=NFD_NAMESPACE,
                package="nfd",
                source="redhat-operators",
                channel=args.nfd_channel,
                approval=args.approval,
                starting_csv=args.nfd_starting_csv,
                namespace_labels=MONITORED,
            ),
            own,
        )
        features = custom(
            "nfd.openshift.io/v1",
            "NodeFeatureDiscovery",
            "nfd-instance",
            namespace=discovery.namespace,
            resource_name=f"{name}-features",
            spec={
                "operand": {
                    # Not set by the operator when the object is not made in the web console.
                    "image": f"registry.redhat.io/openshift4/ose-node-feature-discovery-rhel9:v{args.version}",
                    "servicePort": 12000,
                },
                "workerConfig": {"configData": yaml.safe_dump(WORKER)},
            },
            opts=args.cluster.child(self, depends_on=[discovery.subscription]),
        )
        operator = OlmOperator(
            f"{name}-gpu",
            OlmOperatorArgs(
                cluster=args.cluster,
                namespace=GPU_NAMESPACE,
                package="gpu-operator-certified",
                source="certified-operators",
                channel=args.gpu_channel,
                approval=args.approval,
                starting_csv=args.gpu_starting_csv,
                namespace_labels={**MONITORED, **PRIVILEGED_NAMESPACE},
            ),
            own,
        )
        configs = GpuConfigs(f"{name}-config", args.features, args.cluster, operator.namespace, own)
        self.policy = custom(
            "nvidia.com/v1",
            "ClusterPolicy",
            "gpu-cluster-policy",
            resource_name=f"{name}-policy",
            spec=self._policy(configs.policy),
            annotations={"pulumi.com/waitFor": "jsonpath={.status.state}=ready"},
            opts=args.cluster.child(
                self, depends_on=[operator.subscription, features, configs], custom_timeouts=PATIENCE
            ),
        )
        self.register_outputs({})

    def _policy(self, told: dict[str, Any]) -> dict[str, Any]:
        """The whole spec: the operator takes what is left out as absent, not as its chart's default.

        After the example in the operator's own bundle (v26.7.0, alm-examples).
        """
        on, off = {"enabled": True}, {"enabled": False}
        return {
            # Drivers are built in the image that OpenShift ships for its nodes' exact kernel.
            "operator": {"defaultRuntime": "crio", "use_ocp_driver_toolkit": True, "runtimeClass": "nvidia"},
            "daemonsets": {"updateStrategy": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "1"}},
            "cdi": on,
            "gfd": on,
            "dcgm": on,
            "nodeStatusExporter": on,
            "sandboxWorkloads": off,
            "vgpuManager": off,
            **told,
            "driver": {
                **told["driver"],
                # One node at a time, and only after its pods have had their time to leave.
                "upgradePolicy": {"autoUpgrade": True, "maxParallelUpgrades": 1, "maxUnavailable": "25%"},
            },
            "devicePlugin": {**on, **told["devicePlugin"]},
            "dcgmExporter": {**on, **told["dcgmExporter"]},
        }
