"""Resources as the rules see them, for tests to break: pods that keep every rule, and what describes nodes."""

import json
from typing import Any

from policy.resource import Resource

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


def resource(kind: str, **props: Any) -> Resource:
    return Resource(type=kind, props=props, name="one", urn=f"urn:pulumi:s::p::{kind}::one")


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


CONTAINER: dict[str, Any] = {
    "name": "main",
    "image": "docker.io/library/redis:7.0.15",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    "resources": {"limits": {"memory": "1Gi"}},
}
POD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [CONTAINER],
    "volumes": [{"name": "tmp", "emptyDir": {}}],
}
LABELS = {"app.kubernetes.io/part-of": "llmops"}
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
DIGEST = f"docker.io/library/redis@sha256:{'0' * 64}"


def workload(pod: dict[str, Any] | None = None, kind: str = "apps/v1:Deployment", **metadata: Any) -> Resource:
    return resource(
        f"kubernetes:{kind}",
        metadata={"namespace": "llm", "labels": LABELS, **metadata},
        spec={"replicas": 2, "template": {"spec": pod or POD}},
    )


def container(**changes: Any) -> Resource:
    return workload({**POD, "containers": [{**CONTAINER, **changes}]})


def secured(**changes: Any) -> Resource:
    return container(securityContext={**CONTAINER["securityContext"], **changes})


def gpu_pod(limits: dict[str, Any], *tolerations: dict[str, Any]) -> Resource:
    pod = {**POD, "containers": [{**CONTAINER, "resources": {"limits": limits}}], "tolerations": list(tolerations)}
    return workload(pod)
