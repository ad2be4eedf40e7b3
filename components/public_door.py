"""The public door: the one Service through which clients reach the gateway's Envoys.

It is ours and not Envoy Gateway's: so its address is waited for, and a destroy removes the load balancer while the
controller that made it still runs.
"""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core.v1 import ServicePortArgsDict, ServiceSpecArgsDict
from pulumi_kubernetes.core.v1.outputs import ServiceStatus

from components.cluster import Cluster
from components.custom import GATEWAY_API, custom
from components.gateway import CONTAINER_OFFSET, PLAIN, Gateway
from components.labels import labels

# A cloud takes a few minutes to make a load balancer.
ADDRESS_TIMEOUT = pulumi.CustomTimeouts(create="15m", update="15m", delete="15m")


@dataclass(frozen=True, kw_only=True)
class PublicDoorArgs:
    """Who may connect, over what, and under which name.

    `node_port` is the door's on the nodes of a cluster without a load balancer, `plain_node_port` that of the
    redirect. `allowed_sources` are networks; none: everybody who reaches the address.
    """

    cluster: Cluster
    namespace: pulumi.Input[str]
    system_namespace: pulumi.Input[str]
    gateway: Gateway
    node_port: int
    plain_node_port: int
    hostname: str | None = None
    allowed_sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.allowed_sources and self.cluster.ingress != "LoadBalancer":
            raise ValueError(
                "gateway.allowedSources: this cluster has no load balancer of its own that could refuse others; "
                "leave it out, and restrict what stands before the gateway"
            )


class PublicDoor(pulumi.ComponentResource):
    """The Service, and the redirect of plain HTTP where there is TLS.

    `endpoint` is the base URL that clients use, `address` the load balancer's host name or IP, `service` its Service.
    """

    endpoint: pulumi.Output[str]
    address: pulumi.Output[str]
    service: pulumi.Output[str]

    def __init__(self, name: str, args: PublicDoorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:PublicDoor", name, {}, opts)
        gateway = args.gateway
        service = k8s.core.v1.Service(
            f"{name}-service",
            metadata={
                "name": name,
                "namespace": args.system_namespace,
                "labels": labels("public-door", name),
                "annotations": args.cluster.service_annotations,
            },
            spec=self._spec(args),
            opts=args.cluster.child(self, depends_on=[gateway], custom_timeouts=ADDRESS_TIMEOUT),
        )
        if gateway.plain_port is not None:
            secure = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "port": 443, "statusCode": 301}}
            custom(
                GATEWAY_API,
                "HTTPRoute",
                f"{name}-redirect",
                namespace=args.namespace,
                spec={
                    "parentRefs": [{"name": gateway.gateway_name, "sectionName": PLAIN}],
                    "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "filters": [secure]}],
                },
                opts=args.cluster.child(self, depends_on=[gateway]),
            )
        self.service = service.metadata.apply(lambda meta: str(meta.name))
        self.address = args.cluster.address or service.status.apply(_address)
        scheme = "http" if gateway.plain_port is None else "https"
        port = f":{args.node_port}" if args.cluster.ingress == "NodePort" else ""
        host = pulumi.Output.from_input(args.hostname) if args.hostname else self.address
        self.endpoint = host.apply(lambda host: f"{scheme}://{host}{port}")
        self.register_outputs({"endpoint": self.endpoint, "address": self.address})

    def _spec(self, args: PublicDoorArgs) -> ServiceSpecArgsDict:
        gateway, ingress = args.gateway, args.cluster.ingress
        ports = [_port("http" if gateway.plain_port is None else "https", gateway.public_port)]
        if gateway.plain_port is not None:
            ports.append(_port("http", gateway.plain_port))
        spec: ServiceSpecArgsDict = {"type": ingress, "selector": gateway.pod_selector, "ports": ports}
        if ingress == "NodePort":
            for port, number in zip(ports, (args.node_port, args.plain_node_port), strict=False):
                port["node_port"] = number
        if ingress == "LoadBalancer":
            # No second hop between nodes, and clients keep their addresses. Nodes without an Envoy fail the load
            # balancer's health check; a leaving Envoy still answers until that is noticed (components/gateway.py).
            spec["external_traffic_policy"] = "Local"
            if args.cluster.load_balancer_class:
                spec["load_balancer_class"] = args.cluster.load_balancer_class
            if args.allowed_sources:
                spec["load_balancer_source_ranges"] = list(args.allowed_sources)
        return spec


def _port(name: str, number: int) -> ServicePortArgsDict:
    return {"name": name, "port": number, "target_port": number + CONTAINER_OFFSET, "protocol": "TCP"}


def _address(status: ServiceStatus | None) -> str:
    """The load balancer's host name (AWS) or IP address (Google, MetalLB); empty before there is one."""
    balancer = status.load_balancer if status else None
    first = (balancer.ingress or [None])[0] if balancer else None
    return (first.hostname or first.ip or "") if first else ""
