"""NVIDIA's Network Operator from its official chart: RDMA devices for models that span nodes.

GPUs and NICs talk to each other by DMA-BUF, which needs the GPU driver's open kernel modules and Linux 5.12 and nothing
from here; what this adds is the devices themselves (/dev/infiniband) for pods that ask for them.
"""

import json
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.chart import Chart, release
from components.cluster import Cluster
from components.custom import custom
from components.namespace import privileged_namespace

NAMESPACE = "nvidia-network-operator"
IMAGES = "nvcr.io/nvidia/mellanox"
MELLANOX = "15b3"  # the PCI vendor of ConnectX and BlueField


@dataclass(frozen=True, kw_only=True)
class NetworkOperatorArgs:
    """The chart, and what it hands out. `driver` is the DOCA-OFED image's tag; none: the host has one.

    `resource` is what a pod asks for as `rdma/<resource>`; `interfaces` are the fabric's, none: every Mellanox NIC.
    """

    cluster: Cluster
    chart: Chart
    image_tag: str
    resource: str
    pods_per_node: int
    interfaces: tuple[str, ...] = ()
    driver: str | None = None
    feature_discovery: bool = False  # install Node Feature Discovery; no: the GPU Operator has


def rdma_resource(resource: str) -> str:
    """The extended resource of the shared RDMA devices."""
    return f"rdma/{resource}"


class NetworkOperator(pulumi.ComponentResource):
    """The operator and its one NicClusterPolicy. `policy` is what pods that want RDMA wait for."""

    policy: k8s.apiextensions.CustomResource

    def __init__(self, name: str, args: NetworkOperatorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:NetworkOperator", name, {}, opts)
        # Its operands load kernel modules and register devices with the kubelet.
        namespace = privileged_namespace(f"{name}-namespace", args.cluster, NAMESPACE, self)
        chart = release(
            f"{name}-chart",
            args.chart,
            cluster=args.cluster,
            parent=self,
            name=name,
            namespace=namespace,
            timeout=900,
            check_values=False,  # its hook upgrades the CRDs first
            values={
                "upgradeCRDs": True,
                "nfd": {"enabled": args.feature_discovery, "deployNodeFeatureRules": True},
                "sriovNetworkOperator": {"enabled": False},
            },
        )
        self.policy = custom(
            "mellanox.com/v1alpha1",
            "NicClusterPolicy",
            "nic-cluster-policy",  # the only name that the operator looks at
            spec={
                **({"ofedDriver": _image("doca-driver", args.driver)} if args.driver else {}),
                "rdmaSharedDevicePlugin": {
                    **_image("k8s-rdma-shared-dev-plugin", args.image_tag),
                    "config": _devices(args),
                },
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            },
            opts=args.cluster.child(self, depends_on=[chart]),
        )
        self.register_outputs({})


def _image(name: str, version: str) -> dict[str, str]:
    return {"image": name, "repository": IMAGES, "version": version}


def _devices(args: NetworkOperatorArgs) -> str:
    """The device plugin's configuration (github.com/Mellanox/k8s-rdma-shared-dev-plugin)."""
    selectors = {"ifNames": list(args.interfaces)} if args.interfaces else {"vendors": [MELLANOX]}
    shared = {"resourceName": args.resource, "rdmaHcaMax": args.pods_per_node, "selectors": selectors}
    return json.dumps({"configList": [shared]})
