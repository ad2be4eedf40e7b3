"""The `kubernetes` package: its configuration, and which rules a type token has."""

import threading
from typing import Any

from sandbox.provider.contract import Changes, Failure, ProviderError, ResourceType, Session
from sandbox.provider.differences import differences
from sandbox.provider.kubernetes import kubeconfig
from sandbox.provider.kubernetes.cluster import Cluster, Options
from sandbox.provider.kubernetes.identity import kind_of
from sandbox.provider.kubernetes.objects import ObjectRules
from sandbox.provider.kubernetes.patches import PATCHES, PatchRules
from sandbox.provider.kubernetes.rest import Rest
from sandbox.provider.values import UNKNOWN, Properties

RELEASE = "kubernetes:helm.sh/v3:Release"
SETTINGS = {
    "kubeconfig",
    "context",
    "cluster",
    "clusterIdentifier",
    "namespace",
    "enableServerSideApply",
    "deleteUnreachable",
    "enablePatchForce",
    "upsertExistingObjects",
    "enableConfigMapMutable",
    "enableSecretMutable",
    "suppressDeprecationWarnings",
    "suppressHelmHookWarnings",
    "version",
    "pluginDownloadURL",
}


class KubernetesProvider:
    """The package."""

    name = "kubernetes"
    version = "4.34.2"

    def check_config(self, config: Properties) -> list[Failure]:
        failures = [
            Failure(name, f"has no rule in the sandbox's Kubernetes provider; there is {', '.join(sorted(SETTINGS))}.")
            for name in config
            if name not in SETTINGS and not name.startswith("__")
        ]
        if _flag(config, "enableServerSideApply", default=True) is False:
            failures.append(Failure("enableServerSideApply", "must be true: this provider only applies on the server."))
        if config.get("kubeconfig") and not _pending(config):
            try:
                _access(config)
            except ProviderError as error:
                failures.append(Failure("kubeconfig", str(error)))
        return failures

    def diff_config(self, old: Properties, new: Properties) -> Changes:
        paths = differences(old, new)
        if old.get("clusterIdentifier") or new.get("clusterIdentifier"):
            replace = {p for p in paths if p == "clusterIdentifier"}
        elif _pending(new):
            replace = set[str]()
        else:
            replace = {p for p in paths if p in ("kubeconfig", "context", "cluster")} if _moved(old, new) else set()
        return Changes(paths=paths, replace=replace)

    def configure(self, config: Properties) -> Session:
        return KubernetesSession(config)

    def invoke(self, token: str, arguments: Properties) -> Properties:
        raise ProviderError(
            f"The function {token} has no rule in the sandbox's Kubernetes provider: "
            "declare the objects, or use helm.sh/v3 Release for a chart."
        )


class KubernetesSession:
    """One provider instance. The cluster is first spoken to when a resource needs it."""

    def __init__(self, config: Properties) -> None:
        self._config = config
        self._objects: ObjectRules | None = None
        self._lock = threading.Lock()

    def resource_type(self, token: str) -> ResourceType:
        if token == RELEASE:
            from sandbox.provider.kubernetes.release import ReleaseRules  # helm is needed by few stacks

            return ReleaseRules(self._rules().cluster)
        if token in PATCHES:
            return PatchRules(self._rules())
        kind_of(token)
        return self._rules()

    def _rules(self) -> ObjectRules:
        with self._lock:
            if self._objects is None:
                self._objects = ObjectRules(Cluster(rest=Rest(_access(self._config)), options=_options(self._config)))
            return self._objects


def _options(config: Properties) -> Options:
    namespace: Any = config.get("namespace")
    return Options(
        namespace=namespace if isinstance(namespace, str) and namespace else None,
        delete_unreachable=_flag(config, "deleteUnreachable"),
        patch_force=_flag(config, "enablePatchForce"),
        upsert=_flag(config, "upsertExistingObjects"),
        config_map_mutable=_flag(config, "enableConfigMapMutable"),
        secret_mutable=_flag(config, "enableSecretMutable"),
    )


def _flag(config: Properties, name: str, *, default: bool = False) -> bool:
    """A boolean setting; the engine passes provider configuration as text."""
    value = config.get(name, default)
    return value.lower() == "true" if isinstance(value, str) else bool(value)


def _pending(config: Properties) -> bool:
    return any(config.get(name) is UNKNOWN for name in ("kubeconfig", "context", "cluster"))


def _access(config: Properties) -> kubeconfig.Access:
    if _pending(config):
        raise ProviderError("The provider's kubeconfig is not known yet: it comes from a resource still to be made.")
    given = config.get("kubeconfig")
    text = kubeconfig.text_of(given) if isinstance(given, str) and given else kubeconfig.default_text()
    return kubeconfig.parse(text, config.get("context") or None, config.get("cluster") or None)


def _moved(old: Properties, new: Properties) -> bool:
    """Whether the provider now points at another cluster. An unreadable old kubeconfig counts as the same one."""
    try:
        return _access(old).server != _access(new).server
    except ProviderError:
        return False
