"""The Gateway: one Envoy fleet with a public door for tenants and an inner door for the models' routes.

A request passes Envoy twice. At the public listener it is authenticated, limited and its body names the model in
a header; at the inner listener that header chooses the model's route. Envoy fixes a request's filters when its
headers arrive, so one pass could not choose the model's endpoint picker by the body (docs/adr/0002).
"""

from dataclasses import dataclass
from typing import Any, Literal

import pulumi
import pulumi_kubernetes as k8s

from components.cluster import Cluster
from components.custom import (
    ENVOY_GATEWAY_API,
    GATEWAY_API,
    MODEL_HEADER,
    PAID_HEADER,
    PICKED_HEADER,
    TENANT_HEADER,
    TOKEN_TENANT_HEADER,
    custom,
    listener_target,
)
from components.envoy_gateway import CONTROLLER
from components.labels import labels

PUBLIC, PLAIN, INNER = "public", "plain", "models"
HTTP_PORT, HTTPS_PORT, INNER_PORT = 80, 443, 8080
# What the platform itself sets, a client may not.
OURS = [TENANT_HEADER, TOKEN_TENANT_HEADER, MODEL_HEADER, PAID_HEADER, PICKED_HEADER]
# Envoy Gateway binds a privileged listener port in the container at 10000 more.
CONTAINER_OFFSET = 10_000
# How long a leaving Envoy still takes new connections: until whoever sends them has noticed. On one node that is an
# update of its endpoints; a load balancer needs a few rounds of its health checks.
NOTICED_SECONDS = {"NodePort": 2, "ClusterIP": 10, "LoadBalancer": 30}


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """The Gateway's namespaces, size and limits. `controller` is Envoy Gateway's release, so that its CRDs exist.

    `tls`: at this `gateway`, with the Secret `certificate`; at a load balancer before it; or nowhere.
    """

    cluster: Cluster
    namespace: pulumi.Input[str]
    system_namespace: pulumi.Input[str]
    controller: pulumi.Resource
    envoy_image: str
    replicas: int
    drain_seconds: int
    max_body_bytes: int
    tls: Literal["none", "gateway", "load-balancer"] = "none"
    certificate: pulumi.Input[str] | None = None


