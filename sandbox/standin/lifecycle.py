"""Starting and forgetting a pretended cluster."""

import contextlib
import shutil
from dataclasses import replace

from sandbox import cluster, paths
from sandbox.cluster.api import Api
from sandbox.cluster.errors import ClusterError
from sandbox.cluster.handle import find as find_cluster
from sandbox.progress import Progress
from sandbox.provider.kubernetes.mark import MARK, NAME
from sandbox.standin import openshift, table
from sandbox.standin.reserved import Platform
from sandbox.standin.table import Endpoint, Pretended
from sandbox.toolchain import ensure

FEATURES = ("control-plane", "fake-nodes")


def create(name: str, platform: Platform, progress: Progress | None) -> Endpoint:
    """Start, or find, the cluster."""
    progress = progress or Progress()
    known = table.find(name)
    entry = Pretended(name=name, sandbox=paths.instance(), instance=table.instance_of(name), platform=platform)
    if known is not None and known.platform != platform:
        raise ClusterError(
            f"The pretended cluster '{name}' is a {known.platform} cluster: delete it first to have a {platform} one "
            f"(python -m sandbox.standin delete {name})."
        )
    ensure(FEATURES, progress)
    table.remember(known or entry)
    balancer = "hostname" if platform == "eks" else "address"
    kubeconfig = cluster.start("fake-nodes", progress, entry.instance, balancer)
    handle = find_cluster(entry.instance)
    if handle.api.get(MARK) is None:
        if platform == "openshift":
            openshift.install(handle.api)
        _mark(handle.api, entry)
    table.remember(replace(entry, server=handle.server))
    return Endpoint(handle.server, (handle.directory / "pki" / "ca.crt").read_bytes(), kubeconfig)


def _mark(api: Api, entry: Pretended) -> None:
    data = {"name": entry.name, "platform": entry.platform}
    api.apply(MARK, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": data})


def api(name: str) -> Api:
    """The API of a running cluster. Raises ClusterError when there is none of that name, or it is stopped."""
    entry = table.find(name)
    if entry is None:
        known = ", ".join(one.name for one in table.current()) or "none"
        raise ClusterError(f"There is no pretended cluster '{name}' in sandbox '{paths.instance()}'; there is {known}.")
    handle = find_cluster(entry.instance)
    if handle.running() is None:
        raise ClusterError(f"The pretended cluster '{name}' is stopped: create it again, which keeps what is in it.")
    return handle.api


def delete(name: str, progress: Progress | None) -> None:
    """Stop and forget the cluster."""
    entry = table.find(name)
    if entry is None:
        return
    cluster.stop(progress or Progress(), entry.instance, delete=True)
    shutil.rmtree(paths.state_dir(entry.instance), ignore_errors=True)
    with contextlib.suppress(OSError):
        paths.containerd_root(entry.instance).rmdir()  # empty: nothing was ever pulled
    table.forget(name)
