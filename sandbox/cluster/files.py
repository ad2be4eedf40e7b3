"""The components' own configuration files, as text."""

import json
from pathlib import Path
from typing import Any

from sandbox.cluster.addresses import Addresses
from sandbox.cluster.plan import CONTAINERD_SOCKET, RUN

PAUSE = "registry.k8s.io/pause:3.10"
CNI_PLUGINS = "/usr/lib/cni"  # Debian's containernetworking-plugins


def containerd(root: Path, directory: Path, kubernetes: bool = True) -> str:
    """containerd's configuration (version 2). `kubernetes` False leaves the kubelet's plugin out."""
    disabled = [
        "io.containerd.internal.v1.opt",  # makes /opt/containerd on the host
        *(f"io.containerd.snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "zfs")),
        *([] if kubernetes else ["io.containerd.grpc.v1.cri"]),
    ]
    return f"""\
version = 2
root = {json.dumps(str(root))}
state = "/run/containerd"
disabled_plugins = {json.dumps(disabled)}
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Lowering a score needs CAP_SYS_RESOURCE, which many containers and virtual machines lack.
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = {json.dumps(str(directory / "cni"))}
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def cni(addresses: Addresses) -> str:
    """One bridge for all pods. No masquerading: nothing leaves the cluster."""
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": f"{RUN}/cni",  # forgotten with the pods, or addresses would run out
            "ranges": [[{"subnet": addresses.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, portmap]}, indent=1)


def kubelet(addresses: Addresses, directory: Path, cgroup: str) -> str:
    """KubeletConfiguration (JSON is YAML)."""
    pki = directory / "pki"
    configuration: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",  # so that it never sees another cluster's pods
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "address": addresses.node,
        "healthzBindAddress": "127.0.0.1",
        "clusterDNS": [addresses.dns],
        "clusterDomain": "cluster.local",
        "resolvConf": str(directory / "resolv.conf"),
        # The disk belongs to the developer, not to the cluster: a full one must not evict pods or delete images.
        "evictionHard": {
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageMaximumGCAge": "0s",
        "oomScoreAdj": 0,  # lowering it needs CAP_SYS_RESOURCE
        "volumeStatsAggPeriod": "-1s",  # nobody reads them, and walking volumes costs
        "serializeImagePulls": False,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "shutdownGracePeriod": "0s",
    }
    return json.dumps(configuration, indent=1)


def kube_proxy(addresses: Addresses, directory: Path, node: str) -> str:
    """KubeProxyConfiguration: nftables, node ports on the node's address."""
    configuration: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "bindAddress": addresses.node,
        "hostnameOverride": node,
        "clientConnection": {"kubeconfig": str(directory / "proxy.kubeconfig"), "qps": 100, "burst": 200},
        "clusterCIDR": addresses.pods,
        "detectLocalMode": "ClusterCIDR",
        "nodePortAddresses": [f"{addresses.node}/32"],
        # The table's size belongs to the host's kernel; only the host's own namespace may set it.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "nftables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "oomScoreAdj": 0,
    }
    return json.dumps(configuration, indent=1)


def render(addresses: Addresses, directory: Path, root: Path, cgroup: str, node: str) -> dict[str, str]:
    """Every file below the cluster's directory, by relative name. Pure."""
    return {
        "containerd.toml": containerd(root, directory),
        "containerd-sweep.toml": containerd(root, directory, kubernetes=False),
        "cni/10-pods.conflist": cni(addresses),
        "kubelet.yaml": kubelet(addresses, directory, cgroup),
        "kube-proxy.yaml": kube_proxy(addresses, directory, node),
        # Pods with dnsPolicy Default must not ask the host's resolver: they could not reach it.
        "resolv.conf": f"nameserver {addresses.dns}\n",
    }
