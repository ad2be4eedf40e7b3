"""A preview's Kubernetes objects as YAML files, for any linter to read."""

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from sandbox.provider.values import UNKNOWN_TEXTS

PREFIX = "kubernetes:"
LATER = "known-after-up"


def write(preview: dict[str, Any], out: Path) -> int:
    """Write the objects of `pulumi preview --json` to `out`, replacing what was there; how many there were.

    A chart's Release stands there as its chart, version and values: its own objects are the chart's.
    """
    objects = [entry for entry in map(_object, preview.get("steps", [])) if entry]
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name, content in objects:
        (out / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return len(objects)


def _object(step: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    state = step.get("newState") or step.get("oldState") or {}
    kind = str(state.get("type", ""))
    if not kind.startswith(PREFIX) or step.get("op") in ("delete", "delete-replaced"):
        return None
    inputs: dict[str, Any] = _readable(state.get("inputs", {}))
    name = kind.rsplit(":", 1)[1]
    if name == "Release":
        keys = ("name", "namespace", "chart", "version", "values")
        content = {"release": {key: inputs[key] for key in keys if key in inputs}}
        return _file("release", str(inputs.get("name", "")), ""), content
    api_version = kind.removeprefix(PREFIX).rsplit(":", 1)[0].removeprefix("core/")
    content = {"apiVersion": api_version, "kind": name, **{k: v for k, v in inputs.items() if not k.startswith("__")}}
    meta: dict[str, Any] = inputs.get("metadata", {})
    return _file(name, str(meta.get("name", "")), str(meta.get("namespace", ""))), content


def _readable(value: Any) -> Any:
    """`value` with a word in place of what only an update will tell."""
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    return LATER if isinstance(value, str) and value in UNKNOWN_TEXTS else value


def _file(kind: str, name: str, namespace: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", "-".join(part for part in (namespace, kind, name) if part).lower())