class Gateway(pulumi.ComponentResource):
    """The front door's Envoys: `pod_selector` finds them; `inner_service` is where a public route sends a request on.

    Clients come through components/public_door.py; Envoy Gateway's own Service stays inside the cluster.
    """

    gateway_name: str
    pod_selector: dict[str, pulumi.Input[str]]
    public_port: int
    plain_port: int | None
    listeners: k8s.apiextensions.CustomResource
    inner_service: pulumi.Output[str]

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:Gateway", name, {}, opts)
        self.gateway_name = name
        self.pod_selector = {
            "gateway.envoyproxy.io/owning-gateway-name": name,
            "gateway.envoyproxy.io/owning-gateway-namespace": args.namespace,
        }
        self.public_port = HTTP_PORT if args.tls == "none" else HTTPS_PORT
        self.plain_port = None if args.tls == "none" else HTTP_PORT
        behind_chart = args.cluster.child(self, depends_on=[args.controller])
        proxy = custom(
            ENVOY_GATEWAY_API,
            "EnvoyProxy",
            f"{name}-proxy",
            namespace=args.system_namespace,
            spec=self._proxy(args),
            opts=behind_chart,
        )
        gateway_class = custom(
            GATEWAY_API,
            "GatewayClass",
            f"{name}-class",
            spec={
                "controllerName": CONTROLLER,
                "parametersRef": {
                    "group": "gateway.envoyproxy.io",
                    "kind": "EnvoyProxy",
                    "name": f"{name}-proxy",
                    "namespace": args.system_namespace,
                },
            },
            opts=args.cluster.child(self, depends_on=[proxy]),
        )
        gateway = self.listeners = custom(
            GATEWAY_API,
            "Gateway",
            name,
            namespace=args.namespace,
            resource_name=f"{name}-listeners",
            spec={
                "gatewayClassName": f"{name}-class",
                "listeners": self._listeners(args),
            },
            opts=args.cluster.child(self, depends_on=[gateway_class]),
        )
        custom(
            ENVOY_GATEWAY_API,
            "ClientTrafficPolicy",
            f"{name}-clients",
            namespace=args.namespace,
            spec=self._clients(args),
            opts=args.cluster.child(self, depends_on=[gateway]),
        )
        inner = k8s.core.v1.Service(
            f"{name}-inner",
            metadata={
                "name": f"{name}-models",
                "namespace": args.system_namespace,
                "labels": labels("gateway", name),
            },
            spec={
                "selector": self.pod_selector,
                "ports": [{"name": "http", "port": INNER_PORT}],
            },
            opts=args.cluster.child(self, depends_on=[gateway]),
        )
        custom(
            "gateway.networking.k8s.io/v1beta1",
            "ReferenceGrant",
            f"{name}-inner",
            namespace=args.system_namespace,
            resource_name=f"{name}-inner-grant",
            spec={
                "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": args.namespace}],
                "to": [{"group": "", "kind": "Service", "name": f"{name}-models"}],
            },
            opts=behind_chart,
        )
        self.inner_service = inner.metadata.apply(lambda meta: str(meta.name))
        self.register_outputs({"innerService": self.inner_service})

    def _listeners(self, args: GatewayArgs) -> list[dict[str, Any]]:
        public: dict[str, Any] = {"name": PUBLIC, "protocol": "HTTP", "port": self.public_port}
        if args.tls == "gateway":
            public |= {
                "protocol": "HTTPS",
                "tls": {"mode": "Terminate", "certificateRefs": [{"name": args.certificate}]},
            }
        inner = {"name": INNER, "protocol": "HTTP", "port": INNER_PORT}
        if self.plain_port is None:
            return [public, inner]
        return [public, {"name": PLAIN, "protocol": "HTTP", "port": self.plain_port}, inner]

    def _proxy(self, args: GatewayArgs) -> dict[str, Any]:
        noticed = min(args.drain_seconds, NOTICED_SECONDS[args.cluster.ingress])
        pod = args.cluster.system.placement()
        spread = {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": self.pod_selector},
        }
        if args.replicas > 1:
            pod["topologySpreadConstraints"] = [spread]
        return {
            "luaValidation": "Strict",
            # A leaving Envoy drains: long answers finish, new connections go to the others.
            "shutdown": {"drainTimeout": f"{args.drain_seconds}s", "minDrainDuration": f"{noticed}s"},
            "provider": {
                "type": "Kubernetes",
                "kubernetes": {
                    "envoyDeployment": {
                        "replicas": args.replicas,
                        **({"pod": pod} if pod else {}),
                        "container": {
                            "image": args.envoy_image,
                            "resources": {"requests": {"cpu": "100m", "memory": "96Mi"}},
                        },
                    },
                    "envoyService": {"type": "ClusterIP"},
                    **({"envoyPDB": {"maxUnavailable": 1}} if args.replicas > 1 else {}),
                },
            },
            "telemetry": {"accessLog": {"settings": [self._access_log()]}},
        }

    def _access_log(self) -> dict[str, Any]:
        """One JSON line a request of the public door. No prompt, no answer, no key, no query string."""
        fields = {
            "time": "%START_TIME%",
            "method": "%REQ(:METHOD)%",
            "path": "%PATH(NQ)%",
            "status": "%RESPONSE_CODE%",
            "flags": "%RESPONSE_FLAGS%",
            "duration_ms": "%DURATION%",
            "bytes_in": "%BYTES_RECEIVED%",
            "bytes_out": "%BYTES_SENT%",
            "tenant": f"%REQ({TENANT_HEADER})%",
            "model": f"%REQ({MODEL_HEADER})%",
            "request_id": "%REQ(X-REQUEST-ID)%",
        }
        return {
            "matches": [f"destination.port == {self.public_port + CONTAINER_OFFSET}"],  # CEL, over Envoy's attributes
            "format": {"type": "JSON", "json": fields},
            "sinks": [{"type": "File", "file": {"path": "/dev/stdout"}}],
        }

    def _clients(self, args: GatewayArgs) -> dict[str, Any]:
        return {
            "targetRefs": listener_target(self.gateway_name, PUBLIC),
            **({"tls": {"minVersion": "1.2", "alpnProtocols": ["h2", "http/1.1"]}} if args.tls == "gateway" else {}),
            # What the platform itself sets, a client may not: seen, a client's own picked endpoint won every time.
            "headers": {"earlyRequestHeaders": {"remove": OURS}},
            "connection": {"bufferLimit": str(args.max_body_bytes)},
            "timeout": {"http": {"requestReceivedTimeout": "60s", "idleTimeout": "300s"}},
        }
