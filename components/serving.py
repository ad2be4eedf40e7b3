"""Triton with the OpenAI frontend beside it: the replicas of one model."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core.v1 import LifecycleArgsDict, PodSpecArgsDict, VolumeMountArgsDict
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict
from pulumi_kubernetes.networking.v1 import NetworkPolicyPeerArgsDict, NetworkPolicySpecArgsDict

from components.cluster import Cluster
from components.labels import labels, selector
from components.model_store import MODEL_PATH, ModelStore
from components.pods import RESTRICTED_CONTAINER, probe, restricted_pod

FRONTEND_PORT, HTTP_PORT, GRPC_PORT, METRICS_PORT = 9000, 8000, 8001, 8002
# The pod leaves the picker's and the gateway's view before it stops: endpoint updates arrive within about a second.
PRE_STOP_SECONDS = 5
# What Kubernetes waits beyond preStop and Triton's own exit timeout before it kills.
GRACE_MARGIN_SECONDS = 10
LOAD_TIMEOUT = pulumi.CustomTimeouts(create="15m", update="30m")


@dataclass(frozen=True, kw_only=True)
class TritonServingArgs:
    """One model's replicas. Plain fields shape the plan; the store and the namespace only carry values."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    store: ModelStore
    model: str
    version: str
    replicas: int
    max_input_tokens: int
    max_output_tokens: int
    max_body_bytes: int
    drain_seconds: int
    triton_image: str
    frontend_image: str
    engine_image: str
    cpu: str
    memory: str
    memory_limit: str
    gateway_namespace: pulumi.Input[str]


