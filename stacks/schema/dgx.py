"""A cluster of DGX or HGX machines that exists already."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic.alias_generators import to_camel

from stacks.machines import Machine
from stacks.schema.base import Model, Name
from stacks.schema.gateway import Gateway


def _addresses(value: str) -> str:
    first, dash, last = value.partition("-")
    try:
        if not dash:
            return str(ipaddress.ip_network(value))
        low, high = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
    except ValueError:
        raise ValueError(f"{value!r} are no addresses; write 10.0.9.0/28 or 10.0.9.10-10.0.9.20") from None
    if low.version != high.version or int(low) > int(high):
        raise ValueError(f"{value!r} ends before it begins; write the lower address first")
    return f"{low}-{high}"


Addresses = Annotated[str, AfterValidator(_addresses)]


PROFILE = re.compile(r"\d+g\.\d+gb")


def _profiles(value: dict[str, int]) -> dict[str, int]:
    if len(value) != 1 or not all(PROFILE.fullmatch(name) and 1 <= count <= 7 for name, count in value.items()):
        raise ValueError(
            f"{value!r} does not fit; name one MIG profile and its instances on one GPU, 1 to 7, like 1g.10gb: 7"
        )
    return value


class GpuPool(Model):
    """Nodes with GPUs of one kind."""

    name: Name  # what models name as their `pool`
    machine: str = "dgx-h100"  # see stacks/machines.py
    nodes: int = Field(ge=1)  # how many there are at least
    selector: dict[str, str] = Field(default_factory=dict)  # labels of these nodes, beside the GPU Operator's own
    # The nodes by name, instead of `selector`: they get the labels that the pool needs from this stack.
    hosts: tuple[str, ...] = ()
    # How every GPU is cut, one MIG profile and its instances, e.g. {1g.10gb: 7}; needs `hosts`. None: whole GPUs.
    mig: Annotated[dict[str, int], AfterValidator(_profiles)] | None = None
    time_slices: int = Field(default=1, ge=1, le=16)  # how many pods take turns on one GPU; needs `hosts`

    @property
    def shared(self) -> bool:
        """Whether one GPU serves several pods."""
        return self.mig is not None or self.time_slices > 1

    def unit(self, machine: Machine) -> Machine:
        """The machine as models see it: with so many MIG instances, or turns, for GPUs."""
        if machine.gpu is None or not self.shared:
            return machine
        profile, instances = next(iter(self.mig.items())) if self.mig else ("", 1)
        whole = int(profile.rpartition(".")[2].removesuffix("gb")) if profile else machine.gpu.memory_gib
        part = replace(machine.gpu, memory_gib=whole // self.time_slices)
        return replace(machine, gpu=part, gpus=machine.gpus * instances * self.time_slices)

    def mistakes(self, operator: "GpuOperator") -> Iterator[str]:
        """What contradicts itself or the operator's settings, each as `key: sentence`."""
        if self.hosts and self.selector:
            yield "selector: hosts names the nodes already; leave one out"
        if len(set(self.hosts)) != len(self.hosts):
            yield "hosts: a node stands there more than once; names must differ"
        if self.hosts and len(self.hosts) < self.nodes:
            yield f"nodes: {self.nodes} are more than the {len(self.hosts)} in hosts; name the others, or lower it"
        if self.shared and not self.hosts:
            yield "hosts: is missing; nodes whose GPUs are shared are told so by name"
        if self.mig and operator.mig == "none":
            yield "mig: dgx.gpuOperator.mig is 'none'; set that to 'single' or 'mixed'"
        if self.shared and not operator.install:
            yield "hosts: GPUs are shared by the GPU Operator's configuration; set dgx.gpuOperator.install"


class GpuOperator(Model):
    """NVIDIA's GPU Operator."""

    install: bool = True  # no: the cluster has one already, which stays untouched
    # DGX OS brings the GPU driver and the container toolkit. No: HGX servers without them, and OpenShift.
    host_driver: bool = True
    mig: Literal["none", "single", "mixed"] = "none"  # MIG strategy; `single`: every GPU of a node is cut alike
    gds: bool = False  # GPUDirect Storage's kernel module; with hostDriver it is the host's own matter
    gdrcopy: bool = False  # gdrdrv's kernel module; with hostDriver it is the host's own matter
    service_monitor_labels: dict[str, str] = Field(default_factory=dict)  # what your Prometheus selects monitors by


class NetworkOperator(Model):
    """NVIDIA's Network Operator: RDMA devices for models on several nodes."""

    install: bool = False
    host_driver: bool = True  # DGX OS brings the NICs' driver (DOCA-OFED); no: the operator builds it
    resource: str = Field(default="rdma_shared_device_a", pattern=r"^[a-z0-9]([-_a-z0-9]{0,61}[a-z0-9])?$")
    interfaces: tuple[str, ...] = ()  # the fabric's network interfaces, e.g. ibp24s0; none: every Mellanox NIC
    pods_per_node: int = Field(default=63, ge=1, le=1000)  # how many pods may share a node's RDMA devices


class BgpPeer(Model):
    """A router that learns the load balancer's addresses."""

    my_asn: int = Field(ge=1, le=4294967295)
    peer_asn: int = Field(ge=1, le=4294967295)
    peer_address: str


