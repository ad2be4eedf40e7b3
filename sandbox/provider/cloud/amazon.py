"""Constraints that AWS's own service models state (botocore's data): enums, patterns, lengths, ranges.

Properties are matched to an operation's input by name, whatever the spelling (`subnetIds` is `SubnetIds`); a row's
`fields` names the others. Nothing is asked of AWS.
"""

import functools
import gzip
import json
from importlib import resources
from typing import Any

from sandbox.provider.cloud.constraints import Limits, tighten
from sandbox.provider.cloud.introspect import Shape
from sandbox.provider.cloud.rules import Row

Model = dict[str, Any]
# A field that must not be matched.
NONE = "-"


def constrain(row: Row, inputs: Shape) -> list[str]:
    """Add the limits of a row's API fields to its inputs; the paths that got any."""
    found: list[str] = []
    for start in row.api:
        service, _, rest = start.partition(".")
        model = _model(service)
        operation, *members = rest.split("/")
        shape = _input(model, operation, members)
        _walk(row, model, shape, inputs, "", found, 0)
    for path, target in row.fields.items():
        if "/" in target and path in inputs["props"]:  # a field of another operation: service.Operation/Member
            service, _, rest = target.partition(".")
            model = _model(service)
            operation, *members = rest.split("/")
            *above, last = members
            holder = _inner(model, _input(model, operation, above))
            limits = _limits(model, model["shapes"][holder["members"][last]["shape"]])
            if tighten(inputs["props"][path], limits):
                found.append(path)
    return found


@functools.lru_cache(maxsize=4)  # the larger ones take tens of megabytes
def _model(service: str) -> Model:
    folder = resources.files("botocore").joinpath("data", service)
    newest = max((entry for entry in folder.iterdir() if entry.is_dir()), key=lambda entry: entry.name)
    loaded: Model = json.loads(gzip.decompress(newest.joinpath("service-2.json.gz").read_bytes()))
    return loaded


def _input(model: Model, operation: str, members: list[str]) -> Model:
    shape: Model = model["shapes"][model["operations"][operation]["input"]["shape"]]
    for name in members:
        shape = _inner(model, model["shapes"][_inner(model, shape)["members"][name]["shape"]])
    return shape


def _inner(model: Model, shape: Model) -> Model:
    """The items of a list, for a property that holds its only one."""
    while shape["type"] == "list":
        shape = model["shapes"][shape["member"]["shape"]]
    return shape


def _walk(row: Row, model: Model, shape: Model, node: Shape, prefix: str, found: list[str], depth: int) -> None:
    members: dict[str, Any] = _inner(model, shape).get("members", {})
    if node["t"] != "object" or not members or depth > 8:
        return
    spelled = {_plain(name): name for name in members}
    for name, inner in node["props"].items():
        path = f"{prefix}{name}"
        target = row.fields.get(path)
        if target == NONE or (target and "/" in target):
            continue
        member = _member(model, shape, target.split(".")) if target else None
        if member is None and not target:
            match = next((spelled[s] for s in (_plain(name), _plain(name).removesuffix("s")) if s in spelled), None)
            member = model["shapes"][members[match]["shape"]] if match else None
        if member is None:
            continue
        if tighten(inner, _limits(model, member)):
            found.append(path)
        item = inner
        while item["t"] in ("list", "map"):
            item = item["of"]
        if item["t"] == "object":
            _walk(row, model, member, item, f"{path}.", found, depth + 1)


def _member(model: Model, shape: Model, names: list[str]) -> Model | None:
    for name in names:
        members = _inner(model, shape).get("members", {})
        if name not in members:
            return None
        shape = model["shapes"][members[name]["shape"]]
    return shape


def _limits(model: Model, shape: Model) -> Limits:
    limits = Limits(
        kind=shape["type"],
        enum=shape.get("enum"),
        pattern=shape.get("pattern"),
        least=shape.get("min"),
        most=shape.get("max"),
    )
    if shape["type"] == "list":
        limits.item = _limits(model, model["shapes"][shape["member"]["shape"]])
    return limits


def _plain(name: str) -> str:
    return name.lower().replace("_", "")
