"""The table of rules: API group and kind → what is still missing, None when the object is ready.

A kind without a row is ready as soon as it is applied.
"""

from collections.abc import Callable

from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.identity import Reference
from sandbox.provider.kubernetes.readiness import conditions, pods, services, subscriptions, volumes, workloads
from sandbox.provider.kubernetes.readiness.failed import FailedError
from sandbox.provider.kubernetes.rest import Json

Rule = Callable[[Cluster, Json], str | None]

__all__ = ["FailedError", "Rule", "rule_for"]

_RULES: dict[tuple[str, str], Rule] = {
    ("", "Namespace"): conditions.namespace,
    ("", "Pod"): pods.pod,
    ("", "Service"): services.service,
    ("", "PersistentVolumeClaim"): volumes.claim,
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("batch", "Job"): workloads.job,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): conditions.of("Established", "NamesAccepted"),
    ("apiregistration.k8s.io", "APIService"): conditions.of("Available"),
    ("operators.coreos.com", "Subscription"): subscriptions.subscription,
    ("gateway.networking.k8s.io", "GatewayClass"): conditions.of("Accepted"),
    ("gateway.networking.k8s.io", "Gateway"): conditions.of("Accepted", "Programmed"),
}
# Routes report per parent, policies per ancestor (Gateway API 1.x, GEP-713).
_ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")
_POLICIES = {
    ("gateway.networking.k8s.io", "BackendTLSPolicy"),
    *(("gateway.envoyproxy.io", kind) for kind in ("SecurityPolicy", "BackendTrafficPolicy", "ClientTrafficPolicy")),
    *(("gateway.envoyproxy.io", kind) for kind in ("EnvoyExtensionPolicy", "EnvoyPatchPolicy")),
}


def rule_for(reference: Reference) -> Rule | None:
    """The rule of an object's kind."""
    group = reference.api_version.rpartition("/")[0]
    key = (group, reference.kind)
    if group == "gateway.networking.k8s.io" and reference.kind in _ROUTES:
        return conditions.route
    return conditions.policy if key in _POLICIES else _RULES.get(key)
