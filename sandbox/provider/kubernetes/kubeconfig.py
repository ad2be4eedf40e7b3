"""A kubeconfig's content as what a connection needs."""

import base64
import binascii
import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandbox.provider.contract import ProviderError

# What hands out credentials for EKS and GKE; a pretended cluster's come from the stand-in instead.
CLOUD_PLUGINS = ("aws", "gke-gcloud-auth-plugin")
# What a person changes to point the program at another cluster.
SETTING = "llmops:sandbox.kubeconfig"


@dataclass(frozen=True, kw_only=True)
class Access:
    """One cluster's address and how to prove who we are to it."""

    server: str
    context: str
    namespace: str = "default"
    authority: bytes | None = None
    verify: bool = True
    server_name: str | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    token: str | None = None
    basic: tuple[str, str] | None = None
    content: str = ""  # the whole kubeconfig, for helm


def text_of(value: str) -> str:
    """A kubeconfig's content: `value` itself, or what the file it names holds. Raises ProviderError."""
    if "\n" in value or value.lstrip().startswith("{"):
        return value
    path = Path(value).expanduser()
    try:
        return path.read_text()
    except OSError as error:
        raise ProviderError(
            f"The kubeconfig {path} cannot be read ({error.strerror}): set {SETTING} to your cluster's file."
        ) from None


def default_text() -> str:
    """What kubectl would use: KUBECONFIG, else ~/.kube/config. Raises ProviderError."""
    first = next((p for p in os.environ.get("KUBECONFIG", "").split(os.pathsep) if p), "~/.kube/config")
    return text_of(first)


def parse(text: str, context: str | None = None, cluster: str | None = None) -> Access:
    """The access that `context` (else the current one) describes. Raises ProviderError with one sentence."""
    document = _document(text)
    contexts, clusters, users = (_named(document, kind) for kind in ("context", "cluster", "user"))
    chosen = context or document.get("current-context")
    if not chosen:
        raise _unusable("names no current-context; set `context` on the provider")
    if chosen not in contexts:
        raise _unusable(f"has no context {chosen!r}; there is {', '.join(sorted(contexts)) or 'none'}")
    cluster_name = cluster or contexts[chosen].get("cluster")
    if cluster_name not in clusters:
        raise _unusable(f"has no cluster {cluster_name!r}; there is {', '.join(sorted(clusters)) or 'none'}")
    where = clusters[cluster_name]
    if not isinstance(where.get("server"), str):
        raise _unusable(f"names no server for cluster {cluster_name!r}")
    user_name = contexts[chosen].get("user")
    if user_name and user_name not in users:
        raise _unusable(f"has no user {user_name!r}; there is {', '.join(sorted(users)) or 'none'}")
    user = users.get(user_name or "", {})
    pretended = _pretended(user, where["server"])
    if pretended is None and "exec" in user:
        user = {**user, **_executed(user["exec"])}
    basic = (str(user["username"]), str(user.get("password", ""))) if "username" in user else None
    found = Access(
        server=where["server"].rstrip("/"),
        context=str(chosen),
        namespace=contexts[chosen].get("namespace") or "default",
        authority=_bytes(where, "certificate-authority"),
        verify=not where.get("insecure-skip-tls-verify"),
        server_name=where.get("tls-server-name"),
        certificate=_bytes(user, "client-certificate"),
        key=_bytes(user, "client-key"),
        token=user.get("token") or _token_file(user.get("tokenFile")),
        basic=basic,
        content=text,
    )
    if pretended is None:
        return found
    # The address and its authority stay those of the kubeconfig: a wrong one must fail here as it would there.
    own = parse(pretended)
    return replace(found, certificate=own.certificate, key=own.key, content=own.content, context=own.context)


def _pretended(user: dict[str, Any], server: str) -> str | None:
    """The stand-in's kubeconfig for a cloud's user of a pretended cluster."""
    if Path(str((user.get("exec") or {}).get("command"))).name not in CLOUD_PLUGINS:
        return None
    from sandbox import standin  # most kubeconfigs need it not

    return standin.credentials(server)


def _document(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except ValueError as error:
            raise _unusable(f"is not JSON ({error})") from None
    else:
        import yaml  # a third of this process's start; a JSON kubeconfig does without

        try:
            document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError as error:
            place = getattr(error, "problem_mark", None)
            raise _unusable(f"is not YAML{f' (line {place.line + 1})' if place else ''}") from None
    if not isinstance(document, dict) or "clusters" not in document:
        raise _unusable("is not a kubeconfig: it has no clusters")
    return document


def _named(document: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    try:
        return {entry["name"]: entry.get(kind) or {} for entry in document.get(f"{kind}s") or []}
    except (TypeError, KeyError):
        raise _unusable(f"has a malformed list of {kind}s") from None


def _bytes(entry: dict[str, Any], name: str) -> bytes | None:
    if data := entry.get(f"{name}-data"):
        try:
            return base64.b64decode(data, validate=False) if not str(data).startswith("-----") else data.encode()
        except (binascii.Error, ValueError):
            raise _unusable(f"has {name}-data that is not base64") from None
    if path := entry.get(name):
        try:
            return Path(path).expanduser().read_bytes()
        except OSError as error:
            raise _unusable(f"names {path}, which cannot be read ({error.strerror})") from None
    return None


def _token_file(path: str | None) -> str | None:
    if not path:
        return None
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise _unusable(f"names {path}, which cannot be read ({error.strerror})") from None


def _executed(plugin: dict[str, Any]) -> dict[str, Any]:
    """The credentials that a client-go exec plugin prints (`aws eks get-token`, `gke-gcloud-auth-plugin`)."""
    command = [str(plugin.get("command")), *(plugin.get("args") or [])]
    extra = {entry["name"]: entry["value"] for entry in plugin.get("env") or []}
    request = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(request)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        status = json.loads(done.stdout)["status"]
    except FileNotFoundError:
        raise _unusable(f"needs {command[0]}, which is not installed") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        raise _unusable(f"has credentials by {command[0]}, which failed: {last[0]}") from None
    except (ValueError, KeyError, TypeError, subprocess.TimeoutExpired):
        raise _unusable(f"has credentials by {command[0]}, which gave none") from None
    found = {"token": status.get("token")}
    for ours, theirs in (("client-certificate", "clientCertificateData"), ("client-key", "clientKeyData")):
        if status.get(theirs):
            found[f"{ours}-data"] = base64.b64encode(status[theirs].encode()).decode()
    return found


def _unusable(why: str) -> ProviderError:
    return ProviderError(f"The kubeconfig {why}: check {SETTING}.")
