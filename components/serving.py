"""Triton with the OpenAI frontend beside it: the replicas of one model."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.apps.v1 import RollingUpdateDeploymentArgsDict
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict
from pulumi_kubernetes.networking.v1 import (
    NetworkPolicyIngressRuleArgsDict,
    NetworkPolicyPeerArgsDict,
    NetworkPolicySpecArgsDict,
)

from components.cluster import Cluster
from components.labels import labels, selector
from components.model_store import ModelStore
from components.replica_groups import LEADERS, ReplicaGroups
from components.store_sync import egress
from components.triton import FRONTEND_PORT, METRICS_PORT, Runtime
from components.triton_pod import pod

# Beyond loading: a node that has to come first, an image of 14 GB, a version that has to be copied.
ARRIVAL_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class TritonServingArgs:
    """One model's replicas. Plain fields shape the plan; the store and the namespace only carry values.

    `groups` is LeaderWorkerSet's controller, needed where a replica spans nodes.
    """

    cluster: Cluster
    namespace: pulumi.Input[str]
    store: ModelStore
    model: str
    version: str
    replicas: int
    runtime: Runtime
    max_input_tokens: int
    max_output_tokens: int
    max_body_bytes: int
    drain_seconds: int
    frontend_image: str
    engine_image: str
    rclone_image: str
    gateway_namespace: pulumi.Input[str]
    groups: pulumi.Resource | None = None

    def __post_init__(self) -> None:
        if self.runtime.nodes > 1 and self.groups is None:
            raise ValueError(f"{self.model}: a replica on {self.runtime.nodes} nodes needs LeaderWorkerSet")

    @property
    def labels(self) -> dict[str, str]:
        """Of every pod, for as long as the model is served."""
        return selector("triton", self.model)


class TritonServing(pulumi.ComponentResource):
    """Deployment (or LeaderWorkerSet), Service, PodDisruptionBudget, ServiceAccount and NetworkPolicy of one model.

    `service` is the name of the Service whose port 9000 answers the OpenAI API; `pod_selector` finds the pods
    that answer.
    """

    service: pulumi.Output[str]
    pod_selector: dict[str, str]

    def __init__(self, name: str, args: TritonServingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:TritonServing", name, {}, opts)
        child = args.cluster.child(self)
        several = args.runtime.nodes > 1
        self.pod_selector = args.labels | (LEADERS if several else {})
        tags = labels("triton", args.model, **{"llmops.dev/model-version": args.version})
        metadata: ObjectMetaArgsDict = {
            "name": name,
            "namespace": args.namespace,
            "labels": tags,
        }
        account = args.store.service_account or k8s.core.v1.ServiceAccount(
            f"{name}-account",
            metadata=metadata,
            automount_service_account_token=False,
            opts=child,
        ).metadata.apply(lambda meta: str(meta.name))
        server: pulumi.Resource
        if several:
            server = ReplicaGroups(name, args, tags, account, self)
        else:
            server = self._deployment(name, args, tags, account)
        service = k8s.core.v1.Service(
            f"{name}-service",
            metadata=metadata,
            spec={
                "selector": self.pod_selector,
                "ports": [{"name": "openai", "port": FRONTEND_PORT, "app_protocol": "http"}],
            },
            opts=args.cluster.child(self, depends_on=[server]),
        )
        k8s.policy.v1.PodDisruptionBudget(
            f"{name}-budget",
            metadata=metadata,
            spec={"max_unavailable": 1, "selector": {"match_labels": args.labels}},
            opts=child,
        )
        k8s.networking.v1.NetworkPolicy(f"{name}-network", metadata=metadata, spec=self._network(args), opts=child)
        self.service = service.metadata.apply(lambda meta: str(meta.name))
        self.register_outputs({"service": self.service})

    def _deployment(
        self, name: str, args: TritonServingArgs, tags: dict[str, str], account: pulumi.Output[str]
    ) -> pulumi.Resource:
        seconds = args.runtime.load_seconds + (ARRIVAL_SECONDS if args.runtime.gpus else 300)
        # A new replica is Ready before an old one leaves, so an update never lowers the capacity; where the pool has
        # no room for one more, an old one makes room.
        rolling: RollingUpdateDeploymentArgsDict = (
            {"max_unavailable": 0, "max_surge": 1} if args.runtime.spare else {"max_unavailable": 1, "max_surge": 0}
        )
        patience = f"{seconds * (args.replicas + 1)}s" if args.runtime.gpus else "30m"
        return k8s.apps.v1.Deployment(
            f"{name}-server",
            metadata={"name": name, "namespace": args.namespace, "labels": tags},
            spec={
                "replicas": args.replicas,
                "selector": {"match_labels": args.labels},
                "strategy": {"rolling_update": rolling},
                "progress_deadline_seconds": seconds,
                "template": {"metadata": {"labels": tags}, "spec": pod(args, account, "whole")},
            },
            opts=args.cluster.child(self, custom_timeouts=pulumi.CustomTimeouts(create=f"{seconds}s", update=patience)),
        )

    def _network(self, args: TritonServingArgs) -> NetworkPolicySpecArgsDict:
        """Requests come from the gateway alone, metrics are read inside the namespace, nothing goes out.

        But for what a synced version and the nodes of one replica need.
        """
        gateway: NetworkPolicyPeerArgsDict = {
            "namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": args.gateway_namespace}}
        }
        group: NetworkPolicyPeerArgsDict = {"pod_selector": {"match_labels": args.labels}}
        inward: list[NetworkPolicyIngressRuleArgsDict] = [
            {"from_": [gateway], "ports": [{"port": FRONTEND_PORT}]},
            {"from_": [{"pod_selector": {}}], "ports": [{"port": METRICS_PORT}, {"port": FRONTEND_PORT}]},
        ]
        outward = egress(args.store)
        if args.runtime.nodes > 1:  # MPI and NCCL take any port
            inward.append({"from_": [group]})
            outward.append({"to": [group]})
        return {
            "pod_selector": {"match_labels": args.labels},
            "policy_types": ["Ingress", "Egress"],
            "ingress": inward,
            "egress": outward,
        }