class TritonServing(pulumi.ComponentResource):
    """Deployment, Service, PodDisruptionBudget, ServiceAccount and NetworkPolicy of one model.

    `service` is the name of the Service whose port 9000 answers the OpenAI API.
    """

    service: pulumi.Output[str]
    pod_selector: dict[str, str]

    def __init__(self, name: str, args: TritonServingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:TritonServing", name, {}, opts)
        child = args.cluster.child(self)
        self.pod_selector = selector("triton", args.model)
        tags = labels("triton", args.model, **{"llmops.dev/model-version": args.version})
        metadata: ObjectMetaArgsDict = {
            "name": name,
            "namespace": args.namespace,
            "labels": tags,
        }
        account = k8s.core.v1.ServiceAccount(
            f"{name}-account",
            metadata=metadata,
            automount_service_account_token=False,
            opts=child,
        )
        deployment = k8s.apps.v1.Deployment(
            f"{name}-server",
            metadata=metadata,
            spec={
                "replicas": args.replicas,
                "selector": {"match_labels": self.pod_selector},
                # A new replica is Ready before an old one leaves, so an update never lowers the capacity.
                "strategy": {"rolling_update": {"max_unavailable": 0, "max_surge": 1}},
                "progress_deadline_seconds": 900,
                "template": {
                    "metadata": {"labels": tags},
                    "spec": self._pod(args, account.metadata.apply(lambda meta: str(meta.name))),
                },
            },
            opts=args.cluster.child(self, custom_timeouts=LOAD_TIMEOUT),
        )
        service = k8s.core.v1.Service(
            f"{name}-service",
            metadata=metadata,
            spec={
                "selector": self.pod_selector,
                "ports": [{"name": "openai", "port": FRONTEND_PORT, "app_protocol": "http"}],
            },
            opts=args.cluster.child(self, depends_on=[deployment]),
        )
        k8s.policy.v1.PodDisruptionBudget(
            f"{name}-budget",
            metadata=metadata,
            spec={"max_unavailable": 1, "selector": {"match_labels": self.pod_selector}},
            opts=child,
        )
        k8s.networking.v1.NetworkPolicy(f"{name}-network", metadata=metadata, spec=self._network(args), opts=child)
        self.service = service.metadata.apply(lambda meta: str(meta.name))
        self.register_outputs({"service": self.service})

    def _pod(self, args: TritonServingArgs, account: pulumi.Output[str]) -> PodSpecArgsDict:
        model_mount = args.store.mount(args.model, args.version)
        scratch: VolumeMountArgsDict = {"name": "tmp", "mount_path": "/tmp"}
        pre_stop: LifecycleArgsDict = {"pre_stop": {"sleep": {"seconds": PRE_STOP_SECONDS}}}
        return {
            "service_account_name": account,
            "automount_service_account_token": False,
            "enable_service_links": False,
            "security_context": restricted_pod(args.cluster),
            "termination_grace_period_seconds": PRE_STOP_SECONDS + args.drain_seconds + GRACE_MARGIN_SECONDS,
            "node_selector": args.cluster.system.node_selector,
            "tolerations": list(args.cluster.system.tolerations),
            "topology_spread_constraints": [
                {
                    "max_skew": 1,
                    "topology_key": "kubernetes.io/hostname",
                    "when_unsatisfiable": "ScheduleAnyway",
                    "label_selector": {"match_labels": self.pod_selector},
                }
            ],
            "init_containers": [
                {
                    "name": "verify",
                    "image": args.engine_image,
                    "args": ["verify", "--version-dir", MODEL_PATH],
                    "security_context": RESTRICTED_CONTAINER,
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "32Mi"},
                        "limits": {"memory": "128Mi"},
                    },
                    "volume_mounts": [model_mount],
                }
            ],
            "containers": [
                {
                    "name": "triton",
                    "image": args.triton_image,
                    "args": [
                        "tritonserver",
                        f"--model-repository={MODEL_PATH}/repository",
                        f"--exit-timeout-secs={args.drain_seconds}",
                        "--disable-auto-complete-config",
                        "--allow-gpu-metrics=false",
                        "--metrics-interval-ms=500",
                    ],
                    "ports": [
                        {"name": "http", "container_port": HTTP_PORT},
                        {"name": "grpc", "container_port": GRPC_PORT},
                        {"name": "metrics", "container_port": METRICS_PORT},
                    ],
                    "security_context": RESTRICTED_CONTAINER,
                    "resources": {
                        "requests": {"cpu": args.cpu, "memory": args.memory},
                        "limits": {"memory": args.memory_limit},
                    },
                    "startup_probe": probe("/v2/health/ready", HTTP_PORT, period=1, failures=600),
                    "readiness_probe": probe("/v2/health/ready", HTTP_PORT, period=2, failures=2),
                    "liveness_probe": probe("/v2/health/live", HTTP_PORT, period=10, failures=3, timeout=5),
                    "lifecycle": pre_stop,
                    "volume_mounts": [model_mount, scratch, {"name": "shm", "mount_path": "/dev/shm"}],
                },
                {
                    "name": "frontend",
                    "image": args.frontend_image,
                    "env": [
                        {"name": "TRITON_URL", "value": f"http://127.0.0.1:{HTTP_PORT}"},
                        {"name": "MODEL_NAME", "value": args.model},
                        {"name": "MODEL_VERSION", "value": args.version},
                        {"name": "TOKENIZER_DIR", "value": f"{MODEL_PATH}/tokenizer"},
                        {"name": "MAX_INPUT_TOKENS", "value": str(args.max_input_tokens)},
                        {"name": "MAX_OUTPUT_TOKENS", "value": str(args.max_output_tokens)},
                        {"name": "MAX_BODY_BYTES", "value": str(args.max_body_bytes)},
                        {"name": "DRAIN_SECONDS", "value": str(args.drain_seconds)},
                        {"name": "PORT", "value": str(FRONTEND_PORT)},
                        {
                            "name": "POD_NAME",
                            "value_from": {"field_ref": {"field_path": "metadata.name"}},
                        },
                    ],
                    "ports": [{"name": "openai", "container_port": FRONTEND_PORT}],
                    "security_context": RESTRICTED_CONTAINER,
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "64Mi"},
                        "limits": {"memory": "256Mi"},
                    },
                    "startup_probe": probe("/health/live", FRONTEND_PORT, period=1, failures=60),
                    "readiness_probe": probe("/health/ready", FRONTEND_PORT, period=2, failures=2),
                    "liveness_probe": probe("/health/live", FRONTEND_PORT, period=10, failures=3, timeout=5),
                    "lifecycle": pre_stop,
                    "volume_mounts": [model_mount, scratch],
                },
            ],
            "volumes": [
                args.store.volume(),
                {"name": "tmp", "empty_dir": {"size_limit": "256Mi"}},
                {"name": "shm", "empty_dir": {"medium": "Memory", "size_limit": "256Mi"}},
            ],
        }

    def _network(self, args: TritonServingArgs) -> NetworkPolicySpecArgsDict:
        """Requests come from the gateway alone, metrics are read inside the namespace, nothing goes out."""
        gateway: NetworkPolicyPeerArgsDict = {
            "namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": args.gateway_namespace}}
        }
        return {
            "pod_selector": {"match_labels": self.pod_selector},
            "policy_types": ["Ingress", "Egress"],
            "ingress": [
                {"from_": [gateway], "ports": [{"port": FRONTEND_PORT}]},
                {"from_": [{"pod_selector": {}}], "ports": [{"port": METRICS_PORT}, {"port": FRONTEND_PORT}]},
            ],
            "egress": [],
        }
