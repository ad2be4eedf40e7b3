"""Namespaces that enforce a level of Pod Security: `restricted` for ours, `privileged` for those of drivers."""

import asyncio

import pulumi
import pulumi_kubernetes as k8s

from components.cluster import Cluster
from components.labels import PART_OF
from components.pods import PRIVILEGED_NAMESPACE, RESTRICTED_NAMESPACE


def restricted_namespace(cluster: Cluster, name: str) -> k8s.core.v1.Namespace:
    """Create the namespace `name`; every pod in it must pass the `restricted` standard."""
    return k8s.core.v1.Namespace(
        name,
        metadata={"name": name, "labels": {**RESTRICTED_NAMESPACE, "app.kubernetes.io/part-of": PART_OF}},
        opts=pulumi.ResourceOptions(provider=cluster.provider, depends_on=list(cluster.ready)),
    )


def name_of(namespace: k8s.core.v1.Namespace, name: str) -> pulumi.Output[str]:
    """The namespace's name: known before the cluster is, and whatever uses it still waits for the namespace.

    Its `metadata` would be unknown as long as the cluster is, and a preview would show every object without a place.
    """
    known: asyncio.Future[bool] = asyncio.get_event_loop().create_future()
    value: asyncio.Future[str] = asyncio.get_event_loop().create_future()
    known.set_result(True)
    value.set_result(name)
    return pulumi.Output({namespace}, value, known)


def privileged_namespace(
    resource_name: str, cluster: Cluster, name: str, parent: pulumi.Resource
) -> pulumi.Output[str]:
    """Create the namespace `name` of the component `parent`, whose pods may do anything; resolves to its name."""
    made = k8s.core.v1.Namespace(
        resource_name,
        metadata={"name": name, "labels": {**PRIVILEGED_NAMESPACE, "app.kubernetes.io/part-of": PART_OF}},
        opts=cluster.child(parent),
    )
    return name_of(made, name)


def controllers_namespace(cluster: Cluster, name: str) -> pulumi.Output[str]:
    """The same for controllers of others, whose pods name their own user id; resolves when they may.

    OpenShift's restricted-v2 refuses such pods. nonroot-v2 differs in nothing but that: any user id except root's.
    Envoy Gateway sets the ids of Envoy's pods in its code, so there is no value that would leave them out.
    """
    namespace = restricted_namespace(cluster, name)
    if not cluster.arbitrary_uids:
        return name_of(namespace, name)
    allowed = k8s.rbac.v1.RoleBinding(
        f"{name}-nonroot",
        metadata={
            "name": "llmops-nonroot",
            "namespace": name_of(namespace, name),
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
