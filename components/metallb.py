"""MetalLB from its official chart: addresses for Services of type LoadBalancer where no cloud gives any."""

from dataclasses import dataclass
from typing import Any

import pulumi

from components.chart import Chart, release
from components.cluster import Cluster
from components.custom import custom
from components.namespace import privileged_namespace

NAMESPACE = "metallb-system"
# Services that name this class are MetalLB's; others stay with whatever the cluster has besides.
CLASS = "metallb.io/metallb"
API, PEERS_API = "metallb.io/v1beta1", "metallb.io/v1beta2"


@dataclass(frozen=True, kw_only=True)
class Router:
    """A BGP peer: autonomous system numbers of both sides, and the router's address."""

    my_asn: int
    peer_asn: int
    address: str


@dataclass(frozen=True, kw_only=True)
class MetalLbArgs:
    """The addresses it gives away, and who learns of them: the local network by ARP, or routers by BGP."""

    cluster: Cluster
    chart: Chart
    addresses: tuple[str, ...]
    interfaces: tuple[str, ...] = ()  # ARP: where they are announced; none: on all
    routers: tuple[Router, ...] = ()  # none: ARP


class MetalLb(pulumi.ComponentResource):
    """The controller, one pool of addresses and its announcement.

    `ready` is what Services with a load balancer wait for, so that a destroy removes them while MetalLB still runs.
    """

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: MetalLbArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:MetalLb", name, {}, opts)
        # Its speakers answer ARP on the node's own network: NET_RAW and hostNetwork.
        namespace = privileged_namespace(f"{name}-namespace", args.cluster, NAMESPACE, self)
        chart = release(
            f"{name}-chart",
            args.chart,
            cluster=args.cluster,
            parent=self,
            name=name,
            namespace=namespace,
            values={
                "loadBalancerClass": CLASS,
                # The CRDs are objects of the chart's own release, so an upgrade upgrades them.
                "crds": {"enabled": True},
                "frrk8s": {"enabled": bool(args.routers)},  # BGP's daemon; ARP needs none
            },
        )

        def made(api: str, kind: str, suffix: str, spec: dict[str, Any]) -> pulumi.Resource:
            return custom(
                api,
                kind,
                suffix,
                namespace=namespace,
                resource_name=f"{name}-{suffix}",
                spec=spec,
                opts=args.cluster.child(self, depends_on=[chart]),
            )

        pool = made(API, "IPAddressPool", "public", {"addresses": list(args.addresses)})
        if args.routers:
            announced = [made(API, "BGPAdvertisement", "public-bgp", {"ipAddressPools": ["public"]})]
            for number, router in enumerate(args.routers):
                peer = {"myASN": router.my_asn, "peerASN": router.peer_asn, "peerAddress": router.address}
                announced.append(made(PEERS_API, "BGPPeer", f"router-{number}", peer))
        else:
            where = {"interfaces": list(args.interfaces)} if args.interfaces else {}
            announced = [made(API, "L2Advertisement", "public-arp", {"ipAddressPools": ["public"], **where})]
        self.ready = (chart, pool, *announced)
        self.register_outputs({})
