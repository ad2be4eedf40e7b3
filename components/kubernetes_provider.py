"""The Kubernetes provider of a cluster, whoever made it."""

import pulumi
import pulumi_kubernetes as k8s


def kubernetes_provider(
    name: str,
    kubeconfig: pulumi.Input[str],
    *,
    identity: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    context: str | None = None,
) -> k8s.Provider:
    """The provider of the cluster `identity`, reached by a kubeconfig's content (kept secret) and its `context`.

    The identity, not the kubeconfig, says which cluster it is: a renewed certificate, another address or another way
    to log in must not replace everything on it (pulumi-kubernetes#1148).
    """
    return k8s.Provider(
        f"{name}-kubernetes",
        kubeconfig=pulumi.Output.secret(kubeconfig),
        context=context,
        cluster_identifier=identity,
        enable_server_side_apply=True,
        # Names are fixed, so a replacement would delete first: for a moment no tenant would have a key.
        enable_config_map_mutable=True,
        enable_secret_mutable=True,
        opts=opts,
    )
