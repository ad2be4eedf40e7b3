"""Property values as the engine sends them, and as plain Python.

The signatures and the texts for unknown values are the Pulumi protocol's (sdk/go/common/resource/properties.go and
plugin/rpc.go, v3.259.0).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWN_TEXTS: Final = frozenset(
    {
        UNKNOWN_TEXT,  # string
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
    }
)

Properties = dict[str, Any]


class _Unknown:
    """A value that the engine does not know yet, in a preview."""

    def __repr__(self) -> str:
        return "<unknown>"

    def __deepcopy__(self, _memo: object) -> "_Unknown":
        return self  # there is one, known by its identity


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that must be encrypted in the state."""

    value: Any

    def __repr__(self) -> str:
        return "<secret>"


class AssetError(ValueError):
    """Files and archives as property values have no rule here."""


def decode(struct: struct_pb2.Struct) -> Properties:
    """The plain properties: secrets opened, whole numbers as int, UNKNOWN in place of what is not known yet."""
    return {name: _decode(value) for name, value in struct.fields.items()}


def _decode(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in UNKNOWN_TEXTS else value.string_value
    if kind == "struct_value":
        fields = {name: _decode(field) for name, field in value.struct_value.fields.items()}
        signature = fields.get(SIGNATURE)
        if signature in (SECRET, OUTPUT):
            return fields.get("value", UNKNOWN)
        if signature in (ASSET, ARCHIVE):
            raise AssetError("files and archives cannot be passed to the sandbox's providers: pass their content")
        return fields
    if kind == "list_value":
        return [_decode(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return value.bool_value if kind == "bool_value" else None


def encode(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """The engine's form; properties that are None are left out."""
    struct = struct_pb2.Struct()
    for name, value in properties.items():
        if value is not None:
            _encode(struct.fields[name], value)
    return struct


def _encode(target: struct_pb2.Value, value: Any) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif value is UNKNOWN:
        target.string_value = UNKNOWN_TEXT
    elif isinstance(value, Secret):
        target.struct_value.fields[SIGNATURE].string_value = SECRET
        _encode(target.struct_value.fields["value"], value.value)
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        for name, item in value.items():
            if item is not None:
                _encode(target.struct_value.fields[str(name)], item)
    else:
        target.list_value.SetInParent()
        for item in value:
            _encode(target.list_value.values.add(), item)


def has_unknown(value: Any) -> bool:
    """Whether anything in `value` is not known yet."""
    if value is UNKNOWN:
        return True
    if isinstance(value, dict):
        return any(map(has_unknown, value.values()))
    return isinstance(value, list) and any(map(has_unknown, value))


def known_only(value: Any) -> Any:
    """`value` without what is not known yet (list items stay, as None)."""
    if isinstance(value, dict):
        return {name: known_only(item) for name, item in value.items() if item is not UNKNOWN}
    if isinstance(value, list):
        return [known_only(item) for item in value]
    return None if value is UNKNOWN else value
