"""What a resource type takes and gives, read from the provider's own Python SDK.

A value's shape is a small JSON object, `{"t": kind, …}`, so that it can be kept on disk: importing the SDK's modules
takes seconds, reading a kept shape does not.

    string integer number boolean any          plain values
    list map                                   with "of"
    object                                     with "props": name → shape; "required": names
    union                                      with "of": the shapes, one of which must fit
"""

import collections.abc
import enum
import functools
import importlib
import inspect
import re
import types
import typing
import warnings
from typing import Any

from sandbox.provider.contract import ProviderError

Shape = dict[str, Any]
PACKAGES = {"aws": "pulumi_aws", "gcp": "pulumi_gcp", "eks": "pulumi_eks"}
PLAIN: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
UNIONS = (typing.Union, types.UnionType)
# The SDK keeps Pulumi's own spelling of its names here; there is no public way to ask for it.
_types: Any = importlib.import_module("pulumi._types")
# Python modules whose name is not the token's in snake case: keywords and names of the standard library.
RENAMED = {"lambda": "lambda_", "import": "import_"}
DEEPEST = 12  # levels; a type that contains itself ends there as "any"


def resource(token: str) -> tuple[Shape, Shape]:
    """(inputs, outputs) of a resource type as object shapes. Raises ProviderError for what the SDK does not have."""
    package, module, name = _parts(token)
    found = _module(package, module, name)
    cls: Any = getattr(found, name, None)
    # A nested input of the same name takes the plain name: BucketVersioning's own inputs are BucketVersioningInitArgs.
    arguments: Any = getattr(found, f"{name}InitArgs", None) or getattr(found, f"{name}Args", None)
    if cls is None or arguments is None:
        raise ProviderError(f"{token} is not a resource type of {PACKAGES[package]}.")
    outputs = {
        names: _shape(hint, 0)
        for names, hint in _types.resource_types(cls).items()
        if names not in ("id", "urn", "pulumiResourceName", "pulumiResourceType")
    }
    return _object(arguments, 0), {"t": "object", "props": outputs, "required": []}


def provider(package: str) -> Shape:
    """The settings of a package's provider."""
    module = importlib.import_module(f"{PACKAGES[package]}.provider")
    return _object(module.ProviderArgs, 0)


def _parts(token: str) -> tuple[str, str, str]:
    """`aws:ec2/vpc:Vpc` → ("aws", "ec2/vpc", "Vpc")."""
    package, module, name = token.split(":")
    return package, module, name


def _module(package: str, module: str, name: str) -> Any:
    area, _, _ = module.partition("/")
    path = [] if area == "index" else [RENAMED.get(area, area)]
    above = ".".join([PACKAGES[package], *path])
    try:
        with warnings.catch_warnings():  # of the resources beside it that are deprecated
            warnings.simplefilter("ignore", DeprecationWarning)
            # The areas are lazy: one that is not loaded before a module inside it would be half of it for ever.
            _ = hasattr(importlib.import_module(above), "loaded")
            return importlib.import_module(f"{above}.{snake(name)}")
    except ModuleNotFoundError:
        raise ProviderError(f"{package}:{module}:{name} is not a resource type of {PACKAGES[package]}.") from None


def snake(name: str) -> str:
    """`VpcEndpoint` → `vpc_endpoint`, `IAMMember` → `iam_member`: the SDK's module names."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _object(cls: Any, depth: int) -> Shape:
    """An input class's shape: its constructor says what is required, its getters what Pulumi calls it."""
    names: dict[str, str] = _types.input_type_py_to_pulumi_names(cls)
    hints = typing.get_type_hints(cls.__init__, localns=_names())
    parameters = inspect.signature(cls.__init__).parameters
    props = {pulumi: _shape(hints.get(python, Any), depth + 1) for python, pulumi in names.items()}
    required = [
        pulumi
        for python, pulumi in names.items()
        if python in parameters and parameters[python].default is inspect.Parameter.empty
    ]
    return {"t": "object", "props": props, "required": required}


@functools.cache
def _names() -> dict[str, Any]:
    """`pulumi.Input[T]` names `Output[T]` in quotes, which the SDK's modules do not import."""
    import pulumi

    return {"Output": pulumi.Output, "T": Any}


def _shape(hint: Any, depth: int) -> Shape:
    hint = _bare(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in PLAIN:
        return {"t": PLAIN[hint]}
    if origin in UNIONS:
        return _union([_shape(item, depth) for item in arguments])
    if origin in (collections.abc.Sequence, list):
        return {"t": "list", "of": _shape(arguments[0], depth + 1)}
    if origin in (collections.abc.Mapping, dict):
        return {"t": "map", "of": _shape(arguments[1], depth + 1)}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"t": "string", "enum": [member.value for member in hint]}
    if isinstance(hint, type) and _types.is_input_type(hint) and depth < DEEPEST:
        return _object(hint, depth)
    if isinstance(hint, type) and _types.is_output_type(hint) and depth < DEEPEST:
        props = {name: _shape(item, depth + 1) for name, item in _types.output_type_types(hint).items()}
        return {"t": "object", "props": props, "required": []}
    return {"t": "any"}


def _union(shapes: list[Shape]) -> Shape:
    """One shape where the members say the same, as `Union[str, SomeEnum]` does: the SDK lets any text through."""
    different: list[Shape] = []
    for shape in shapes:
        if shape == {"t": "any"}:
            continue  # the typed dictionary beside each input class
        if shape["t"] == "string" and any(other["t"] == "string" for other in different):
            different = [{"t": "string"} if other["t"] == "string" else other for other in different]
        elif shape not in different:
            different.append(shape)
    if not different:
        return {"t": "any"}
    return different[0] if len(different) == 1 else {"t": "union", "of": different}


def _bare(hint: Any) -> Any:
    """`Input[Optional[T]]` → T."""
    import pulumi

    while True:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is pulumi.Output or origin is collections.abc.Awaitable:
            hint = arguments[0]
        elif origin in UNIONS:
            kept = [
                item
                for item in arguments
                if item is not type(None) and typing.get_origin(item) not in (pulumi.Output, collections.abc.Awaitable)
            ]
            if len(kept) != 1:
                return typing.Union[tuple(kept)]  # noqa: UP007 (built from a list)
            hint = kept[0]
        else:
            return hint
