"""Replicas that span nodes: a LeaderWorkerSet, one pod a node, the leader in front (docs/adr/0011)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict

from components.chart import Chart, release
from components.cluster import Cluster
from components.custom import custom
from components.namespace import restricted_namespace
from components.triton_pod import LAUNCHER_KEY, pod

if TYPE_CHECKING:
    from components.serving import TritonServingArgs

LEADERS = {"leaderworkerset.sigs.k8s.io/worker-index": "0"}  # which of a group's pods answer
EXCLUSIVE = "leaderworkerset.sigs.k8s.io/exclusive-topology"
LAUNCHER = Path(__file__).with_name("group_launcher.py")
NAMESPACE = "lws-system"


class LeaderWorkerSets(pulumi.ComponentResource):
    """LeaderWorkerSet's controller, in a namespace of its own."""

    def __init__(self, name: str, cluster: Cluster, chart: Chart, image: str) -> None:
        super().__init__("llmops:index:LeaderWorkerSets", name, {})
        repository, _, tag = image.rpartition(":")
        namespace = restricted_namespace(cluster, NAMESPACE).metadata.apply(lambda meta: str(meta.name))
        release(
            f"{name}-chart",
            chart,
            cluster=cluster,
            parent=self,
            name=name,
            namespace=namespace,
            values={
                "image": {"manager": {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"}},
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
                **cluster.system.placement(),
            },
        )
        self.register_outputs({})


class ReplicaGroups(pulumi.ComponentResource):
    """One model's LeaderWorkerSet, with the launcher and its key (components/group_launcher.py)."""

    def __init__(
        self,
        name: str,
        args: "TritonServingArgs",
        tags: dict[str, str],
        account: pulumi.Output[str],
        parent: pulumi.Resource,
    ) -> None:
        super().__init__("llmops:index:ReplicaGroups", name, {}, pulumi.ResourceOptions(parent=parent))
        child = args.cluster.child(self)
        launcher = f"{name}-launcher"
        metadata: ObjectMetaArgsDict = {"name": launcher, "namespace": args.namespace, "labels": tags}
        key = random.RandomPassword(
            f"{name}-group-key", length=40, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        needed = [
            k8s.core.v1.ConfigMap(
                f"{name}-launcher", metadata=metadata, data={LAUNCHER.name: LAUNCHER.read_text()}, opts=child
            ),
            k8s.core.v1.Secret(
                f"{name}-launcher-key", metadata=metadata, string_data={LAUNCHER_KEY: key.result}, opts=child
            ),
            *([args.groups] if args.groups else []),
        ]
        custom(
            "leaderworkerset.x-k8s.io/v1",
            "LeaderWorkerSet",
            name,
            namespace=args.namespace,
            resource_name=f"{name}-groups",
            labels=tags,
            annotations={EXCLUSIVE: args.runtime.pool.topology} if args.runtime.pool.topology else None,
            spec=self._spec(args, tags, account, launcher),
            opts=args.cluster.child(self, depends_on=needed),
        )
        self.register_outputs({})

    def _spec(
        self, args: "TritonServingArgs", tags: dict[str, str], account: pulumi.Output[str], launcher: str
    ) -> dict[str, Any]:
        def template(role: Any) -> dict[str, Any]:
            return {"metadata": {"labels": tags}, "spec": camel(pod(args, account, role, launcher))}

        # A group is replaced whole. As with one node: first the new one, where the pool has room for it.
        rolling = {"maxUnavailable": 0, "maxSurge": 1} if args.runtime.spare else {"maxUnavailable": 1, "maxSurge": 0}
        return {
            "replicas": args.replicas,
            "rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": rolling},
            "startupPolicy": "LeaderCreated",  # the leader waits for its workers, not they for it
            "leaderWorkerTemplate": {
                "size": args.runtime.nodes,
                # Ranks that lost one of theirs never answer again: all start over.
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": template("leader"),
                "workerTemplate": template("worker"),
            },
        }


def camel(value: Any) -> Any:
    """The SDK's typed dictionaries (snake_case) as Kubernetes writes them: for a pod inside a custom resource.

    Keys that are data, not names of fields, are kept: labels, selectors, resource names.
    """
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        _camel(key): dict(inner) if key in KEPT and isinstance(inner, dict) else camel(inner)
        for key, inner in value.items()
    }


KEPT = {"match_labels", "node_selector", "labels", "requests", "limits"}


def _camel(name: str) -> str:
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)
