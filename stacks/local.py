"""The local stack: the whole chain on one machine, top to bottom."""

import os
from pathlib import Path

import pulumi

from components.cluster import Cluster
from components.local_cluster import LocalCluster, LocalClusterArgs
from components.model_store import DirectoryStore, DirectoryStoreArgs
from stacks.platform import Platform
from stacks.settings import Settings

SANDBOX_ADDRESS = "10.246.0.2"  # the first sandbox's node


def build(settings: Settings) -> None:
    """Wire the local stack. Outputs: `endpoint`, the base URL, and the secret map `apiKeys`."""
    cluster = _cluster(settings)
    platform = Platform(settings, cluster)
    store = DirectoryStore(
        "models",
        DirectoryStoreArgs(cluster=cluster, namespace=platform.namespace, path=_store_path(settings)),
    )
    platform.serve(store.store)
    pulumi.export("endpoint", platform.endpoint)
    pulumi.export("apiKeys", platform.api_keys)


def _cluster(settings: Settings) -> Cluster:
    path = settings.sandbox.kubeconfig or os.environ.get("LLMOPS_KUBECONFIG")
    if not path:
        raise pulumi.RunError(
            "llmops:sandbox.kubeconfig: is not set and no sandbox is running; "
            "run `make up`, or set it to the kubeconfig of your own cluster"
        )
    try:
        content = Path(path).expanduser().read_text()
    except OSError as error:
        raise pulumi.RunError(
            f"llmops:sandbox.kubeconfig: cannot read {path}: {error.strerror}; "
            "run `make up` to start the sandbox, or set it to the kubeconfig of your own cluster"
        ) from None
    args = LocalClusterArgs(
        kubeconfig=content,
        context=settings.sandbox.context,
        address=settings.sandbox.address or os.environ.get("LLMOPS_NODE_ADDRESS", SANDBOX_ADDRESS),
    )
    return LocalCluster("local", args).cluster


def _store_path(settings: Settings) -> str:
    path = settings.storage.path or os.environ.get("LLMOPS_MODEL_STORE")
    if not path:
        raise pulumi.RunError(
            "llmops:storage.path: is not set; set it to the directory on the node that holds the published models"
        )
    return path
