"""The local stack: the whole chain on one machine, top to bottom."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pulumi
import yaml

from components.cluster import Cluster
from components.local_cluster import LocalCluster, LocalClusterArgs
from components.model_store import DirectoryStore, DirectoryStoreArgs
from stacks.platform import Platform
from stacks.settings import Settings


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
        address=settings.sandbox.address or _server_host(content),
    )
    return LocalCluster("local", args).cluster


def _server_host(kubeconfig: str) -> str:
    """The API server's host: on a single node, node ports answer there as well."""
    try:
        server = yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]["server"]
        return urlsplit(server).hostname or ""
    except (yaml.YAMLError, KeyError, IndexError, TypeError):
        raise pulumi.RunError(
            "llmops:sandbox.kubeconfig: names no cluster's server; set it to the kubeconfig of a running cluster"
        ) from None


def _store_path(settings: Settings) -> str:
    path = settings.storage.path or os.environ.get("LLMOPS_MODEL_STORE")
    if not path:
        raise pulumi.RunError(
            "llmops:storage.path: is not set; set it to the directory on the node that holds the published models"
        )
    return path
