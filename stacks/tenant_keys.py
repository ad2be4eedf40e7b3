"""Tenants' keys from a cloud's secret manager."""

import json
from typing import cast

import pulumi


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
