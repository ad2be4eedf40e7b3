"""The `helm` program, and what it keeps in the cluster about a release."""

import base64
import binascii
import gzip
import json
import os
import subprocess
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sandbox.paths import cache_root
from sandbox.provider.contract import ProviderError, Task
from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.readiness.failed import FailedError
from sandbox.provider.kubernetes.rest import ApiError, Cancelled, Json

POLL = 0.5  # seconds
TIMEOUT = 300.0  # seconds, helm's own default


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The latest revision of a release, from helm's Secret."""

    secret: str
    revision: int
    status: str
    chart: str
    version: str
    app_version: str
    values: Json

    def summary(self, name: str, namespace: str) -> Json:
        """The Release resource's `status` output."""
        return {
            "name": name,
            "namespace": namespace,
            "status": self.status,
            "revision": self.revision,
            "chart": self.chart,
            "version": self.version,
            "appVersion": self.app_version,
        }


def stored(cluster: Cluster, namespace: str, name: str) -> Stored | None:
    """What helm knows of a release; None where there is none."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    try:
        items = cluster.rest.request("GET", path, query={"labelSelector": f"owner=helm,name={name}"}).get("items") or []
    except ApiError as error:
        if error.code == 404:
            return None
        raise
    latest = max(items, key=lambda item: int(item["metadata"]["labels"].get("version", 0)), default=None)
    if latest is None:
        return None
    try:
        packed = base64.b64decode(base64.b64decode(latest["data"]["release"]))
        release = json.loads(gzip.decompress(packed))
    except (KeyError, ValueError, binascii.Error, OSError, zlib.error):
        raise ProviderError(f"Helm's record of release {namespace}/{name} is not readable.") from None
    metadata = release["chart"]["metadata"]
    return Stored(
        secret=latest["metadata"]["name"],
        revision=int(release["version"]),
        status=str(release["info"]["status"]),
        chart=str(metadata.get("name")),
        version=str(metadata.get("version")),
        app_version=str(metadata.get("appVersion", "")),
        values=release.get("config") or {},
    )


def forget(cluster: Cluster, namespace: str, found: Stored) -> None:
    """Remove an interrupted revision's record. Its objects stay, labelled as helm's, and are adopted by the next."""
    cluster.rest.request("DELETE", f"/api/v1/namespaces/{namespace}/secrets/{found.secret}")


def run(
    task: Task, cluster: Cluster, arguments: list[str], values: Json | None, watch: Callable[[], str | None]
) -> None:
    """Run helm to its end, or until `watch` raises FailedError.

    Raises ProviderError with helm's own last words and what `watch` saw last.

    Values go by standard input and the kubeconfig by a file in memory: neither is on a disk or a command line.
    """
    access = cluster.rest.access
    descriptor = os.memfd_create("kubeconfig", 0)
    os.write(descriptor, access.content.encode())
    environment = {**os.environ, "KUBECONFIG": f"/proc/self/fd/{descriptor}", **_directories()}
    command = [str(_program()), *arguments, "--kube-context", access.context]
    command += ["--values", "-"] if values is not None else []
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            pass_fds=(descriptor,),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    finally:
        os.close(descriptor)
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        process.stdin.write(json.dumps(values or {}).encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it failed before it read them; its message follows
    began, said = time.monotonic(), ""
    while process.poll() is None:
        if task.cancelled.wait(POLL if time.monotonic() - began > POLL else 0.05):
            process.terminate()
            process.wait()
            raise Cancelled("interrupted while helm was at work")
        try:
            text = watch()
        except FailedError as error:
            process.terminate()
            process.wait()
            raise ProviderError(str(error)) from None
        if text and text != said:
            said = text
            task.status(f"waiting: {text}")
    if process.returncode:
        words = [line for line in process.stderr.read().decode(errors="replace").splitlines() if line.strip()]
        last = words[-1].removeprefix("Error: ").strip() if words else f"helm ended with code {process.returncode}"
        raise ProviderError(f"helm: {last}" + (f" ({said})" if said else ""))


@cache
def _program() -> Path:
    from sandbox.toolchain import ToolchainError, binary

    try:
        return binary("helm")
    except ToolchainError as error:
        raise ProviderError(str(error)) from None


def _directories() -> dict[str, str]:
    """Helm's own folders, in our cache and not in the person's home."""
    root = cache_root() / "helm"
    return {f"HELM_{name}_HOME": str(root / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
