"""The programs a cluster consists of and how each is called."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from sandbox.cluster.addresses import Addresses
from sandbox.cluster.pki import NODE
from sandbox.cluster.plan import CONTAINERD_SOCKET, Component, Probe
from sandbox.paths import REPOSITORY

Level = Literal["control-plane", "fake-nodes", "node"]
# How a LoadBalancer Service of a cluster with fake nodes is reached: as AWS answers, or as everybody else does.
Balancer = Literal["hostname", "address"]

API_PORT = 6443
ETCD = "127.0.0.1:2379"

FOR_KWOK = (
    # Where no pod runs, no webhook can answer.
    "--disable-admission-plugins=MutatingAdmissionWebhook,ValidatingAdmissionWebhook",
    # kwok watches from resource version 0, which the API server takes for a streamed list, which Debian's etcd 3.4
    # cannot give: every watch would fail and come back seconds later.
    "--feature-gates=WatchList=false",
)

# The kubelet, kube-proxy and containerd find `nft`, `ip`, `runc` and the shims by PATH.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def server(addresses: Addresses) -> str:
    """The API server's URL."""
    return f"https://{addresses.node}:{API_PORT}"


def _memory(limit_mib: int, gc_percent: int = 50) -> dict[str, str]:
    # Go doubles its heap before it collects; on a developer's machine memory is scarcer than these programs' time.
    return {"GOMEMLIMIT": f"{limit_mib}MiB", "GOGC": str(gc_percent), "PATH": PATH}


def control_plane(
    addresses: Addresses, directory: Path, program: Callable[[str], Path], *, fake: bool = False
) -> list[Component]:
    """etcd, API server, controller manager, scheduler. `program` finds a binary by name; `fake`: kwok plays nodes."""
    pki = directory / "pki"
    ready = Probe(https=f"{server(addresses)}/readyz")
    return [
        Component(
            name="etcd",
            argv=[
                str(program("etcd")),
                f"--data-dir={directory / 'etcd'}",
                f"--listen-client-urls=http://{ETCD}",
                f"--advertise-client-urls=http://{ETCD}",
                "--listen-peer-urls=http://127.0.0.1:2380",
                "--initial-advertise-peer-urls=http://127.0.0.1:2380",
                "--initial-cluster=default=http://127.0.0.1:2380",
                "--unsafe-no-fsync",  # a cluster that a power cut may take is fine here
                "--snapshot-count=5000",  # keeps fewer entries in memory
                "--logger=zap",
                "--log-level=warn",
            ],
            env=_memory(128),
            ready=Probe(tcp=ETCD),
            linger=True,
        ),
        Component(
            name="kube-apiserver",
            argv=[
                str(program("kube-apiserver")),
                f"--etcd-servers=http://{ETCD}",
                f"--secure-port={API_PORT}",
                f"--bind-address={addresses.node}",
                f"--advertise-address={addresses.node}",
                f"--tls-cert-file={pki / 'apiserver.crt'}",
                f"--tls-private-key-file={pki / 'apiserver.key'}",
                f"--client-ca-file={pki / 'ca.crt'}",
                "--anonymous-auth=false",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                *(FOR_KWOK if fake else ()),
                f"--kubelet-certificate-authority={pki / 'ca.crt'}",
                f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
                f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
                "--kubelet-preferred-address-types=InternalIP",
                f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
                "--requestheader-allowed-names=front-proxy-client",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-username-headers=X-Remote-User",
                f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
                f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
                "--enable-aggregator-routing=true",  # the API server has no kube-proxy rules of its own to rely on
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={pki / 'service-account.pub'}",
                f"--service-account-signing-key-file={pki / 'service-account.key'}",
                f"--service-cluster-ip-range={addresses.services}",
                "--allow-privileged=true",
                "--profiling=false",
                "--event-ttl=30m",
            ],
            env=_memory(400),
            needs=["etcd"],
            ready=ready,
        ),
        Component(
            name="kube-controller-manager",
            argv=[
                str(program("kube-controller-manager")),
                f"--kubeconfig={directory / 'controller-manager.kubeconfig'}",
                f"--root-ca-file={pki / 'ca.crt'}",
                f"--service-account-private-key-file={pki / 'service-account.key'}",
                "--use-service-account-credentials=true",
                "--bind-address=127.0.0.1",
                "--leader-elect=false",
                "--profiling=false",
                f"--cluster-cidr={addresses.pods}",
                "--kube-api-qps=100",
                "--kube-api-burst=200",
                # One process renews all pretended nodes' leases: on a busy machine it may be late without being gone.
                *(["--node-monitor-grace-period=5m"] if fake else []),
                # No node addresses to hand out, and no kubelet that asks for certificates.
                "--controllers=*,-node-ipam-controller,-certificatesigningrequest-signing-controller,"
                "-certificatesigningrequest-approving-controller,-certificatesigningrequest-cleaner-controller",
            ],
            env=_memory(100),
            needs=["kube-apiserver"],
            ready=Probe(tcp="127.0.0.1:10257"),
        ),
        Component(
            name="kube-scheduler",
            argv=[
                str(program("kube-scheduler")),
                f"--kubeconfig={directory / 'scheduler.kubeconfig'}",
                "--bind-address=127.0.0.1",
                "--leader-elect=false",
                "--profiling=false",
                "--kube-api-qps=100",
                "--kube-api-burst=200",
            ],
            env=_memory(64),
            needs=["kube-apiserver"],
            ready=Probe(tcp="127.0.0.1:10259"),
        ),
    ]


