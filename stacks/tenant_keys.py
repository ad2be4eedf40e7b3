"""Tenants' keys from a cloud's secret manager."""

import json
from collections.abc import Callable
from typing import cast

import pulumi

from stacks.settings import Settings


def tenant_keys(settings: Settings, read: Callable[[str], pulumi.Output[str]]) -> pulumi.Output[dict[str, str]] | None:
    """The keys that a secret manager holds, by tenant; None where the program makes them. `read` gets a secret."""
    keys = settings.keys
    if keys.source != "secret-manager" or keys.secret is None:
        return None
    return pulumi.Output.secret(read(keys.secret).apply(keys_of))


def keys_of(text: str) -> dict[str, str]:
    """The keys that a secret's value holds, by tenant. Raises pulumi.RunError, without showing the value."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(k, str) for k in cast("dict[str, object]", found).values()):
        raise pulumi.RunError(
            'llmops:keys.secret: holds no JSON map of tenant to key; write it as {"team-a": "sk-…", "team-b": "sk-…"}'
        )
    return cast("dict[str, str]", found)
