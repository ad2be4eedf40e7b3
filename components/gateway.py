"""The Gateway: one Envoy fleet with a public door for tenants and an inner door for the models' routes.

A request passes Envoy twice. At the public listener it is authenticated, limited and its body names the model in
a header; at the inner listener that header chooses the model's route. Envoy fixes a request's filters when its
headers arrive, so one pass could not choose the model's endpoint picker by the body (docs/adr/0002).
"""

from dataclasses import dataclass
from typing import Any

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
    custom,
    listener_target,
)
from components.envoy_gateway import CONTROLLER
from components.labels import labels

PUBLIC, INNER = "public", "models"
# Envoy Gateway binds a privileged listener port in the container at 10000 more.
PUBLIC_PORT, PUBLIC_CONTAINER_PORT, INNER_PORT = 80, 10080, 8080


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """The Gateway's namespaces, size and limits. `ready` is Envoy Gateway's, so that its CRDs exist."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    system_namespace: pulumi.Input[str]
    controller: pulumi.Resource
    envoy_image: str
    replicas: int
    drain_seconds: int
    node_port: int
    max_body_bytes: int


class Gateway(pulumi.ComponentResource):
    """The front door. `endpoint` is its base URL, `inner_service` where a public route sends a request on."""

    endpoint: pulumi.Output[str]
    gateway_name: str
    inner_service: pulumi.Output[str]

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:Gateway", name, {}, opts)
        self.gateway_name = name
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
        gateway = custom(
            GATEWAY_API,
            "Gateway",
            name,
            namespace=args.namespace,
            resource_name=f"{name}-listeners",
            spec={
                "gatewayClassName": f"{name}-class",
                "listeners": [
                    {"name": PUBLIC, "protocol": "HTTP", "port": PUBLIC_PORT},
                    {"name": INNER, "protocol": "HTTP", "port": INNER_PORT},
                ],
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
                "selector": {
                    "gateway.envoyproxy.io/owning-gateway-name": name,
                    "gateway.envoyproxy.io/owning-gateway-namespace": args.namespace,
                },
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
        address = args.cluster.address or pulumi.Output.from_input("")
        self.endpoint = address.apply(lambda host: f"http://{host}:{args.node_port}")
        self.register_outputs({"endpoint": self.endpoint})

    def _proxy(self, args: GatewayArgs) -> dict[str, Any]:
        # Only the public listener is exposed: the Service's ports are replaced, not merged.
        public_port = {
            "name": "http",
            "port": PUBLIC_PORT,
            "targetPort": PUBLIC_CONTAINER_PORT,
            "protocol": "TCP",
            **({"nodePort": args.node_port} if args.cluster.ingress == "NodePort" else {}),
        }
        return {
            "luaValidation": "Strict",
            # A leaving Envoy drains: long answers finish, new connections go to the others.
            "shutdown": {"drainTimeout": f"{args.drain_seconds}s", "minDrainDuration": "2s"},
            "provider": {
                "type": "Kubernetes",
                "kubernetes": {
                    "envoyDeployment": {
                        "replicas": args.replicas,
                        "container": {
                            "image": args.envoy_image,
                            "resources": {"requests": {"cpu": "100m", "memory": "96Mi"}},
                        },
                    },
                    "envoyService": {
                        "type": args.cluster.ingress,
                        "patch": {"type": "JSONMerge", "value": {"spec": {"ports": [public_port]}}},
                    },
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
            "matches": [f"destination.port == {PUBLIC_CONTAINER_PORT}"],  # CEL, over Envoy's attributes
            "format": {"type": "JSON", "json": fields},
            "sinks": [{"type": "File", "file": {"path": "/dev/stdout"}}],
        }

    def _clients(self, args: GatewayArgs) -> dict[str, Any]:
        return {
            "targetRefs": listener_target(self.gateway_name, PUBLIC),
            # What the platform itself sets, a client may not: seen, a client's own picked endpoint won every time.
            "headers": {"earlyRequestHeaders": {"remove": [TENANT_HEADER, MODEL_HEADER, PAID_HEADER, PICKED_HEADER]}},
            "connection": {"bufferLimit": str(args.max_body_bytes)},
            "timeout": {"http": {"requestReceivedTimeout": "60s", "idleTimeout": "300s"}},
        }
