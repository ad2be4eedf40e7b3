"""What the cloud adds to a resource's inputs: defaults, computed values, the id."""

import copy
import re
from collections.abc import Mapping
from typing import Any

from sandbox.provider.cloud import paths
from sandbox.provider.cloud.introspect import Shape
from sandbox.provider.cloud.place import Place
from sandbox.provider.cloud.rules import Row
from sandbox.provider.cloud.templates import Context, Seed
from sandbox.provider.values import UNKNOWN, Properties, Secret

# Filled in from the provider's configuration where a type has them.
PLACED = {"aws": ("region",), "gcp": ("project", "region", "zone", "location")}


def fill(
    row: Row, outputs: Shape, inputs: Properties, place: Place, seed: str, now: str, old: Properties | None = None
) -> tuple[Any, Properties]:
    """(id, properties) of a resource with these inputs; `old` are the properties it had before an update."""
    properties = copy.deepcopy({name: value for name, value in inputs.items() if not name.startswith("__")})
    words = {**place.words(properties), "now": now}
    for name in PLACED[row.package]:
        if name in outputs["props"] and properties.get(name) is None and words.get(name):
            properties[name] = words[name]
    for path, value in row.defaults.items():
        paths.put(properties, path, copy.deepcopy(value))
    _labels(row, outputs, properties, place)
    context = Context(Seed(seed), words, properties)
    # Some ids are made of computed values, and most computed values of the id.
    for path, template in row.computed.items():
        if "{id}" not in str(template) and _missing(properties, path):
            _put(properties, path, context.fill(template))
    identifier = context.fill(row.id)
    context = Context(Seed(seed), words, properties, identifier)
    for path, template in row.computed.items():
        if _missing(properties, path):
            _put(properties, path, context.fill(template))
    for name in row.provides:
        if properties.get(name) is None and old is not None and old.get(name) is not None:
            properties[name] = old[name]
    return identifier, properties


def mask(row: Row, inputs: Properties, properties: Properties) -> Properties:
    """The properties as a preview of a create knows them: what the cloud will compute is unknown."""
    masked = copy.deepcopy(properties)
    for path in [*row.computed, *row.provides]:
        top = re.split(r"[.\[]", path, maxsplit=1)[0]
        if top not in inputs:
            masked[top] = UNKNOWN
        elif "." in path and paths.first(inputs, path) is None:
            _replace(masked, path)
    return masked


def closed(row: Row, properties: Mapping[str, Any]) -> Properties:
    """The properties with secret ones marked."""
    return {
        name: Secret(value) if name in row.secrets and value is not None else value
        for name, value in properties.items()
    }


def _labels(row: Row, outputs: Shape, properties: Properties, place: Place) -> None:
    """Tags of AWS, labels of Google, with those that the provider adds to everything."""
    own = properties.get("tags" if row.package == "aws" else "labels")
    if row.package == "gcp" and own is None:
        own = properties.get("resourceLabels")
    merged = UNKNOWN if own is UNKNOWN else {**place.labels, **(own or {})}
    for name in ("tagsAll", "effectiveLabels", "pulumiLabels"):
        if name in outputs["props"]:
            properties[name] = merged


def _missing(properties: Properties, path: str) -> bool:
    return paths.first(properties, path) is None


def _put(properties: Properties, path: str, value: Any) -> None:
    if value is not None:
        paths.put(properties, path, value)


def _replace(properties: Properties, path: str) -> None:
    *above, last = path.split(".")
    node: Any = properties
    for name in above:
        node = node.get(name) if isinstance(node, dict) else None
    if isinstance(node, dict):
        node[last] = UNKNOWN
