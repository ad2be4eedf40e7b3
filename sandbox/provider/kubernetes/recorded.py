"""Releases of charts that no Go module holds, in a pretended cluster: recorded as helm records them, never rendered.

The record is helm's own Secret, so reading, comparing, upgrading and uninstalling a release is the same for both
kinds. None of the chart's objects exist; the APIs that it would bring do, as far as they are known here, so that the
program's own objects of those kinds are checked.
"""

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.provider.contract import ProviderError, Task
from sandbox.provider.kubernetes import definitions, helm
from sandbox.provider.kubernetes.charts import name_of
from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.helm import Stored
from sandbox.provider.kubernetes.rest import ApiError
from sandbox.provider.values import Properties

OWN = Path(__file__).with_name("crds")


@dataclass(frozen=True)
class Source:
    """Where the CRDs of a chart are: `paths` in a Go module, or, without one, in our own folder."""

    paths: tuple[str, ...]
    module: str = ""

    def files(self) -> list[Path]:
        """The YAML files."""
        root = definitions.module(self.module) if self.module else OWN
        found = [root / path for path in self.paths]
        return [file for path in found for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]


PROMETHEUS_OPERATOR = Source(
    ("example/prometheus-operator-crd",), module="github.com/prometheus-operator/prometheus-operator"
)
FEATURE_DISCOVERY = Source(("node-feature-rule.yaml",))
# Chart → the CRDs that it brings. Charts that are not here bring none that we use.
APIS: dict[str, tuple[Source, ...]] = {
    "gpu-operator": (Source(("cluster-policy.yaml",)), FEATURE_DISCOVERY),
    "network-operator": (Source(("nic-cluster-policy.yaml",)), FEATURE_DISCOVERY),
    "node-feature-discovery": (FEATURE_DISCOVERY,),
    "kube-prometheus-stack": (PROMETHEUS_OPERATOR,),
    "prometheus-operator-crds": (PROMETHEUS_OPERATOR,),
}
# OLM package → the same, for Subscriptions on OpenShift.
PACKAGES: dict[str, tuple[Source, ...]] = {
    "gpu-operator-certified": (Source(("cluster-policy.yaml",)),),
    "nvidia-network-operator": (Source(("nic-cluster-policy.yaml",)),),
    "nfd": (Source(("node-feature-discovery.yaml",)), FEATURE_DISCOVERY),
}


def apis(sources: tuple[Source, ...]) -> list[Path]:
    """The CRDs as JSON files, ready to install."""
    files = [file for source in sources for file in source.files()]
    if not files:
        return []
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    folder = definitions.once(f"crds-{digest.hexdigest()[:12]}", lambda part: definitions.write(files, part))
    return sorted(folder.glob("*.json"))


def remark(inputs: Properties) -> str:
    """What a person must know of such a release."""
    chart, version = inputs["chart"], inputs["version"]
    kinds = ", ".join(file.stem for file in apis(APIS.get(name_of(str(chart)), ())))
    return (
        f"{chart} {version}: recorded, not rendered: no Go module holds this chart, so none of its objects exist in "
        f"this pretended cluster and its values are not checked; {f'it has its APIs {kinds}' if kinds else 'no APIs'}."
    )


def install(task: Task, cluster: Cluster, inputs: Properties) -> Stored:
    """Install the chart's APIs and write the next revision's record. Raises ProviderError."""
    name, namespace = str(inputs["name"]), str(inputs["namespace"])
    if not inputs.get("skipCrds"):
        definitions.install(task, cluster, apis(APIS.get(name_of(str(inputs["chart"])), ())))
    before = helm.stored(cluster, namespace, name)
    revision = (before.revision if before else 0) + 1
    try:
        if inputs.get("createNamespace"):
            _namespace(cluster, namespace)
        _write(cluster, namespace, release(inputs, revision))
        if before is not None:
            # One revision is kept: there is nothing that could be rolled back.
            helm.forget(cluster, namespace, before)
    except ApiError as error:
        raise ProviderError(f"Release {namespace}/{name}: {error.message}") from None
    task.warn(remark(inputs))
    found = helm.stored(cluster, namespace, name)
    if found is None:
        raise ProviderError(f"Release {namespace}/{name}: its record is gone; somebody else removes Secrets there.")
    return found


def subscribe(task: Task, cluster: Cluster, package: str) -> None:
    """What a Subscription brings on OpenShift: the operator's APIs. Raises ProviderError."""
    files = apis(PACKAGES.get(package, ()))
    definitions.install(task, cluster, files)
    kinds = ", ".join(file.stem for file in files)
    task.warn(
        f"operator {package}: recorded, not installed: OLM does not run in a pretended cluster; "
        f"{f'it has its APIs {kinds}' if kinds else 'it brings no APIs that are known here'}."
    )


def release(inputs: Properties, revision: int) -> dict[str, Any]:
    """Helm's record (helm.sh/helm/v3/pkg/release, storage version 1)."""
    now = datetime.now(UTC).isoformat()
    return {
        "name": inputs["name"],
        "namespace": inputs["namespace"],
        "version": revision,
        "info": {
            "first_deployed": now,
            "last_deployed": now,
            "deleted": "",
            "description": "recorded, not rendered",
            "status": "deployed",
        },
        "chart": {
            "metadata": {"apiVersion": "v2", "name": name_of(str(inputs["chart"])), "version": inputs["version"]},
            "templates": [],
            "values": {},
        },
        "config": inputs.get("values") or {},
        "manifest": "",
        "hooks": [],
    }


def _write(cluster: Cluster, namespace: str, record: dict[str, Any]) -> None:
    name, revision = record["name"], record["version"]
    packed = base64.b64encode(gzip.compress(json.dumps(record).encode()))
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": f"sh.helm.release.v1.{name}.v{revision}",
            "labels": {"owner": "helm", "name": name, "status": "deployed", "version": str(revision)},
        },
        "data": {"release": base64.b64encode(packed).decode()},
    }
    cluster.rest.request("POST", f"/api/v1/namespaces/{namespace}/secrets", body=body)


def _namespace(cluster: Cluster, name: str) -> None:
    try:
        cluster.rest.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
    except ApiError as error:
        if error.code != 409:
            raise
