"""The way from the gateway's inner door to one model's replicas."""

from dataclasses import dataclass

import pulumi

from components.cluster import Cluster
from components.custom import (
    ENVOY_GATEWAY_API,
    GATEWAY_API,
    MODEL_HEADER,
    PICKED_HEADER,
    custom,
    route_target,
)
from components.endpoint_picker import GRPC_PORT
from components.gateway import INNER, Gateway
from components.triton import FRONTEND_PORT


@dataclass(frozen=True, kw_only=True)
class ModelRouteArgs:
    """The model's Service, and its endpoint picker where it has one."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    gateway: Gateway
    model: str
    service: pulumi.Input[str]
    picker_service: pulumi.Input[str] | None
    request_timeout_seconds: int


class ModelRoute(pulumi.ComponentResource):
    """One route a model: another model's coming or going never touches it."""

    def __init__(self, name: str, args: ModelRouteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:ModelRoute", name, {}, opts)
        timeout = f"{args.request_timeout_seconds}s"
        route = custom(
            GATEWAY_API,
            "HTTPRoute",
            name,
            namespace=args.namespace,
            resource_name=f"{name}-route",
            spec={
                "parentRefs": [{"name": args.gateway.gateway_name, "sectionName": INNER}],
                "rules": [
                    {
                        "matches": [
                            {
                                "path": {"type": "PathPrefix", "value": "/v1"},
                                "headers": [{"name": MODEL_HEADER, "value": args.model}],
                            }
                        ],
                        "backendRefs": [{"name": args.service, "port": FRONTEND_PORT}],
                        "timeouts": {"request": timeout},
                    }
                ],
            },
            opts=args.cluster.child(self, depends_on=[args.gateway]),
        )
        picked = {"extractFrom": [{"header": PICKED_HEADER}]}
        behind = args.cluster.child(self, depends_on=[route])
        if args.picker_service is not None:
            custom(
                ENVOY_GATEWAY_API,
                "EnvoyExtensionPolicy",
                f"{name}-picker",
                namespace=args.namespace,
                spec={
                    "targetRefs": route_target(name),
                    "extProc": [
                        {
                            "backendRefs": [{"name": args.picker_service, "port": GRPC_PORT}],
                            "messageTimeout": "2s",
                            # Envoy cannot go on without an answer once it streams the body to the picker, so a picker
                            # that is gone is a 503 until it is back.
                            "failOpen": False,
                            "statusOnError": 503,
                            "processingMode": {
                                "request": {"body": "FullDuplexStreamed"},
                                "response": {"body": "FullDuplexStreamed"},
                                "allowModeOverride": True,
                            },
                        }
                    ],
                },
                opts=behind,
            )
        custom(
            ENVOY_GATEWAY_API,
            "BackendTrafficPolicy",
            f"{name}-balancing",
            namespace=args.namespace,
            spec={
                "targetRefs": route_target(name),
                "loadBalancer": {
                    "type": "LeastRequest",
                    **({} if args.picker_service is None else {"endpointOverride": picked}),
                },
                # Only what never reached a model is tried again: a generation is not idempotent for its payer.
                "retry": {
                    "numRetries": 2,
                    "retryOn": {"triggers": ["connect-failure", "refused-stream"]},
                },
                "timeout": {"tcp": {"connectTimeout": "2s"}, "http": {"requestTimeout": timeout}},
            },
            opts=behind,
        )
        self.register_outputs({})
