"""Who may use the platform, and how much of it."""

from typing import Literal

from pydantic import Field

from stacks.schema.base import Model, Name


class Tenant(Model):
    """A customer of the platform: one API key, the models it may use, its limits."""

    name: Name  # who a key belongs to; the label of the tenant's metrics
    models: tuple[Name, ...] | None = None  # the models it may use; none: every model
    requests_per_minute: int = Field(default=60, ge=1)  # requests that pass in one minute of the clock
    tokens_per_minute: int = Field(default=20_000, ge=1)  # tokens reserved in one minute of the clock
    key_version: int = Field(default=1, ge=1)  # raise it to give the tenant a new key


class Keys(Model):
    """Where the tenants' API keys come from."""

    # `stack`: made once and kept in the stack's encrypted state, or given as the secret `llmops:apiKeys`.
    # `secret-manager`: a JSON map of tenant to key in AWS Secrets Manager or Google Secret Manager.
    source: Literal["stack", "secret-manager"] = "stack"
    secret: str | None = None  # the secret manager's name of it


class Limits(Model):
    """Limits that hold for every request, whoever sends it."""

    max_body_bytes: int = Field(default=1 << 20, ge=1024, le=32 << 20)  # a larger request body is refused with 413
    request_timeout_seconds: int = Field(default=300, ge=1, le=3600)  # the longest answer, streamed or not
    # What the gateway reserves of a tenant's token budget for a prompt: its bytes divided by this. One byte a token
    # is the upper bound of every byte-level tokenizer, so a budget is never overspent; raise it to charge less.
    bytes_per_token: float = Field(default=1.0, ge=1.0, le=16.0)
