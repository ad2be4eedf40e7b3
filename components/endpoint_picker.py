"""The endpoint picker of the Gateway API Inference Extension: sends a request to the replica with the shortest queue
and the emptiest KV cache."""

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s
import yaml
from pulumi_kubernetes.core.v1 import PodSpecArgsDict, ProbeArgsDict
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict
from pulumi_kubernetes.rbac.v1 import PolicyRuleArgsDict

from components.cluster import Cluster
from components.custom import custom
from components.labels import labels, selector
from components.pods import RESTRICTED_CONTAINER, restricted_pod
from components.triton import FRONTEND_PORT, METRICS_PORT

GRPC_PORT, HEALTH_PORT, PICKER_METRICS_PORT = 9002, 9003, 9090
CRDS = Path(__file__).with_name("crds") / "inference-extension-1.1.0.yaml"
CONFIG = """\
apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: queue-scorer
- type: kv-cache-utilization-scorer
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: queue-scorer
  - pluginRef: kv-cache-utilization-scorer
"""
# TensorRT-LLM's own gauges; the CPU backend exports the same.
WAITING = "nv_trt_llm_request_metrics{request_type=waiting}"
KV_CACHE = "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=fraction}"


class InferenceExtension(pulumi.ComponentResource):
    """The Inference Extension's CRDs, as released in v1.1.0."""

    def __init__(self, name: str, cluster: Cluster, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:InferenceExtension", name, {}, opts)
        for document in yaml.load_all(CRDS.read_text(), Loader=yaml.CSafeLoader):
            k8s.apiextensions.v1.CustomResourceDefinition(
                document["metadata"]["name"],
                metadata=document["metadata"],
                spec=document["spec"],
                opts=cluster.child(self),
            )
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class EndpointPickerArgs:
    """Whose replicas it picks from."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    image: str
    pod_selector: dict[str, str]
    extension: InferenceExtension


class EndpointPicker(pulumi.ComponentResource):
    """One model's InferencePool and its picker. `service` speaks Envoy's external processing on port 9002."""

    service: pulumi.Output[str]

    def __init__(self, name: str, args: EndpointPickerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:EndpointPicker", name, {}, opts)
        child = args.cluster.child(self)
        tags = labels("endpoint-picker", name)
        metadata: ObjectMetaArgsDict = {"name": name, "namespace": args.namespace, "labels": tags}
        matching = selector("endpoint-picker", name)
        pool = custom(
            "inference.networking.k8s.io/v1",
            "InferencePool",
            name,
            namespace=args.namespace,
            resource_name=f"{name}-pool",
            spec={
                "selector": {"matchLabels": args.pod_selector},
                "targetPorts": [{"number": FRONTEND_PORT}],
                "endpointPickerRef": {"name": name, "port": {"number": GRPC_PORT}},
            },
            opts=args.cluster.child(self, depends_on=[args.extension]),
        )
        account = k8s.core.v1.ServiceAccount(f"{name}-account", metadata=metadata, opts=child)
        role = k8s.rbac.v1.Role(
            f"{name}-role",
            metadata=metadata,
            rules=[
                _readable("inference.networking.x-k8s.io", "inferenceobjectives"),
                _readable("inference.networking.k8s.io", "inferencepools"),
                _readable("", "pods"),
            ],
            opts=child,
        )
        binding = k8s.rbac.v1.RoleBinding(
            f"{name}-binding",
            metadata=metadata,
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            subjects=[{"kind": "ServiceAccount", "name": name, "namespace": args.namespace}],
            opts=args.cluster.child(self, depends_on=[role]),
        )
        config = k8s.core.v1.ConfigMap(f"{name}-config", metadata=metadata, data={"plugins.yaml": CONFIG}, opts=child)
        deployment = k8s.apps.v1.Deployment(
            f"{name}-server",
            metadata=metadata,
            spec={
                "replicas": 1,
                "selector": {"match_labels": matching},
                "template": {
                    "metadata": {"labels": tags},
                    "spec": self._pod(name, args),
                },
            },
            opts=args.cluster.child(self, depends_on=[pool, account, binding, config]),
        )
        service = k8s.core.v1.Service(
            f"{name}-service",
            metadata=metadata,
            spec={
                "selector": matching,
                # Envoy's external processing is gRPC: HTTP/2 without TLS.
                "ports": [{"name": "grpc", "port": GRPC_PORT, "app_protocol": "kubernetes.io/h2c"}],
            },
            opts=args.cluster.child(self, depends_on=[deployment]),
        )
        self.service = service.metadata.apply(lambda meta: str(meta.name))
        self.register_outputs({"service": self.service})

    def _pod(self, name: str, args: EndpointPickerArgs) -> PodSpecArgsDict:
        health: ProbeArgsDict = {"grpc": {"port": HEALTH_PORT, "service": "inference-extension"}}
        return {
            "service_account_name": name,
            "enable_service_links": False,
            "security_context": restricted_pod(args.cluster),
            "node_selector": args.cluster.system.node_selector,
            "tolerations": list(args.cluster.system.tolerations),
            "containers": [
                {
                    "name": "picker",
                    "image": args.image,
                    "args": [
                        f"--pool-name={name}",
                        pulumi.Output.concat("--pool-namespace=", args.namespace),
                        "--config-file=/config/plugins.yaml",
                        f"--total-queued-requests-metric={WAITING}",
                        f"--kv-cache-usage-percentage-metric={KV_CACHE}",
                        "--lora-info-metric=",
                        "--cache-info-metric=",
                        f"--model-server-metrics-port={METRICS_PORT}",
                        # The `=` matters: Go's flag package stops at a bare "false", and every later flag is lost.
                        "--secure-serving=false",
                        "--tracing=false",
                        "--metrics-endpoint-auth=false",
                        "--zap-encoder=json",
                        "--v=1",
                    ],
                    "ports": [
                        {"name": "grpc", "container_port": GRPC_PORT},
                        {"name": "health", "container_port": HEALTH_PORT},
                        {"name": "metrics", "container_port": PICKER_METRICS_PORT},
                    ],
                    "env": [{"name": "GOMEMLIMIT", "value": "96MiB"}],
                    "security_context": RESTRICTED_CONTAINER,
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "48Mi"},
                        "limits": {"memory": "256Mi"},
                    },
                    "readiness_probe": {**health, "period_seconds": 2},
                    "liveness_probe": {**health, "period_seconds": 10, "initial_delay_seconds": 5},
                    "volume_mounts": [{"name": "config", "mount_path": "/config", "read_only": True}],
                }
            ],
            "volumes": [{"name": "config", "config_map": {"name": name}}],
        }


def _readable(group: str, resource: str) -> PolicyRuleArgsDict:
    return {"api_groups": [group], "resources": [resource], "verbs": ["get", "list", "watch"]}
