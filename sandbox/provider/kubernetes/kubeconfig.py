"""The kubeconfig that a provider was given: the cluster that it leads to, pretended ones too."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from components import kubeconfig
from components.kubeconfig import Entry, KubeconfigError
from sandbox.provider.contract import ProviderError

# What hands out credentials for EKS and GKE; a pretended cluster's come from the stand-in instead.
CLOUD_PLUGINS = ("aws", "gke-gcloud-auth-plugin")
# What a person changes to point the program at another cluster.
SETTING = "llmops:sandbox.kubeconfig"


@dataclass(frozen=True, kw_only=True)
class Access(kubeconfig.Access):
    """One cluster's address and how to prove who we are to it, and what helm is told of it."""

    context: str
    namespace: str = "default"
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
    try:
        found = kubeconfig.entry(text, context, cluster)
        namespace = found.namespace
        if pretended := _pretended(found):
            # The address and its authority stay the kubeconfig's: a wrong one must fail here as it would there.
            own = kubeconfig.entry(pretended)
            found, text = replace(own, cluster=found.cluster), pretended
        access = kubeconfig.access(found)
    except KubeconfigError as error:
        raise ProviderError(f"The kubeconfig {error.why}: check {SETTING}.") from None
    return Access(**vars(access), context=found.context, namespace=namespace, content=text)


def _pretended(entry: Entry) -> str | None:
    """The stand-in's kubeconfig for a cloud's user of a pretended cluster."""
    if Path(str((entry.user.get("exec") or {}).get("command"))).name not in CLOUD_PLUGINS:
        return None
    from sandbox import standin  # most kubeconfigs need it not

    return standin.credentials(entry.cluster["server"])