class LoadBalancer(Model):
    """Who gives the gateway's Service an address."""

    kind: Literal["metallb", "existing"] = "existing"  # `metallb`: installed by this stack
    load_balancer_class: str | None = None  # existing: which of the cluster's; none: its default
    addresses: tuple[Addresses, ...] = ()  # metallb: 10.0.9.0/28 or 10.0.9.10-10.0.9.20
    interfaces: tuple[str, ...] = ()  # metallb by ARP: where the addresses are announced; none: on all
    bgp_peers: tuple[BgpPeer, ...] = ()  # metallb by BGP instead of ARP: the routers

    def mistakes(self) -> Iterator[str]:
        """What contradicts itself, each as `key: sentence`."""
        if self.kind == "metallb":
            if not self.addresses:
                yield "addresses: is empty; give MetalLB addresses of your network"
            if self.interfaces and self.bgp_peers:
                yield "interfaces: is for ARP, and bgpPeers are given; leave one out"
            return
        for key in ("addresses", "interfaces", "bgp_peers"):
            if getattr(self, key):
                yield f"{to_camel(key)}: is MetalLB's; set dgx.loadBalancer.kind to 'metallb', or leave it out"


class OpenShift(Model):
    """What differs on OpenShift: operators by OLM, a Route, its own monitoring."""

    version: str = Field(default="4.20", pattern=r"^4\.\d{2}$")  # the cluster's own
    gpu_channel: str = "v26.7"  # of the package gpu-operator-certified
    nfd_channel: str = "stable"  # of the package nfd
    # `Manual`: nothing is installed or upgraded before somebody approves its install plan.
    approval: Literal["Automatic", "Manual"] = "Automatic"
    gpu_starting_csv: str | None = None  # the first version, e.g. gpu-operator-certified.v26.7.0; none: the newest
    nfd_starting_csv: str | None = None  # the first version, e.g. nfd.4.20.0-202511; none: the newest
    # `edge`: TLS ends at the router, which has its own certificate. `reencrypt`: and begins anew to the gateway.
    route: Literal["edge", "reencrypt"] = "edge"
    route_ca: str | None = None  # reencrypt: PEM of the authority that signed the gateway's certificate
    user_monitoring: bool = False  # turn the monitoring of user projects on; no: somebody else has, or nobody

    def mistakes(self, gateway: Gateway) -> Iterator[str]:
        """What contradicts itself or the gateway's settings, each as `key: sentence`."""
        if not gateway.hostname:
            yield "route: is for a name; set gateway.hostname"
        if self.route == "edge" and gateway.tls.kind != "none":
            yield "route: 'edge' ends TLS at the router; use 'reencrypt', or set gateway.tls.kind to 'none'"
        if self.route == "reencrypt" and gateway.tls.kind != "given":
            yield "route: 'reencrypt' needs a certificate at the gateway; set gateway.tls.kind to 'given'"
        if self.route == "reencrypt" and not self.route_ca:
            yield "routeCa: is missing; the router checks the gateway's certificate with it"
        if self.route_ca and self.route != "reencrypt":
            yield "routeCa: is not used, because the route is 'edge'; leave it out"
        if self.approval == "Manual":
            for key in ("gpu_starting_csv", "nfd_starting_csv"):
                if not getattr(self, key):
                    yield f"{to_camel(key)}: is missing; with approval 'Manual' name the version to begin with"


class Dgx(Model):
    """A cluster of DGX or HGX machines that exists already."""

    distribution: Literal["kubernetes", "openshift"] = "kubernetes"
    kubeconfig: str | None = None  # its kubeconfig's path; none: $KUBECONFIG, or the sandbox's pretended cluster
    context: str | None = None  # which of its contexts; none: the current one
    pools: tuple[GpuPool, ...] = Field(min_length=1)
    system_selector: dict[str, str] = Field(default_factory=dict)  # labels of the nodes for all that is not a model
    gpu_operator: GpuOperator = GpuOperator()
    network_operator: NetworkOperator = NetworkOperator()
    load_balancer: LoadBalancer = LoadBalancer()
    openshift: OpenShift = OpenShift()  # for `distribution: openshift`
    # Why the cluster is not looked at before it is changed, e.g. "its nodes arrive on Monday"; none: it is.
    skip_preflight: Annotated[str, Field(min_length=8)] | None = None

    def mistakes(self, gateway: Gateway) -> Iterator[str]:
        """What contradicts itself or the gateway's settings, each as `key: sentence`."""
        for i, pool in enumerate(self.pools):
            yield from (f"pools[{i}].{mistake}" for mistake in pool.mistakes(self.gpu_operator))
        names = [pool.name for pool in self.pools]
        for i, name in enumerate(names):
            if name in names[:i]:
                yield f"pools[{i}].name: {name!r} stands there more than once; names must differ"
        everything = [pool.name for pool in self.pools if not pool.hosts and not pool.selector]
        if everything and len(self.pools) > 1:
            yield f"pools: {everything[0]!r} has neither selector nor hosts, so the others are part of it; give it one"
        gpu = self.gpu_operator
        if gpu.host_driver and (gpu.gds or gpu.gdrcopy):
            yield "gpuOperator.hostDriver: the host brings the modules of gds and gdrcopy then; leave both out"
        if self.distribution == "openshift":
            if gpu.install and gpu.host_driver:
                yield "gpuOperator.hostDriver: OpenShift's nodes have no GPU driver; set it to false"
            if self.network_operator.install:
                yield "networkOperator.install: is its chart; on OpenShift install it from OperatorHub"
            if self.load_balancer != LoadBalancer():
                yield "loadBalancer: OpenShift's router is the way in (dgx.openshift.route); leave it out"
            yield from (f"openshift.{mistake}" for mistake in self.openshift.mistakes(gateway))
        else:
            if self.openshift != OpenShift():
                yield "openshift: dgx.distribution is 'kubernetes'; set that to 'openshift', or leave this out"
            yield from (f"loadBalancer.{mistake}" for mistake in self.load_balancer.mistakes())
