"""Which kinds the API server has, and where."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sandbox.provider.kubernetes.rest import ApiError, Rest, segment

# Everything in two requests instead of one a group (KEP-3352, stable since 1.30).
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

Kinds = dict[tuple[str, str], "Kind"]


@dataclass(frozen=True)
class Kind:
    """One kind of one API version, e.g. apps/v1 Deployment."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """The collection's path, or one object's."""
        root = f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"
        if self.namespaced:
            root += f"/namespaces/{segment(namespace or 'default')}"
        return f"{root}/{self.plural}" + (f"/{segment(name)}" if name else "")


class Discovery:
    """The server's kinds, read once and again when one is missing."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._kinds: Kinds | None = None
        self._lock = threading.Lock()

    def find(self, api_version: str, kind: str, *, fresh: bool = False) -> Kind | None:
        """The kind, or None. `fresh` asks the server again if it is not among those already known."""
        with self._lock:
            asked = self._kinds is None
            if self._kinds is None:
                self._kinds = self._read()
            found = self._kinds.get((api_version, kind))
            if found is None and fresh and not asked:
                self._kinds = self._read()
                found = self._kinds.get((api_version, kind))
            return found

    def groups(self, kind: str) -> list[str]:
        """The API versions that have a kind of this name, for error messages."""
        return sorted(version for version, name in self._kinds or {} if name == kind)

    def _read(self) -> Kinds:
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda p: self._rest.request("GET", p, accept=AGGREGATED), ("/api", "/apis")))
        kinds: Kinds = {}
        for answer in answers:
            if answer.get("kind") != "APIGroupDiscoveryList":
                raise ApiError(406, "The API server is older than Kubernetes 1.30 and has no aggregated discovery.")
            for group in answer.get("items", []):
                _group(group, kinds)
        return kinds


def _group(group: dict[str, Any], kinds: Kinds) -> None:
    name = group["metadata"].get("name", "")
    for version in group.get("versions", []):
        api_version = f"{name}/{version['version']}" if name else version["version"]
        for resource in version.get("resources", []):
            own = resource.get("responseKind") or {}
            kind = own.get("kind")
            if kind and not (own.get("group") and own["group"] != name):
                kinds[api_version, kind] = Kind(
                    api_version, kind, resource["resource"], resource.get("scope") == "Namespaced"
                )
