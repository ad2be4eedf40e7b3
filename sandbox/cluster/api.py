"""The little that the sandbox itself has to say to the API server."""

import json
from pathlib import Path
from typing import Any

import urllib3

from sandbox.cluster.errors import ClusterError


class Api:
    """The API server as the administrator. Connections are kept; every call has a deadline of 5 s."""

    def __init__(self, server: str, pki: Path) -> None:
        self._server = server
        self._pool = urllib3.PoolManager(
            ca_certs=str(pki / "ca.crt"),
            cert_file=str(pki / "admin.crt"),
            key_file=str(pki / "admin.key"),
            timeout=urllib3.Timeout(connect=1, read=5),
            retries=False,
        )

    def ready(self) -> bool:
        """Whether /readyz answers 200 now."""
        try:
            return self._pool.request("GET", self._server + "/readyz").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def get(self, path: str) -> dict[str, Any] | None:
        """An object; None when there is none or the API server does not answer."""
        try:
            answer = self._pool.request("GET", self._server + path)
        except urllib3.exceptions.HTTPError:
            return None
        return answer.json() if answer.status == 200 else None

    def list(self, path: str) -> list[dict[str, Any]]:
        """The objects of a collection. Raises ClusterError with the API server's own message."""
        return self._call("GET", path).get("items") or []

    def apply(self, path: str, manifest: dict[str, Any]) -> None:
        """Server-side apply. Raises ClusterError with the API server's own message."""
        query = "?fieldManager=llmops-sandbox&force=true"
        self._call("PATCH", path + query, manifest, "application/apply-patch+yaml")

    def create(self, path: str, manifest: dict[str, Any]) -> None:
        """Make an object in a collection. Raises ClusterError with the API server's own message."""
        self._call("POST", path, manifest)

    def merge(self, path: str, change: dict[str, Any]) -> None:
        """Change an object (RFC 7386). Raises ClusterError with the API server's own message."""
        self._call("PATCH", path, change, "application/merge-patch+json")

    def delete(self, path: str, grace_seconds: int | None = None) -> None:
        """Delete an object; success when it is gone already. Raises ClusterError with the API server's own message."""
        options = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        self._call("DELETE", path, options, missing=True)

    def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        content_type: str = "application/json",
        *,
        missing: bool = False,
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body)
        try:
            answer = self._pool.request(method, self._server + path, body=data, headers={"Content-Type": content_type})
        except urllib3.exceptions.HTTPError as error:
            raise ClusterError(f"The API server at {self._server} does not answer ({error}): see its log.") from None
        if answer.status == 404 and missing:
            return {}
        if answer.status >= 300:
            raise ClusterError(f"The API server refused {path}: {answer.json().get('message', answer.status)}")
        return answer.json()
