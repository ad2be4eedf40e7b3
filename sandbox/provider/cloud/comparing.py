"""What differs between two sets of inputs, as the provider sees it: order in sets and JSON's layout mean nothing."""

import copy
import json
from typing import Any

from sandbox.provider.cloud import naming, paths
from sandbox.provider.cloud.introspect import Shape
from sandbox.provider.cloud.rules import Row
from sandbox.provider.contract import Changes
from sandbox.provider.differences import differences
from sandbox.provider.values import Properties, has_unknown

# Where a resource lives cannot be changed, whatever its type.
PLACES = {"aws": ["region"], "gcp": ["project"]}


def compare(row: Row, inputs: Shape, old: Properties, new: Properties) -> Changes:
    """The differences, and which of them force a new resource."""
    before, after = canonical(row, old), canonical(row, new)
    found = differences(before, after)
    name = naming.property_of(row, inputs)
    forcing = [*row.replace, *PLACES[row.package], *([name] if name else [])]
    replace: set[str] = set()
    for entry in forcing:
        if list(paths.values(before, entry)) != list(paths.values(after, entry)):
            replace |= {path for path in found if paths.touches(entry, path)}
    # A name that somebody chose cannot be taken twice: the old one has to go first.
    kept = name is not None and new.get(name) is not None and old.get(name) == new.get(name)
    chosen = kept and not naming.automatic(new, str(name))
    return Changes(paths=found, replace=replace, delete_first=bool(replace) and chosen)


def canonical(row: Row, properties: Properties) -> Properties:
    """A copy in which equal values are equal: sets sorted, JSON laid out one way."""
    made = copy.deepcopy({key: value for key, value in properties.items() if not key.startswith("__")})
    for path in row.sets:
        _sort(made, path.split("."))
    for path in row.json:
        if isinstance(text := made.get(path), str):
            try:
                made[path] = json.dumps(json.loads(text), sort_keys=True)
            except ValueError:
                continue
    return made


def _sort(node: Any, path: list[str]) -> None:
    if isinstance(node, list):
        for item in node:
            _sort(item, path)
    elif isinstance(node, dict) and path[0] in node:
        value = node[path[0]]
        if len(path) > 1:
            _sort(value, path[1:])
        elif isinstance(value, list) and not has_unknown(value):
            value.sort(key=lambda item: json.dumps(item, sort_keys=True, default=str))
