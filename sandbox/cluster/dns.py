"""CoreDNS: the cluster's name service, as objects with the paths they are applied at."""

from typing import Any

from sandbox.cluster.addresses import Addresses

IMAGE = "registry.k8s.io/coredns/coredns:v1.15.0"
DEPLOYMENT = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"

# No `forward`: names outside the cluster do not resolve, as nothing outside could be reached.
COREFILE = """\
.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 30
    }
    cache 30
    loadbalance
}
"""


def _named(api: str, kind: str, name: str, namespace: str | None = "kube-system", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def _deployment() -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "coredns",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "env": [{"name": "GOMEMLIMIT", "value": "40MiB"}, {"name": "GOGC", "value": "50"}],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        "resources": {"requests": {"cpu": "20m", "memory": "40Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 10, "failureThreshold": 5},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    labels = {"k8s-app": "kube-dns"}
    return {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": "coredns",
                "priorityClassName": "system-cluster-critical",
                "dnsPolicy": "Default",
                "containers": [container],
                "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
            },
        },
    }


def objects(addresses: Addresses) -> list[tuple[str, dict[str, Any]]]:
    """(path, object) in the order to apply them."""
    core, rbac = "/api/v1/namespaces/kube-system", "/apis/rbac.authorization.k8s.io/v1"
    version = "rbac.authorization.k8s.io/v1"
    watch = {"verbs": ["list", "watch"]}
    rules = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], **watch},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], **watch},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
    account = {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}
    service = {
        "clusterIP": addresses.dns,
        "selector": {"k8s-app": "kube-dns"},
        "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        ],
    }
    return [
        (f"{core}/serviceaccounts/coredns", _named("v1", "ServiceAccount", "coredns")),
        (f"{rbac}/clusterroles/system:coredns", _named(version, "ClusterRole", "system:coredns", None, rules=rules)),
        (
            f"{rbac}/clusterrolebindings/system:coredns",
            _named(version, "ClusterRoleBinding", "system:coredns", None, roleRef=role, subjects=[account]),
        ),
        (f"{core}/configmaps/coredns", _named("v1", "ConfigMap", "coredns", data={"Corefile": COREFILE})),
        (f"{core}/services/kube-dns", _named("v1", "Service", "kube-dns", spec=service)),
        (DEPLOYMENT, _named("apps/v1", "Deployment", "coredns", spec=_deployment())),
    ]
