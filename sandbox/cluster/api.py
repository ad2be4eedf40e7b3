"""The little that `start` itself has to say to the API server."""

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

    def apply(self, path: str, manifest: dict[str, Any]) -> None:
        """Server-side apply. Raises ClusterError with the API server's own message."""
        answer = self._pool.request(
            "PATCH",
            f"{self._server}{path}?fieldManager=llmops-sandbox&force=true",
            body=json.dumps(manifest),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
        if answer.status >= 300:
            raise ClusterError(f"The API server refused {path}: {answer.json().get('message', answer.status)}")
