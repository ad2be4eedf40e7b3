"""The stack's settings: one typed schema, and the only reader of `pulumi.Config`.

Stack files hold what differs from the defaults below. Keys are written in camelCase under `llmops:`. Whatever is
wrong is reported as one sentence a mistake, each naming its key; nothing here touches the network.
"""

import json
from typing import Any, Literal, Self

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pydantic import Field, ValidationError, model_validator

from stacks import checks
from stacks.networks import overlaps
from stacks.schema.access import Keys, Limits, Tenant
from stacks.schema.base import Model, Name
from stacks.schema.dgx import Dgx
from stacks.schema.eks import Eks
from stacks.schema.gateway import Gateway
from stacks.schema.gke import Gke
from stacks.schema.guards import Guards
from stacks.schema.models import ServedModel
from stacks.schema.storage import Storage
from stacks.versions import Versions

Target = Literal["local", "eks", "gke", "dgx"]


class Images(Model):
    """Where the images that this repository builds are pulled from."""

    registry: str = Field(default="localhost/llmops", min_length=1)
    # Refuse, at preview, every container whose image is not named by its digest (registry/name@sha256:…).
    require_digests: bool = False


class Sandbox(Model):
    """The cluster of the local stack. Without a kubeconfig it is the sandbox's own single node."""

    kubeconfig: str | None = None  # the kubeconfig of a cluster of your own
    context: str | None = None  # which of its contexts; none: the current one
    address: str | None = None  # where the cluster's node ports are reached; none: where its API server is


class Settings(Model):
    """Everything a stack can be told."""

    targets: tuple[Target, ...] = Field(default=("local",), min_length=1)
    ephemeral: bool = False  # a test cluster: its stores are deleted with it, and it may be destroyed at any time
    namespace: Name = "llm"  # of the models and the tenants' keys
    models: tuple[ServedModel, ...] = Field(min_length=1)
    tenants: tuple[Tenant, ...] = Field(min_length=1)
    keys: Keys = Keys()
    limits: Limits = Limits()
    storage: Storage = Storage()
    gateway: Gateway = Gateway()
    images: Images = Images()
    guards: Guards = Guards()
    versions: Versions = Versions()
    sandbox: Sandbox = Sandbox()
    eks: Eks | None = None  # needed by the target `eks`
    gke: Gke | None = None  # needed by the target `gke`
    dgx: Dgx | None = None  # needed by the target `dgx`

    def models_of(self, tenant: Tenant) -> list[ServedModel]:
        """The models that a tenant may use."""
        return [m for m in self.models if tenant.models is None or m.name in tenant.models]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        mistakes = [*_duplicates("targets", self.targets)]
        mistakes += [
            f"{target}: is missing; targets names {target!r}, so set it (docs/deploy/configuration.md)"
            for target in ("eks", "gke", "dgx")
            if target in self.targets and getattr(self, target) is None
        ]
        if self.dgx and "dgx" in self.targets:
            mistakes += [f"dgx.{mistake}" for mistake in self.dgx.mistakes(self.gateway)]
            mistakes += [f"storage.{mistake}" for mistake in self.storage.mistakes("nfs")]
        if self.gke and "gke" in self.targets:
            mistakes += [f"gke.{mistake}" for mistake in self.gke.mistakes()]
        mistakes += _duplicates("models", [m.name for m in self.models])
        mistakes += _duplicates("tenants", [t.name for t in self.tenants])
        known = {m.name for m in self.models}
        for i, tenant in enumerate(self.tenants):
            for name in tenant.models or ():
                if name not in known:
                    mistakes.append(
                        f"tenants[{i}].models: there is no model {name!r}; models has {', '.join(sorted(known))}"
                    )
            if tenant.models == ():
                mistakes.append(f"tenants[{i}].models: {tenant.name!r} may use no model; name one, or leave it out")
            for model in self.models_of(tenant):
                if tenant.tokens_per_minute < model.max_output_tokens:
                    mistakes.append(
                        f"tenants[{i}].tokensPerMinute: {tenant.tokens_per_minute} is below one request of "
                        f"{model.name!r}, which may ask for {model.max_output_tokens} tokens; "
                        "raise it, or lower the model's maxOutputTokens"
                    )
        used = {m.name for t in self.tenants for m in self.models_of(t)}
        for i, model in enumerate(self.models):
            if model.name not in used:
                mistakes.append(f"models[{i}].name: no tenant may use {model.name!r}; add it to a tenant's models")
        mistakes += overlaps(self)
        for key, names in (
            ("eks.nodeGroups", [g.name for g in self.eks.node_groups] if self.eks else []),
            ("gke.nodePools", [p.name for p in self.gke.node_pools] if self.gke else []),
            ("dgx.pools", [p.name for p in self.dgx.pools] if self.dgx else []),
        ):
            mistakes += _duplicates(key, names)
        if all(target == "local" or getattr(self, target) for target in self.targets):
            mistakes += checks.mistakes(self)
        if mistakes:
            raise SettingsError(mistakes)
        return self


