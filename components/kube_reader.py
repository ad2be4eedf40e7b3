"""Reading a Kubernetes API before Pulumi is asked to change anything: a kubeconfig's access, and plain GETs.

Only the standard library and PyYAML: the official Kubernetes client costs more start-up time than a whole preview.
"""

import base64
import binascii
import http.client
import json
import os
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

Json = dict[str, Any]
TIMEOUT = 15.0  # seconds for one answer
PLUGIN_TIMEOUT = 60.0  # seconds for a credential plugin, which may ask an identity provider


class KubeError(Exception):
    """The cluster cannot be read; the text says why, without naming a setting."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """How an API server is reached, and as whom."""

    server: str
    authority: str | None = None  # PEM
    verify: bool = True
    server_name: str | None = None  # what its certificate must be for, where that is not the address
    certificate: str | None = None  # PEM
    key: str | None = None  # PEM
    token: str | None = None


def parse(text: str, context: str | None = None) -> Access:
    """The access that a kubeconfig's `context` (else its current one) describes. Raises KubeError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        raise KubeError("the kubeconfig is not YAML") from None
    if not isinstance(document, dict):
        raise KubeError("the kubeconfig is empty")
    contexts, clusters, users = (_named(document, kind) for kind in ("context", "cluster", "user"))
    chosen = context or document.get("current-context")
    if chosen not in contexts:
        raise KubeError(f"the kubeconfig has no context {chosen!r}; there is {', '.join(sorted(contexts)) or 'none'}")
    where = clusters.get(str(contexts[chosen].get("cluster")), {})
    user = users.get(str(contexts[chosen].get("user")), {})
    if not isinstance(where.get("server"), str):
        raise KubeError(f"the kubeconfig names no server for the context {chosen!r}")
    if "exec" in user:
        user = {**user, **_executed(user["exec"])}
    return Access(
        server=where["server"].rstrip("/"),
        authority=_pem(where, "certificate-authority"),
        verify=not where.get("insecure-skip-tls-verify"),
        server_name=where.get("tls-server-name"),
        certificate=_pem(user, "client-certificate"),
        key=_pem(user, "client-key"),
        token=user.get("token") or (_text(user["tokenFile"]).strip() if user.get("tokenFile") else None),
    )


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
        context = ssl.create_default_context(cadata=access.authority)
        if not access.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if access.certificate and access.key:
            # The ssl module reads certificates from files only.
            with tempfile.NamedTemporaryFile("w", prefix="llmops-") as file:
                file.write(f"{access.certificate}\n{access.key}")
                file.flush()
                context.load_cert_chain(file.name)
    except (ssl.SSLError, ValueError) as error:
        raise KubeError(f"the kubeconfig's certificates are not usable ({error})") from None
    return context


def _named(document: Json, kind: str) -> dict[str, Json]:
    try:
        return {entry["name"]: entry.get(kind) or {} for entry in document.get(f"{kind}s") or []}
    except (TypeError, KeyError, AttributeError):
        raise KubeError(f"the kubeconfig has a malformed list of {kind}s") from None


def _pem(entry: Json, name: str) -> str | None:
    if data := entry.get(f"{name}-data"):
        try:
            return base64.b64decode(str(data)).decode()
        except (binascii.Error, ValueError):
            raise KubeError(f"the kubeconfig has {name}-data that is not base64") from None
    return _text(entry[name]) if entry.get(name) else None


def _text(path: str) -> str:
    try:
        return Path(path).expanduser().read_text()
    except OSError as error:
        raise KubeError(f"the kubeconfig names {path}, which cannot be read ({error.strerror})") from None


def _executed(plugin: Json) -> Json:
    """The credentials that a client-go credential plugin prints (client.authentication.k8s.io)."""
    command = [str(plugin.get("command")), *(str(word) for word in plugin.get("args") or [])]
    extra = {entry["name"]: entry["value"] for entry in plugin.get("env") or []}
    request = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(request)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=PLUGIN_TIMEOUT, check=True)
        status = json.loads(done.stdout)["status"]
    except FileNotFoundError:
        raise KubeError(f"the kubeconfig needs {command[0]}, which is not installed") from None
    except (subprocess.SubprocessError, ValueError, KeyError, TypeError):
        raise KubeError(f"the kubeconfig's credentials come from {command[0]}, which gave none") from None
    pem = {
        f"{ours}-data": base64.b64encode(status[theirs].encode()).decode()
        for ours, theirs in (
            ("client-certificate", "clientCertificateData"),
            ("client-key", "clientKeyData"),
        )
        if status.get(theirs)
    }
    return {"token": status.get("token"), **pem}