def node(addresses: Addresses, directory: Path, root: Path, program: Callable[[str], Path]) -> list[Component]:
    """containerd, kubelet, kube-proxy. `root` is containerd's content store."""
    return [
        Component(
            name="sweep",  # what an earlier cluster's containers left in the store
            argv=[
                sys.executable,
                "-S",
                "-m",
                "sandbox.cluster.sweep",
                str(program("containerd")),
                str(directory / "containerd-sweep.toml"),
                str(root),
            ],
            env={"PYTHONPATH": str(REPOSITORY), "PATH": PATH},
            oneshot=True,
        ),
        Component(
            name="containerd",
            argv=[str(program("containerd")), f"--config={directory / 'containerd.toml'}", "--log-level=warn"],
            env=_memory(96),
            needs=["sweep"],
            ready=Probe(unix=CONTAINERD_SOCKET),
            linger=True,
        ),
        Component(
            name="kubelet",
            argv=[
                str(program("kubelet")),
                f"--config={directory / 'kubelet.yaml'}",
                f"--kubeconfig={directory / 'kubelet.kubeconfig'}",
                f"--hostname-override={NODE}",
                f"--node-ip={addresses.node}",
                f"--volume-plugin-dir={directory / 'volume-plugins'}",
                "--housekeeping-interval=30s",
            ],
            env=_memory(80),
            needs=["containerd", "kube-apiserver"],
            ready=Probe(tcp="127.0.0.1:10248"),
        ),
        Component(
            name="kube-proxy",
            argv=[str(program("kube-proxy")), f"--config={directory / 'kube-proxy.yaml'}"],
            env=_memory(48),
            needs=["kube-apiserver"],
            ready=Probe(tcp="127.0.0.1:10256"),
        ),
    ]


def fake_nodes(addresses: Addresses, directory: Path, program: Callable[[str], Path]) -> list[Component]:
    """kwok: plays the kubelet of nodes that carry its annotation, and of no others."""
    return [
        Component(
            name="kwok",
            argv=[
                str(program("kwok")),
                f"--kubeconfig={directory / 'kwok.kubeconfig'}",
                f"--config={directory / 'kwok.yaml'}",
                "--manage-all-nodes=false",
                f"--manage-nodes-with-annotation-selector={FAKE}",
                "--node-lease-duration-seconds=40",  # the kubelet's own; without one the nodes are soon NotReady
                f"--cidr={addresses.pods}",
                f"--node-ip={addresses.node}",
                "--node-port=10247",
                "--server-address=127.0.0.1:10247",
                "--v=WARN",
            ],
            env=_memory(64),
            needs=["kube-apiserver"],
            ready=Probe(tcp="127.0.0.1:10247"),
        )
    ]


# The annotation by which kwok knows the nodes that it plays.
FAKE = "kwok.x-k8s.io/node=fake"
# The components' kubeconfig files, by the certificate they carry.
CLIENTS = ("controller-manager", "scheduler", "kubelet", "proxy", "kwok")
