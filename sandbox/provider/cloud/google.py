"""Constraints that Google's discovery documents state: enums, patterns, ranges.

The documents ship inside google-api-python-client. Properties are matched to a schema's fields by name; a row's
`fields` names the others (the provider's own `*_meta.yaml` files say which those are). Nothing is asked of Google.
"""

import functools
import json
from importlib import resources
from typing import Any

from sandbox.provider.cloud.amazon import NONE
from sandbox.provider.cloud.constraints import Limits, tighten
from sandbox.provider.cloud.introspect import Shape
from sandbox.provider.cloud.rules import Row

Document = dict[str, Any]


def constrain(row: Row, inputs: Shape) -> list[str]:
    """Add the limits of a row's API fields to its inputs; the paths that got any."""
    found: list[str] = []
    for start in row.api:
        name, _, schema = start.rpartition(".")
        schemas = _document(name)["schemas"]
        _walk(row, schemas, schemas[schema], inputs, "", found, 0)
    return found


@functools.lru_cache(maxsize=2)  # compute's takes tens of megabytes
def _document(name: str) -> Document:
    file = resources.files("googleapiclient").joinpath(f"discovery_cache/documents/{name}.json")
    document: Document = json.loads(file.read_text())
    return document


def _walk(
    row: Row, schemas: Document, schema: Document, node: Shape, prefix: str, found: list[str], depth: int
) -> None:
    if node["t"] != "object" or depth > 8:
        return
    fields: dict[str, Any] = schema.get("properties", {})
    spelled = {field.lower(): field for field in fields}
    for name, inner in node["props"].items():
        path = f"{prefix}{name}"
        target = row.fields.get(path)
        if target == NONE:
            continue
        if target:
            field = _field(schemas, schema, target.split(".") if not prefix else target.split(".")[-1:])
        else:
            spelling = next((s for s in (name.lower(), name.lower().removesuffix("s")) if s in spelled), None)
            field = fields[spelled[spelling]] if spelling else None
        if field is None:
            continue
        if tighten(inner, _limits(field)):
            found.append(path)
        item = inner
        while item["t"] in ("list", "map"):
            item = item["of"]
        while field.get("type") == "array":
            field = field["items"]
        if item["t"] == "object" and "$ref" in field:
            _walk(row, schemas, schemas[field["$ref"]], item, f"{path}.", found, depth + 1)


def _field(schemas: Document, schema: Document, names: list[str]) -> Document | None:
    field: Document | None = None
    for name in names:
        field = schema.get("properties", {}).get(name)
        if field is None:
            return None
        inner = field["items"] if field.get("type") == "array" else field
        schema = schemas.get(inner.get("$ref", ""), {})
    return field


def _limits(field: Document) -> Limits:
    limits = Limits(
        kind="list" if field.get("type") == "array" else str(field.get("type", "object")),
        enum=field.get("enum"),
        pattern=field.get("pattern"),
    )
    if field.get("type") in ("integer", "number"):
        limits.least = float(field["minimum"]) if "minimum" in field else None
        limits.most = float(field["maximum"]) if "maximum" in field else None
    if field.get("type") == "array":
        limits.item = _limits(field["items"])
    return limits
