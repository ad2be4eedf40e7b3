"""Reading a Kubernetes API before Pulumi is asked to change anything: plain GETs.

Only the standard library: the official Kubernetes client costs more start-up time than a whole preview.
"""

import http.client
import json
import ssl
from urllib.parse import urlsplit

from components.kubeconfig import Access, Json, KubeconfigError, KubeError, tls

TIMEOUT = 15.0  # seconds for one answer


class KubeReader:
    """GETs of one API server."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._tls = _tls(access) if access.server.startswith("https") else None

    def get(self, path: str) -> Json | None:
        """One object or list; None where the server has none. Raises KubeError."""
        parts = urlsplit(self._access.server)
        host, port = parts.hostname or "", parts.port
        connection = (
            http.client.HTTPConnection(host, port or 80, timeout=TIMEOUT)
            if self._tls is None
            else _Connection(host, port or 443, self._tls, self._access.server_name or host)
        )
        headers = {"Accept": "application/json", "User-Agent": "llmops-preflight"}
        if self._access.token:
            headers["Authorization"] = f"Bearer {self._access.token}"
        try:
            connection.request("GET", parts.path + path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
            raise KubeError(f"the API server at {self._access.server} does not answer ({reason})") from None
        finally:
            connection.close()
        if answer.status == 404:
            return None
        if answer.status in (401, 403):
            what = "does not accept the kubeconfig's user" if answer.status == 401 else f"does not let it read {path}"
            raise KubeError(f"the API server at {self._access.server} {what}")
        if answer.status >= 400:
            raise KubeError(f"the API server at {self._access.server} answers {path} with {answer.status}")
        try:
            return json.loads(body)
        except ValueError:
            raise KubeError(f"what answers at {self._access.server} is no Kubernetes API server") from None

    def items(self, path: str) -> list[Json]:
        """The objects of a list; none where the server does not know the kind. Raises KubeError."""
        return (self.get(path) or {}).get("items") or []


class _Connection(http.client.HTTPSConnection):
    """HTTPS whose certificate may be for another name than the address."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, name: str) -> None:
        super().__init__(host, port, timeout=TIMEOUT, context=context)
        self._tls, self._name = context, name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)


def _tls(access: Access) -> ssl.SSLContext:
    try:
        return tls(access)
    except (ssl.SSLError, ValueError) as error:
        raise KubeconfigError(f"holds certificates that are not usable ({error})") from None
