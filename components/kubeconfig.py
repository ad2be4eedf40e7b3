"""A kubeconfig's content as what a connection needs, read as kubectl reads it.

Only the standard library, and PyYAML where the text is not JSON: it is read before anything else starts.
"""

import base64
import binascii
import json
import os
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
PLUGIN_TIMEOUT = 60.0  # seconds for a credential plugin, which may ask an identity provider


class KubeError(Exception):
    """The cluster cannot be read; the text says why, without naming a setting."""


class KubeconfigError(KubeError):
    """The kubeconfig cannot be used. `why` is the rest of a sentence that begins with "the kubeconfig"."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the kubeconfig {why}")
        self.why = why


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one context of a kubeconfig leads to: the cluster's and the user's own maps."""

    context: str
    namespace: str
    cluster: Json
    user: Json

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self.cluster["server"]).rstrip("/")


@dataclass(frozen=True, kw_only=True)
class Access:
    """How an API server is reached, and as whom. Certificates and the key are PEM."""

    server: str
    authority: bytes | None = None
    verify: bool = True
    server_name: str | None = None  # what its certificate must be for, where that is not the address
    certificate: bytes | None = None
    key: bytes | None = None
    token: str | None = None
    basic: tuple[str, str] | None = None


def parse(text: str, context: str | None = None) -> Access:
    """The access that a kubeconfig's `context` (else its current one) describes. Raises KubeconfigError."""
    return access(entry(text, context))


def entry(text: str, context: str | None = None, cluster: str | None = None) -> Entry:
    """The entry that `context` (else the current one) names, of another `cluster` if given. Raises KubeconfigError."""
    document = _document(text)
    contexts, clusters, users = (_named(document, kind) for kind in ("context", "cluster", "user"))
    chosen = context or document.get("current-context")
    if not chosen:
        raise KubeconfigError("names no current-context, and no other is chosen")
    where = _one(contexts, "context", chosen)
    found = _one(clusters, "cluster", cluster or where.get("cluster"))
    if not isinstance(found.get("server"), str):
        raise KubeconfigError(f"names no server for the context {chosen!r}")
    return Entry(
        context=str(chosen),
        namespace=where.get("namespace") or "default",
        cluster=found,
        user=_one(users, "user", where["user"]) if where.get("user") else {},
    )


def access(entry: Entry) -> Access:
    """What an entry holds and names: files are read, and a credential plugin is run. Raises KubeconfigError."""
    where, user = entry.cluster, entry.user
    if "exec" in user:
        user = {**user, **_executed(user["exec"])}
    return Access(
        server=entry.server,
        authority=_pem(where, "certificate-authority"),
        verify=not where.get("insecure-skip-tls-verify"),
        server_name=where.get("tls-server-name"),
        certificate=_pem(user, "client-certificate"),
        key=_pem(user, "client-key"),
        token=user.get("token") or (_file(user["tokenFile"]).decode().strip() if user.get("tokenFile") else None),
        basic=(str(user["username"]), str(user.get("password", ""))) if "username" in user else None,
    )


def tls(access: Access) -> ssl.SSLContext:
    """The TLS side of an access. Raises ssl.SSLError or ValueError where a certificate or the key is none."""
    context = ssl.create_default_context(cadata=access.authority.decode() if access.authority else None)
    if not access.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.certificate and access.key:
        # The ssl module reads certificates from files only: an anonymous one in memory, never on a disk.
        descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(access.certificate + b"\n" + access.key)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    return context


def _document(text: str) -> Json:
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except ValueError as error:
            raise KubeconfigError(f"is not JSON ({error})") from None
    else:
        import yaml  # a third of a provider's start; a JSON kubeconfig does without

        try:
            document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError as error:
            place = getattr(error, "problem_mark", None)
            raise KubeconfigError(f"is not YAML{f' (line {place.line + 1})' if place else ''}") from None
    if not isinstance(document, dict):
        raise KubeconfigError("is empty" if document is None else "holds no map")
    return document


def _named(document: Json, kind: str) -> dict[str, Json]:
    try:
        return {entry["name"]: entry.get(kind) or {} for entry in document.get(f"{kind}s") or []}
    except (TypeError, KeyError, AttributeError):
        raise KubeconfigError(f"has a malformed list of {kind}s") from None


def _one(entries: dict[str, Json], kind: str, name: object) -> Json:
    if name not in entries:
        raise KubeconfigError(f"has no {kind} {name!r}; there is {', '.join(sorted(entries)) or 'none'}")
    return entries[str(name)]


def _pem(entry: Json, name: str) -> bytes | None:
    if data := entry.get(f"{name}-data"):
        try:
            return base64.b64decode(data) if not str(data).startswith("-----") else data.encode()
        except (binascii.Error, ValueError):
            raise KubeconfigError(f"has {name}-data that is not base64") from None
    return _file(entry[name]) if entry.get(name) else None


def _file(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise KubeconfigError(f"names {path}, which cannot be read ({error.strerror})") from None


def _executed(plugin: Json) -> Json:
    """The credentials that a client-go credential plugin prints (client.authentication.k8s.io)."""
    command = [str(plugin.get("command")), *(str(word) for word in plugin.get("args") or [])]
    extra = {entry["name"]: entry["value"] for entry in plugin.get("env") or []}
    request = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(request)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PLUGIN_TIMEOUT, check=True
        )
        status = json.loads(done.stdout)["status"]
    except FileNotFoundError:
        raise KubeconfigError(f"needs {command[0]}, which is not installed") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        raise KubeconfigError(f"has credentials by {command[0]}, which failed: {last[0]}") from None
    except (ValueError, KeyError, TypeError, subprocess.TimeoutExpired):
        raise KubeconfigError(f"has credentials by {command[0]}, which gave none") from None
    found = {"token": status.get("token")}
    for ours, theirs in (("client-certificate", "clientCertificateData"), ("client-key", "clientKeyData")):
        if status.get(theirs):
            found[f"{ours}-data"] = base64.b64encode(status[theirs].encode()).decode()
    return found
