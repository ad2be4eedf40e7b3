"""Custom resource definitions as files: taken from YAML, marked with their content, applied only where they differ."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox.paths import cache_root
from sandbox.provider.contract import ProviderError, Task
from sandbox.provider.kubernetes.cluster import APPLY, Cluster
from sandbox.provider.kubernetes.identity import annotation
from sandbox.provider.kubernetes.readiness.conditions import missing
from sandbox.provider.kubernetes.rest import ApiError, Cancelled, Json

# On every CRD that we apply: what it was made from, so that an unchanged one is left alone.
CONTENT = "llmops.sandbox/content"
MANAGER = "pulumi-helm-crds"
PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def module(name: str) -> Path:
    """A Go module's directory. Raises ProviderError."""
    from sandbox.toolchain import ToolchainError, module_dir

    try:
        return module_dir(name)
    except ToolchainError as error:
        raise ProviderError(f"{name}: {error}") from None


def once(name: str, make: Callable[[Path], None]) -> Path:
    """The directory `name` among the charts in the cache; made whole or not at all."""
    folder = cache_root() / "charts" / name
    if not folder.is_dir():
        part = folder.with_name(f".{folder.name}.{os.getpid()}.{threading.get_ident()}")
        shutil.rmtree(part, ignore_errors=True)
        make(part)
        try:
            part.rename(folder)
        except OSError:  # another command was quicker
            shutil.rmtree(part, ignore_errors=True)
    return folder


def write(files: Iterable[Path], target: Path) -> None:
    """Every CRD in these YAML files as one JSON file in `target`, named after it."""
    import yaml  # once for each version of a chart

    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        for document in yaml.load_all(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if document and document.get("kind") == "CustomResourceDefinition":
                metadata = document["metadata"]
                mark = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
                metadata["annotations"] = {**(metadata.get("annotations") or {}), CONTENT: mark}
                # JSON: the API server reads it several times faster
                (target / f"{metadata['name']}.json").write_text(json.dumps(document))


def install(task: Task, cluster: Cluster, files: list[Path]) -> None:
    """Apply the CRDs in these JSON files, and wait until the API server serves them. Raises ProviderError."""
    if files:
        task.status(f"applying {len(files)} CRDs")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda file: _install(task, cluster, file), files))


def _install(task: Task, cluster: Cluster, file: Path) -> None:
    path = f"{PATH}/{file.stem}"
    try:
        live = _defined(task, cluster, file, path)
        for _ in range(600):  # a tenth of a second each
            if missing((live.get("status") or {}).get("conditions"), live, ("Established",)) is None:
                return
            if task.cancelled.wait(0.1):
                raise Cancelled("interrupted while CRDs were being established")
            live = cluster.rest.request("GET", path)
    except ApiError as error:
        raise ProviderError(f"CustomResourceDefinition {file.stem}: {error.message}") from None
    raise ProviderError(f"CustomResourceDefinition {file.stem} is not established after 60 s.")


def _defined(task: Task, cluster: Cluster, file: Path, path: str) -> Json:
    """The CRD as the file has it: made, left alone, or applied over an older one."""
    rest, body, cancelled = cluster.rest, file.read_bytes(), task.cancelled
    try:
        # An apply of a CRD costs the API server many times what its creation does.
        return rest.request("POST", PATH, query={"fieldManager": MANAGER}, body=body, cancelled=cancelled)
    except ApiError as error:
        if error.code != 409:
            raise
    live = rest.request("GET", path)
    wanted = annotation(json.loads(body), CONTENT)
    if annotation(live, CONTENT) == wanted:
        return live
    query = {"fieldManager": MANAGER, "force": "true"}
    return rest.request("PATCH", path, query=query, body=body, content_type=APPLY, cancelled=cancelled)
