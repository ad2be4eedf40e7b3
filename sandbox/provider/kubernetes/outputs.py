"""From the API server's object to Pulumi's outputs and inputs, and back."""

import base64
import binascii
from typing import Any

from sandbox.provider.values import UNKNOWN, Properties, Secret

SERVER_METADATA = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")
IDENTITY = ("uid", "resourceVersion", "generation", "creationTimestamp")
SERVICE_ADDRESS = ("clusterIP", "clusterIPs", "healthCheckNodePort")


def desired(inputs: Properties, api_version: str, kind: str) -> Properties:
    """What is applied: the inputs, with a Secret's `stringData` as `data`.

    The server owns nothing of `stringData`, so a key that goes from it would stay in `data` for ever.
    """
    body = {k: v for k, v in inputs.items() if not k.startswith("__") and k != "status" and v is not None}
    body |= {"apiVersion": api_version, "kind": kind}
    if kind == "Secret" and isinstance(texts := body.pop("stringData", None), dict):
        coded = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
        body["data"] = {**(body.get("data") or {}), **coded}
    return body


def outputs(live: Properties, inputs: Properties, manager: str) -> Properties:
    """The state's outputs: the live object without its field-ownership records."""
    metadata = {k: v for k, v in live.get("metadata", {}).items() if k != "managedFields"}
    return {**_sealed({**live, "metadata": metadata}, inputs), "__fieldManager": manager}


def previewed(live: Properties, inputs: Properties, manager: str, *, new: bool) -> Properties:
    """Outputs of a dry run: what the real one will decide is not known yet."""
    found = outputs(live, inputs, manager)
    if new:
        found["metadata"] = {**found["metadata"], **dict.fromkeys(IDENTITY, UNKNOWN)}
        if live.get("kind") == "Service" and isinstance(found.get("spec"), dict):
            given = inputs.get("spec") or {}
            spec = {**found["spec"], **{k: UNKNOWN for k in SERVICE_ADDRESS if k not in given}}
            spec["ports"] = given.get("ports", spec.get("ports"))
            found["spec"] = spec
    else:
        found["metadata"] = {**found["metadata"], "resourceVersion": UNKNOWN, "generation": UNKNOWN}
    found["status"] = UNKNOWN
    return found


def unseen(inputs: Properties, manager: str) -> Properties:
    """Outputs where no dry run was possible."""
    metadata = inputs.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    found = {**inputs, "metadata": {**metadata, **dict.fromkeys(IDENTITY, UNKNOWN)}, "status": UNKNOWN}
    return {**_sealed(found, inputs), "__fieldManager": manager}


def imported(live: Properties) -> Properties:
    """Inputs for an object that Pulumi has not made: everything but what the server itself keeps."""
    metadata = {k: v for k, v in live.get("metadata", {}).items() if k not in SERVER_METADATA}
    return {**{k: v for k, v in live.items() if k != "status"}, "metadata": metadata}


def drifted(inputs: Properties, before: Properties, now: Properties) -> Properties:
    """The inputs as the live object has them: changed where it changed since `before`, our last sight of it.

    Comparing with what the server made of the inputs, and not with the inputs, keeps its defaults and its
    rewriting of quantities (`1000m` → `1`) from looking like somebody's change.
    """
    # `stringData` stands in our outputs, but the server never shows it.
    found = _drifted(inputs, {k: v for k, v in before.items() if k != "stringData"}, now)
    if now.get("kind") == "Secret" and isinstance(texts := found.get("stringData"), dict):
        old, new = before.get("data") or {}, now.get("data") or {}
        kept = {k: v if old.get(k) == new.get(k) else _decoded(new[k]) for k, v in texts.items() if k in new}
        found = {**found, "stringData": kept}
    return found


def _drifted(given: Any, before: Any, now: Any) -> Any:
    if before == now:
        return given
    if isinstance(given, dict) and isinstance(before, dict) and isinstance(now, dict):
        kept: dict[str, Any] = {}
        for key, value in given.items():
            if key in now:
                kept[key] = _drifted(value, before.get(key), now[key]) if key in before else now[key]
            elif key not in before:
                kept[key] = value  # write-only: the server never shows it
        return kept
    lists = isinstance(given, list) and isinstance(before, list) and isinstance(now, list)
    if lists and len(given) == len(before) == len(now):
        return [_drifted(g, b, n) for g, b, n in zip(given, before, now, strict=True)]
    return now


def same(before: Properties, after: Properties) -> bool:
    """Whether two sights of an object differ in nothing that a person wrote."""

    def plain(live: Properties) -> Properties:
        found = imported(live)
        return {k: v for k, v in found.items() if not k.startswith("__") and k != "stringData"}

    return plain(before) == plain(after)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode(errors="replace")
    except (binascii.Error, ValueError):
        return text


def _sealed(found: Properties, inputs: Properties) -> Properties:
    if found.get("kind") != "Secret":
        return found
    sealed = dict(found)
    if isinstance(inputs.get("stringData"), dict):
        sealed["stringData"] = inputs["stringData"]
    for name in ("data", "stringData"):
        if sealed.get(name) is not None and sealed[name] is not UNKNOWN:
            sealed[name] = Secret(sealed[name])
    return sealed
