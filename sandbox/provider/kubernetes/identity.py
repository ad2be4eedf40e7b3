"""Which object a resource stands for: its kind, its name, and the mark by which we know our own."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from sandbox.provider.contract import Naming, ProviderError
from sandbox.provider.values import UNKNOWN, Properties

AUTONAMED = "pulumi.com/autonamed"
REFUSED_SUFFIXES = {
    "Patch": "patches an object that somebody else owns; the sandbox's provider does that with Nodes only",
    "List": "is a list; declare its objects one by one",
}
# Kinds that end like a refused type and are none.
WHOLE = frozenset({"EnvoyPatchPolicy"})
RESERVED = ("helm.sh/", "yaml", "kustomize")


@dataclass(frozen=True)
class Reference:
    """One object of a cluster."""

    api_version: str
    kind: str
    name: str
    namespace: str | None

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"

    @property
    def identifier(self) -> str:
        """The resource's id in Pulumi's state: `namespace/name`, or `name`."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def kind_of(token: str) -> tuple[str, str]:
    """(apiVersion, kind) of `kubernetes:apps/v1:Deployment`. Raises ProviderError for what is no object."""
    _, _, rest = token.partition(":")
    version, _, kind = rest.rpartition(":")
    if not version or not kind or version.startswith(RESERVED):
        raise ProviderError(
            f"{token} has no rule in the sandbox's Kubernetes provider: it applies objects and helm.sh/v3 Releases."
        )
    for suffix, why in REFUSED_SUFFIXES.items():
        if kind.endswith(suffix) and kind != suffix and kind not in WHOLE:
            raise ProviderError(f"{token} {why}.")
    return version.removeprefix("core/"), kind


def reference(token: str, inputs: Properties, identifier: str = "") -> Reference:
    """The object that inputs (or, without them, an id) describe."""
    api_version, kind = kind_of(token)
    given = inputs.get("apiVersion")
    metadata = inputs.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    namespace, _, name = identifier.rpartition("/")
    return Reference(
        given if isinstance(given, str) else api_version,
        kind,
        _text(metadata.get("name")) or name,
        _text(metadata.get("namespace")) or namespace or None,
    )


def manager_of(urn: str, state: Properties | None = None) -> str:
    """The field manager of a resource's applies: it marks the object as this resource's own."""
    kept = (state or {}).get("__fieldManager")
    return kept if isinstance(kept, str) else "pulumi-" + hashlib.sha256(urn.encode()).hexdigest()[:12]


def applied_by(live: dict[str, Any], manager: str) -> bool:
    """Whether an object was applied by this manager, e.g. by an update that was interrupted."""
    entries = live.get("metadata", {}).get("managedFields") or []
    return any(e.get("manager") == manager and e.get("operation") == "Apply" for e in entries)


def annotation(properties: dict[str, Any], name: str) -> str | None:
    """One annotation's text."""
    metadata = properties.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    value = annotations.get(name) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else None


def named(metadata: dict[str, Any], old: dict[str, Any], name: str, naming: Naming) -> dict[str, Any]:
    """The metadata with a name: the given one, the one it already has, or `<resource>-<7 hex digits>`."""
    if metadata.get("name"):
        return metadata
    prefix = metadata.get("generateName")
    marks = {**(metadata.get("annotations") or {}), AUTONAMED: "true"}
    kept = old.get("name") if (old.get("annotations") or {}).get(AUTONAMED) == "true" else None
    if not kept:
        seed = naming.seed or secrets.token_bytes(16)
        suffix = hashlib.sha256(seed).hexdigest()[:7]
        kept = f"{prefix}{suffix}" if isinstance(prefix, str) else naming.proposed or f"{name.lower()}-{suffix}"
    rest = {key: value for key, value in metadata.items() if key != "generateName"}
    return {**rest, "name": kept, "annotations": marks}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value is not UNKNOWN and value else None
