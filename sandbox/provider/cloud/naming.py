"""Names for resources that were given none, as the real bridge makes them: the resource's name and seven letters."""

import hashlib

from sandbox.provider.cloud.introspect import Shape
from sandbox.provider.cloud.rules import Row
from sandbox.provider.contract import Naming
from sandbox.provider.values import Properties

# The bridge's own mark of inputs that it filled in itself.
DEFAULTS = "__defaults"
LETTERS = 7


def property_of(row: Row, inputs: Shape) -> str | None:
    """The input that is named automatically; None for types that have none."""
    name = row.name or "name"
    known: Shape | None = inputs["props"].get(name)
    if row.name == "none" or known is None or known["t"] != "string":
        return None
    return name


def named(
    row: Row, inputs: Shape, olds: Properties, news: Properties, resource: str, seed: str, naming: Naming
) -> Properties:
    """The inputs with a name: the given one, the one it was given automatically before, or a new one."""
    name = property_of(row, inputs)
    fresh = {key: value for key, value in news.items() if key != DEFAULTS}
    if name is None or name in inputs["required"] or fresh.get(name) is not None:
        return {**fresh, DEFAULTS: []}
    if fresh.get(f"{name}Prefix") is not None:
        return {**fresh, DEFAULTS: []}
    if name in (olds.get(DEFAULTS) or []) and olds.get(name):
        made = olds[name]
    elif naming.proposed:
        made = naming.proposed
    else:
        base = resource.lower() if row.package == "gcp" or row.kind == "Bucket" else resource
        made = f"{row.name_prefix}{base}-{hashlib.sha256(seed.encode()).hexdigest()[:LETTERS]}"
        made += next((suffix for flag, suffix in row.name_suffix_if.items() if fresh.get(flag) is True), "")
    return {**fresh, name: made, DEFAULTS: [name]}


def automatic(olds: Properties, name: str) -> bool:
    """Whether the bridge chose this name."""
    return name in (olds.get(DEFAULTS) or [])
