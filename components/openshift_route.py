"""OpenShift's way in: a Route with TLS in front of the gateway's Service."""

from dataclasses import dataclass
from typing import Any, Literal

import pulumi

from components.cluster import Cluster
from components.custom import custom
from components.labels import labels


@dataclass(frozen=True, kw_only=True)
class OpenShiftRouteArgs:
    """`port` is the Service port's name; `timeout_seconds` the longest answer.

    `edge`: TLS ends at the router, with its own certificate. `reencrypt`: and begins anew to the gateway, whose
    certificate the authority `authority` (PEM) signed.
    """

    cluster: Cluster
    namespace: pulumi.Input[str]
    service: pulumi.Input[str]
    port: str
    timeout_seconds: int
    hostname: str
    termination: Literal["edge", "reencrypt"] = "edge"
    authority: str | None = None

    def __post_init__(self) -> None:
        if self.termination == "reencrypt" and not self.authority:
            raise ValueError(
                "dgx.openshift.routeCa: is missing; with route 'reencrypt' the router checks the gateway's certificate"
            )


class OpenShiftRoute(pulumi.ComponentResource):
    """The Route. `endpoint` is the base URL that clients use; it resolves when the Route is there."""

    endpoint: pulumi.Output[str]

    def __init__(self, name: str, args: OpenShiftRouteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:OpenShiftRoute", name, {}, opts)
        tls: dict[str, Any] = {"termination": args.termination, "insecureEdgeTerminationPolicy": "Redirect"}
        if args.authority:
            tls["destinationCACertificate"] = args.authority
        route = custom(
            "route.openshift.io/v1",
            "Route",
            name,
            namespace=args.namespace,
            resource_name=f"{name}-route",
            labels=labels("route", name),
            annotations={
                # Thirty seconds without a word end a request by default: less than a long prompt's first token.
                "haproxy.router.openshift.io/timeout": f"{args.timeout_seconds}s",
                # Every request of a connection to whichever Envoy is free; the router's default pins clients.
                "haproxy.router.openshift.io/balance": "leastconn",
                "haproxy.router.openshift.io/disable_cookies": "true",
            },
            spec={
                "host": args.hostname,
                "to": {"kind": "Service", "name": args.service, "weight": 100},
                "port": {"targetPort": args.port},
                "tls": tls,
            },
            opts=args.cluster.child(self),
        )
        self.endpoint = route.id.apply(lambda _: f"https://{args.hostname}")
        self.register_outputs({"endpoint": self.endpoint})
