"""The counters of the global rate limit: one Redis that keeps nothing on disk."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict

from components.cluster import Cluster
from components.labels import labels, selector
from components.pods import RESTRICTED_CONTAINER, restricted_pod

PORT = 6379


@dataclass(frozen=True, kw_only=True)
class RedisArgs:
    """Where Redis runs and who may reach it: the pods of its own namespace."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    image: str


class Redis(pulumi.ComponentResource):
    """A Redis without persistence: losing it forgets at most the current minute's counts."""

    url: pulumi.Output[str]

    def __init__(self, name: str, args: RedisArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:Redis", name, {}, opts)
        child = args.cluster.child(self)
        tags = labels("redis", name)
        metadata: ObjectMetaArgsDict = {"name": name, "namespace": args.namespace, "labels": tags}
        matching = selector("redis", name)
        deployment = k8s.apps.v1.Deployment(
            f"{name}-server",
            metadata=metadata,
            spec={
                "replicas": 1,
                "selector": {"match_labels": matching},
                "strategy": {"type": "Recreate"},
                "template": {
                    "metadata": {"labels": tags},
                    "spec": {
                        "automount_service_account_token": False,
                        "enable_service_links": False,
                        "security_context": restricted_pod(args.cluster),
                        "node_selector": args.cluster.system.node_selector,
                        "tolerations": list(args.cluster.system.tolerations),
                        "containers": [
                            {
                                "name": "redis",
                                "image": args.image,
                                "args": [
                                    "redis-server",
                                    *("--save", ""),
                                    *("--appendonly", "no"),
                                    *("--bind", "0.0.0.0"),
                                    *("--protected-mode", "no"),
                                    # Counters expire with their minute; a full memory must never stop the limits.
                                    *("--maxmemory", "64mb"),
                                    *("--maxmemory-policy", "volatile-ttl"),
                                    *("--dir", "/tmp"),
                                ],
                                "ports": [{"name": "redis", "container_port": PORT}],
                                "security_context": RESTRICTED_CONTAINER,
                                "resources": {
                                    "requests": {"cpu": "20m", "memory": "16Mi"},
                                    "limits": {"memory": "96Mi"},
                                },
                                "readiness_probe": {"tcp_socket": {"port": PORT}, "period_seconds": 2},
                                "liveness_probe": {"tcp_socket": {"port": PORT}, "period_seconds": 10},
                                "volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}],
                            }
                        ],
                        "volumes": [{"name": "tmp", "empty_dir": {"size_limit": "16Mi"}}],
                    },
                },
            },
            opts=child,
        )
        service = k8s.core.v1.Service(
            f"{name}-service",
            metadata=metadata,
            spec={"selector": matching, "ports": [{"name": "redis", "port": PORT}]},
            opts=args.cluster.child(self, depends_on=[deployment]),
        )
        k8s.networking.v1.NetworkPolicy(
            f"{name}-network",
            metadata=metadata,
            spec={
                "pod_selector": {"match_labels": matching},
                "policy_types": ["Ingress", "Egress"],
                "ingress": [{"from_": [{"pod_selector": {}}], "ports": [{"port": PORT}]}],
                "egress": [],
            },
            opts=child,
        )
        self.url = service.metadata.apply(lambda meta: f"{meta.name}.{meta.namespace}.svc.cluster.local:{PORT}")
        self.register_outputs({"url": self.url})
