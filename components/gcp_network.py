"""The network of a GKE cluster: one subnet for nodes, pods and services, and the way out of it."""

from dataclasses import dataclass

import pulumi

from components.gcp_compute import Firewall, Network, Router, RouterNat, Subnetwork
from components.naming import Naming

PODS, SERVICES = "pods", "services"
# Where other projects' admission webhooks listen (Envoy Gateway's on 9443). GKE opens 443 and 10250 by itself.
WEBHOOK_PORTS = ("6443", "8443", "9443")


@dataclass(frozen=True, kw_only=True)
class GcpNetworkArgs:
    """The address ranges; settings have checked that they do not overlap. `control_plane_cidr` is Google's side."""

    naming: Naming
    region: str
    nodes_cidr: str
    pods_cidr: str
    services_cidr: str
    control_plane_cidr: str


class GcpNetwork(pulumi.ComponentResource):
    """A VPC without a public address in it: nodes reach Google's APIs privately, and the internet through NAT.

    `ready` is what a node needs before it can start, and until it is gone.
    """

    network: Network
    subnet: Subnetwork
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: GcpNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:GcpNetwork", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.network = Network(
            f"{name}-vpc",
            name=args.naming.of("gcp:network"),
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            opts=child,
        )
        self.subnet = Subnetwork(
            f"{name}-subnet",
            name=args.naming.of("gcp:subnetwork", "nodes"),
            network=self.network.id,
            region=args.region,
            ip_cidr_range=args.nodes_cidr,
            secondary_ip_ranges=[
                {"range_name": PODS, "ip_cidr_range": args.pods_cidr},
                {"range_name": SERVICES, "ip_cidr_range": args.services_cidr},
            ],
            private_ip_google_access=True,  # model store, registry and logs without NAT
            log_config={
                "aggregation_interval": "INTERVAL_10_MIN",
                "flow_sampling": 0.5,
                "metadata": "INCLUDE_ALL_METADATA",
            },
            opts=child,
        )
        router = Router(
            f"{name}-router",
            name=args.naming.of("gcp:router"),
            network=self.network.id,
            region=args.region,
            opts=child,
        )
        nat = RouterNat(
            f"{name}-nat",
            name=args.naming.of("gcp:router", "nat"),
            router=router.name,
            region=args.region,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
            subnetworks=[
                {
                    "name": self.subnet.id,
                    "source_ip_ranges_to_nats": ["PRIMARY_IP_RANGE", "LIST_OF_SECONDARY_IP_RANGES"],
                    "secondary_ip_range_names": [PODS],
                }
            ],
            log_config={"enable": True, "filter": "ERRORS_ONLY"},
            opts=child,
        )
        webhooks = Firewall(
            f"{name}-webhooks",
            name=args.naming.of("gcp:network", "webhooks"),
            network=self.network.id,
            description="The Kubernetes API server calls admission webhooks on the nodes",
            direction="INGRESS",
            source_ranges=[args.control_plane_cidr],
            target_tags=[args.naming.of("gcp:network", "nodes")],
            allows=[{"protocol": "tcp", "ports": list(WEBHOOK_PORTS)}],
            opts=child,
        )
        self.ready = (self.subnet, nat, webhooks)
        self.register_outputs({})
