"""The stack's settings: one typed schema, and the only reader of `pulumi.Config`.

Stack files hold what differs from the defaults below. Keys are written in camelCase under `llmops:`. Whatever is
wrong is reported as one sentence a mistake, each naming its key; nothing here touches the network.
"""

import json
import re
from typing import Annotated, Any, Literal, Self

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from stacks.versions import Versions

# A name becomes part of Kubernetes object names ("triton-<model>-frontend-…", 63 characters at most) and labels.
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a name; use 1 to 40 lower-case letters, digits and '-', "
            "starting and ending with a letter or digit"
        )
    return value


Name = Annotated[str, AfterValidator(_name)]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")]


class Model(BaseModel):
    """Shared behaviour of every settings block: frozen, camelCase keys, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=False, protected_namespaces=()
    )


class Resources(Model):
    """What one serving pod asks of its node, in Kubernetes quantities."""

    cpu: str = "100m"  # requested for Triton
    memory: str = "384Mi"  # requested for Triton
    memory_limit: str = "1Gi"  # Triton is ended beyond it


class ServedModel(Model):
    """One model that the platform serves."""

    name: Name  # what clients name in a request's `model`
    mode: Literal["cpu"] = "cpu"  # `cpu`: Triton's python backend on OpenVINO, for machines without a GPU
    version: Version = "1"  # the published version that is served
    # Where the sandbox takes the checkpoint from: `builtin:tiny`, or a directory in Hugging Face's layout.
    source: str = "builtin:tiny"
    replicas: int = Field(default=3, ge=1, le=64)
    max_input_tokens: int = Field(default=768, ge=1)  # tokens
    max_output_tokens: int = Field(default=256, ge=1)  # tokens; also the most that one request may reserve
    drain_seconds: int = Field(default=30, ge=1, le=3600)  # longest answer that a leaving replica still finishes
    resources: Resources = Resources()


class Tenant(Model):
    """A customer of the platform: one API key, the models it may use, its limits."""

    name: Name  # who a key belongs to; the label of the tenant's metrics
    models: tuple[Name, ...] | None = None  # the models it may use; none: every model
    requests_per_minute: int = Field(default=60, ge=1)  # requests that pass in one minute of the clock
    tokens_per_minute: int = Field(default=20_000, ge=1)  # tokens reserved in one minute of the clock
    key_version: int = Field(default=1, ge=1)  # raise it to give the tenant a new key


class Limits(Model):
    """Limits that hold for every request, whoever sends it."""

    max_body_bytes: int = Field(default=1 << 20, ge=1024, le=32 << 20)  # a larger request body is refused with 413
    request_timeout_seconds: int = Field(default=300, ge=1, le=3600)  # the longest answer, streamed or not
    # What the gateway reserves of a tenant's token budget for a prompt: its bytes divided by this. One byte a token
    # is the upper bound of every byte-level tokenizer, so a budget is never overspent; raise it to charge less.
    bytes_per_token: float = Field(default=1.0, ge=1.0, le=16.0)


class Storage(Model):
    """The model store. `directory`: a directory on the node, for the local stack."""

    kind: Literal["directory"] = "directory"
    path: str | None = None  # the directory, absolute; none: the sandbox's own store


class Gateway(Model):
    """The front door."""

    replicas: int = Field(default=1, ge=1, le=16)  # of Envoy
    drain_seconds: int = Field(default=60, ge=1, le=3600)  # longest answer that a leaving Envoy still finishes
    node_port: int = Field(default=30080, ge=30000, le=32767)  # where the nodes of a local cluster answer


class Images(Model):
    """Where the images that this repository builds are pulled from."""

    registry: str = Field(default="localhost/llmops", min_length=1)


class Sandbox(Model):
    """The cluster of the local stack. Without a kubeconfig it is the sandbox's own single node."""

    kubeconfig: str | None = None  # the kubeconfig of a cluster of your own
    context: str | None = None  # which of its contexts; none: the current one
    address: str | None = None  # where the cluster's node ports are reached; none: where its API server is


class Settings(Model):
    """Everything a stack can be told."""

    targets: tuple[Literal["local"], ...] = Field(default=("local",), min_length=1)
    namespace: Name = "llm"  # of the models and the tenants' keys
    models: tuple[ServedModel, ...] = Field(min_length=1)
    tenants: tuple[Tenant, ...] = Field(min_length=1)
    limits: Limits = Limits()
    storage: Storage = Storage()
    gateway: Gateway = Gateway()
    images: Images = Images()
    versions: Versions = Versions()
    sandbox: Sandbox = Sandbox()

    def models_of(self, tenant: Tenant) -> list[ServedModel]:
        """The models that a tenant may use."""
        return [m for m in self.models if tenant.models is None or m.name in tenant.models]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        mistakes = [*_duplicates("targets", self.targets)]
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


SECRETS = "apiKeys"  # read apart, by components/tenants.py's caller: a secret never passes through a model


def load() -> Settings:
    """The settings of the stack that runs. Raises pulumi.RunError with one sentence a mistake."""
    values: dict[str, Any] = {}
    for key, raw in {**get_config_env(), **CONFIG.get()}.items():
        name = key.removeprefix("llmops:")
        if name not in (key, SECRETS):
            values[name] = _decoded(raw)
    try:
        return parse(values)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None


def given_api_keys() -> pulumi.Output[dict[str, str]] | None:
    """The tenants' keys that the stack brings itself: `llmops:apiKeys`, a secret map of tenant to key."""
    return pulumi.Config("llmops").get_secret_object(SECRETS)


def _decoded(raw: str) -> Any:
    """Pulumi hands structured values over as JSON, and plain words as they are."""
    try:
        return json.loads(raw)
    except ValueError:
        return raw
