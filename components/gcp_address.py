"""The address that clients of a GKE cluster reach: reserved, so that it survives the load balancer, with its record."""

from dataclasses import dataclass

import pulumi
from pulumi_gcp import dns

from components.gcp_compute import Address
from components.gcp_network import GcpNetwork
from components.naming import Naming

RECORD_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class GcpAddressArgs:
    """`internal`: reached from the network alone. `zone`: Cloud DNS' managed zone that gets a record of `hostname`."""

    naming: Naming
    region: str
    network: GcpNetwork
    internal: bool
    hostname: str | None
    zone: str | None


class GcpAddress(pulumi.ComponentResource):
    """A regional address. `annotations` tell GKE to make a passthrough load balancer on it.

    Passthrough, so clients' addresses arrive and TLS ends at the gateway; the load balancer holds no certificate.
    https://cloud.google.com/kubernetes-engine/docs/concepts/service-load-balancer-parameters
    """

    annotations: dict[str, pulumi.Input[str]]

    def __init__(self, name: str, args: GcpAddressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:GcpAddress", name, {}, opts)
        address = Address(
            f"{name}-ip",
            name=args.naming.of("gcp:address", "gateway"),
            region=args.region,
            address_type="INTERNAL" if args.internal else "EXTERNAL",
            subnetwork=args.network.subnet.id if args.internal else None,
            purpose="GCE_ENDPOINT" if args.internal else None,
            network_tier=None if args.internal else "PREMIUM",
            labels=args.naming.labels(),
            opts=pulumi.ResourceOptions(parent=self),
        )
        if args.zone and args.hostname:
            dns.RecordSet(
                f"{name}-record",
                managed_zone=args.zone,
                name=f"{args.hostname}.",
                type="A",
                ttl=RECORD_SECONDS,
                rrdatas=[address.address],
                opts=pulumi.ResourceOptions(parent=self),
            )
        kind = {"networking.gke.io/load-balancer-type": "Internal"} if args.internal else {}
        self.annotations = {
            **(kind or {"cloud.google.com/l4-rbs": "enabled"}),
            "networking.gke.io/load-balancer-ip-addresses": address.name,
        }
        self.register_outputs({"address": address.address})
