"""The moment a stack really serves: its first completion through the gateway."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

PATIENCE = 60.0  # seconds: routes and endpoints reach Envoy within a few
PAUSE = 0.1


def wait(url: str, key: str, body: dict[str, Any]) -> str | None:
    """Ask until the answer is 200; None then, else what the last answer was."""
    deadline = time.monotonic() + PATIENCE
    while (last := _ask(url, key, body)) is not None and time.monotonic() < deadline:
        time.sleep(PAUSE)
    return last


def _ask(url: str, key: str, body: dict[str, Any]) -> str | None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=5):
            return None
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(200).decode(errors='replace')}"
    except OSError as error:
        return str(getattr(error, "reason", error))
