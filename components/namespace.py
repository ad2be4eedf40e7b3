"""A namespace that enforces Pod Security `restricted`."""

import pulumi
import pulumi_kubernetes as k8s

from components.cluster import Cluster
from components.labels import PART_OF
from components.pods import RESTRICTED_NAMESPACE


def restricted_namespace(cluster: Cluster, name: str) -> k8s.core.v1.Namespace:
    """Create the namespace `name`; every pod in it must pass the `restricted` standard."""
    return k8s.core.v1.Namespace(
        name,
        metadata={"name": name, "labels": {**RESTRICTED_NAMESPACE, "app.kubernetes.io/part-of": PART_OF}},
        opts=pulumi.ResourceOptions(provider=cluster.provider),
    )
