"""Objects of other projects' APIs, and the few facts of theirs that several components need."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

GATEWAY_API = "gateway.networking.k8s.io/v1"
ENVOY_GATEWAY_API = "gateway.envoyproxy.io/v1alpha1"
# Headers that only the platform itself may set. Clients' own are removed before anything reads them.
TENANT_HEADER, MODEL_HEADER, PAID_HEADER = "x-client-id", "x-llmops-model", "x-llmops-max-tokens"
PICKED_HEADER = "x-gateway-destination-endpoint"
# What a token says of its tenant. Not TENANT_HEADER itself: Envoy's JWT filter removes the headers that it may set from
# every request, and so would take away what the API key said (seen with 1.40). components/edge.lua joins the two.
TOKEN_TENANT_HEADER = "x-llmops-token-tenant"


def custom(
    api_version: str,
    kind: str,
    name: str,
    *,
    namespace: pulumi.Input[str] | None = None,
    spec: dict[str, Any],
    opts: pulumi.ResourceOptions,
    resource_name: str | None = None,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> k8s.apiextensions.CustomResource:
    """One object of a custom API; `resource_name` is its Pulumi name where the object's own is not unique."""
    metadata: dict[str, Any] = {"name": name}
    if namespace is not None:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    return k8s.apiextensions.CustomResource(
        resource_name or name, api_version=api_version, kind=kind, metadata=metadata, spec=spec, opts=opts
    )


def listener_target(gateway: str, listener: str) -> list[dict[str, Any]]:
    """A policy's target: one listener of a Gateway, and so every route that is attached to it."""
    return [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway, "sectionName": listener}]


def route_target(name: pulumi.Input[str]) -> list[dict[str, Any]]:
    """A policy's target: the HTTPRoute `name`."""
    return [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": name}]
