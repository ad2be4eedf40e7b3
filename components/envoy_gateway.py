"""Envoy Gateway, from its official chart, with the global rate-limit service."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.cluster import Cluster

CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"


@dataclass(frozen=True, kw_only=True)
class EnvoyGatewayArgs:
    """The chart, its images, and the Redis that counts."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    chart: str
    version: str
    controller_image: str
    envoy_image: str
    ratelimit_image: str
    redis_url: pulumi.Input[str]


class EnvoyGateway(pulumi.ComponentResource):
    """The controller and its CRDs. `ready` resolves when Gateways can be made."""

    ready: pulumi.Output[str]
    release: k8s.helm.v3.Release

    def __init__(self, name: str, args: EnvoyGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:EnvoyGateway", name, {}, opts)
        self.release = k8s.helm.v3.Release(
            f"{name}-chart",
            name=name,
            chart=args.chart,
            version=args.version,
            namespace=args.namespace,
            timeout=300,
            values=self._values(args),
            opts=args.cluster.child(self),
        )
        self.ready = self.release.status.apply(lambda status: str(status.status))
        self.register_outputs({"ready": self.ready})

    def _values(self, args: EnvoyGatewayArgs) -> dict[str, Any]:
        def image(reference: str) -> dict[str, str]:
            return {"image": reference, "pullPolicy": "IfNotPresent"}

        placement = args.cluster.system.placement()
        pod = {"pod": placement} if placement else {}
        limiter = {"type": "Kubernetes", "kubernetes": {"rateLimitDeployment": pod}} if pod else {"type": "Kubernetes"}
        return {
            "global": {
                "images": {
                    "envoyGateway": image(args.controller_image),
                    "envoyProxy": image(args.envoy_image),
                    "ratelimit": image(args.ratelimit_image),
                }
            },
            "config": {
                "envoyGateway": {
                    "gateway": {"controllerName": CONTROLLER},
                    "provider": limiter,
                    "extensionApis": {"enableLua": True},  # components/edge.lua; off by default
                    # The defaults, 20 ms and open, let twice the limit pass on a busy machine (seen: 65 of 128 with
                    # a limit of 50). A limiter that cannot answer must not give the service away.
                    "rateLimit": {
                        "timeout": "2s",
                        "failClosed": True,
                        "backend": {"type": "Redis", "redis": {"url": args.redis_url}},
                    },
                }
            },
            "deployment": {"envoyGateway": {"resources": {"requests": {"cpu": "50m", "memory": "96Mi"}}}, **pod},
            **({"certgen": {"job": placement}} if placement else {}),
        }
