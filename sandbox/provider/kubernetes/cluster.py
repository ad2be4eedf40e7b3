"""One configured cluster: its API, its kinds, and the provider's settings for it."""

import time
from dataclasses import dataclass, field
from functools import cached_property

from sandbox.provider.contract import ProviderError, Task
from sandbox.provider.kubernetes.discovery import Discovery, Kind
from sandbox.provider.kubernetes.identity import Reference
from sandbox.provider.kubernetes.mark import MARK
from sandbox.provider.kubernetes.rest import ApiError, Cancelled, Json, Rest
from sandbox.provider.values import Properties

APPLY = "application/apply-patch+yaml"  # JSON is YAML
KIND_PATIENCE = 30.0  # seconds for a CRD that another resource of this update installs
NAMESPACE_PATIENCE = 20.0  # seconds for a namespace that this update makes meanwhile


@dataclass(frozen=True, kw_only=True)
class Options:
    """The provider's settings, beside the kubeconfig."""

    namespace: str | None = None
    delete_unreachable: bool = False
    patch_force: bool = False
    upsert: bool = False
    config_map_mutable: bool = False
    secret_mutable: bool = False


@dataclass(kw_only=True)
class Cluster:
    """Everything that the rules need of a cluster."""

    rest: Rest
    options: Options
    discovery: Discovery = field(init=False)

    def __post_init__(self) -> None:
        self.discovery = Discovery(self.rest)

    @property
    def namespace(self) -> str:
        """Where objects without a namespace of their own go."""
        return self.options.namespace or self.rest.access.namespace

    @cached_property
    def pretended(self) -> bool:
        """Whether it is one of the stand-in's: a control plane with kwok's nodes and no other controllers."""
        try:
            return bool(self.rest.request("GET", MARK))
        except ApiError:
            return False  # there is none, or it is not ours to read

    def get(self, kind: Kind, namespace: str | None, name: str) -> Json | None:
        """One object, or None."""
        try:
            return self.rest.request("GET", kind.path(namespace, name))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def list(self, api_version: str, kind: str, namespace: str | None, selector: str = "") -> list[Json]:
        """The objects of a kind in a namespace; none where the kind is missing or forbidden."""
        known = self.discovery.find(api_version, kind)
        if known is None:
            return []
        try:
            query = {"labelSelector": selector} if selector else {}
            return self.rest.request("GET", known.path(namespace), query=query).get("items") or []
        except ApiError:
            return []

    def apply(self, task: Task, kind: Kind, body: Properties, manager: str, *, dry: bool, force: bool) -> Json:
        """Server-side apply. Raises ApiError with the server's words."""
        metadata = body["metadata"]
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": "true" if force else "false"}
        if dry:
            query["dryRun"] = "All"
        return self.rest.request(
            "PATCH",
            kind.path(metadata.get("namespace"), metadata["name"]),
            query=query,
            body=body,
            content_type=APPLY,
            warn=None if dry else task.warn,
            cancelled=task.cancelled,
        )

    def kind(self, task: Task, reference: Reference) -> Kind | None:
        """The object's kind; None in a preview where the server does not have it yet.

        Raises ProviderError when it does not come.
        """
        found = self.discovery.find(reference.api_version, reference.kind, fresh=True)
        deadline = time.monotonic() + KIND_PATIENCE
        while found is None and not task.preview:
            if time.monotonic() > deadline:
                others = self.discovery.groups(reference.kind)
                hint = f"it has {', '.join(others)}" if others else "install its CRD first, and depend on that"
                raise ProviderError(
                    f"{reference}: the API server has no kind {reference.kind} in {reference.api_version}; {hint}."
                )
            task.status(f"waiting for the API server to know {reference.kind} ({reference.api_version})")
            if task.cancelled.wait(1.0):
                raise Cancelled(f"{reference}: interrupted while waiting for its CRD.")
            found = self.discovery.find(reference.api_version, reference.kind, fresh=True)
        return found
