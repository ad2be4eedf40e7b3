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
        opts=pulumi.ResourceOptions(provider=cluster.provider, depends_on=list(cluster.ready)),
    )


def controllers_namespace(cluster: Cluster, name: str) -> pulumi.Output[str]:
    """The same for controllers of others, whose pods name their own user id; resolves when they may.

    OpenShift's restricted-v2 refuses such pods. nonroot-v2 differs in nothing but that: any user id except root's.
    Envoy Gateway sets the ids of Envoy's pods in its code, so there is no value that would leave them out.
    """
    namespace = restricted_namespace(cluster, name)
    if not cluster.arbitrary_uids:
        return namespace.metadata.apply(lambda meta: str(meta.name))
    allowed = k8s.rbac.v1.RoleBinding(
        f"{name}-nonroot",
        metadata={
            "name": "llmops-nonroot",
            "namespace": namespace.metadata.apply(lambda meta: str(meta.name)),
            "labels": {"app.kubernetes.io/part-of": PART_OF},
        },
        role_ref={
            "api_group": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "system:openshift:scc:nonroot-v2",
        },
        subjects=[
            {"api_group": "rbac.authorization.k8s.io", "kind": "Group", "name": f"system:serviceaccounts:{name}"}
        ],
        opts=pulumi.ResourceOptions(provider=cluster.provider),
    )
    return allowed.metadata.apply(lambda meta: str(meta.namespace))