class SettingsError(Exception):
    """What is wrong with a stack's settings: one sentence a mistake."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(f"llmops:{mistake}" for mistake in mistakes))
        self.mistakes = mistakes


def _duplicates(key: str, names: tuple[str, ...] | list[str]) -> list[str]:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    return [f"{key}: {name!r} stands there more than once; names must differ" for name in twice]


def parse(values: dict[str, Any]) -> Settings:
    """Settings from plain values keyed as in a stack file. Raises SettingsError."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        errors = error.errors()
        # A list whose only item is wrong is also "too short" to pydantic; the item's own mistake says enough.
        inner = {e["loc"][:n] for e in errors for n in range(1, len(e["loc"]))}
        raise SettingsError([_sentence(dict(e)) for e in errors if e["loc"] not in inner]) from None


def _sentence(error: dict[str, Any]) -> str:
    """One sentence for one of pydantic's errors."""
    key = ""
    for part in error["loc"]:
        word = part if isinstance(part, str) and part.isidentifier() else repr(part)
        key += f"[{part}]" if isinstance(part, int) else f".{word}" if key else str(word)
    value, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "missing":
            return f"{key}: is missing; set it"
        case "extra_forbidden":
            return f"{key}: is not a setting; see docs/deploy/configuration.md for all of them"
        case "value_error":
            return f"{key}: {context['error']}"
        case "too_short":
            return f"{key}: is empty; it needs at least {context['min_length']}"
        case _:
            shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."
            message = error["msg"].replace("valid tuple", "list").replace("a valid dictionary", "a map")
            return f"{key}: {shown} does not fit; {message[0].lower()}{message[1:]}"


# Read apart, by the functions below: a secret never passes through a model.
API_KEYS, TLS_CERTIFICATE, TLS_KEY = SECRETS = ("apiKeys", "tlsCertificate", "tlsKey")


def load() -> Settings:
    """The settings of the stack that runs. Raises pulumi.RunError with one sentence a mistake."""
    values: dict[str, Any] = {}
    for key, raw in {**get_config_env(), **CONFIG.get()}.items():
        name = key.removeprefix("llmops:")
        if name != key and name not in SECRETS:
            values[name] = _decoded(raw)
    try:
        return parse(values)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None


def given_api_keys() -> pulumi.Output[dict[str, str]] | None:
    """The tenants' keys that the stack brings itself: `llmops:apiKeys`, a secret map of tenant to key."""
    return pulumi.Config("llmops").get_secret_object(API_KEYS)


def given_certificate() -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """The certificate with its chain and its key, both PEM: the secrets `llmops:tlsCertificate` and `llmops:tlsKey`.

    Raises pulumi.RunError for one that is missing.
    """
    config = pulumi.Config("llmops")
    found: list[pulumi.Output[str]] = []
    for name in (TLS_CERTIFICATE, TLS_KEY):
        value = config.get_secret(name)
        if value is None:
            raise pulumi.RunError(
                f"llmops:{name}: is missing, and gateway.tls.kind is 'given'; set it with "
                f"`pulumi config set --secret llmops:{name} < FILE.pem`"
            )
        found.append(value)
    return found[0], found[1]


def _decoded(raw: str) -> Any:
    """Pulumi hands structured values over as JSON, and plain words as they are."""
    try:
        return json.loads(raw)
    except ValueError:
        return raw
