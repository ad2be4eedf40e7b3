"""One resource as the rules see it, whether it comes from the engine or from a preview's JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

# What the engine sends for values that only an update will know (sdk/python/lib/pulumi_policy/proxy.py); a preview's
# JSON has the same words, and one more for what is secret.
UNKNOWNS: Final = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # a string
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # a list
        "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
        "[secret]",
    }
)


class Unknown:
    """A value that is not known before the update. Rules hold nothing against it: the update is checked again."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()
Props = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource's inputs, keyed as in the provider's schema (camelCase)."""

    type: str  # e.g. aws:s3/bucket:Bucket
    props: Props
    name: str = ""
    urn: str = ""
    protect: bool = False
    provider: Props = field(default_factory=dict[str, Any])  # the inputs of its provider
    # The resources that a property takes its value from, by their URNs.
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


def plain(value: Any) -> Any:
    """A value without the policy SDK's proxies: plain maps and lists, with UNKNOWN where nothing is known."""
    if isinstance(value, str):
        return UNKNOWN if value in UNKNOWNS else value
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        return {str(key): plain(_item(mapping, key)) for key in mapping}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        sequence = cast("Sequence[Any]", value)
        return [plain(_item(sequence, index)) for index in range(len(sequence))]
    return value


def _item(container: Any, key: Any) -> Any:
    try:
        return container[key]
    except Exception as error:
        # The SDK's proxies raise for an unknown value instead of returning it.
        if type(error).__name__ == "UnknownValueError":
            return UNKNOWN
        raise


def at(value: Any, path: str) -> Any:
    """What lies at a dotted path; None where there is nothing, UNKNOWN where nobody knows yet."""
    for part in path.split("."):
        if value is UNKNOWN:
            return UNKNOWN
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, Any]", value).get(part)
    return value


def maps(value: Any) -> Iterator[Props]:
    """The maps in a list, or a single map itself. Nothing for everything else."""
    if isinstance(value, Mapping):
        yield cast("Props", value)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            if isinstance(item, Mapping):
                yield cast("Props", item)


def words(value: Any) -> list[str]:
    """The texts in a list, or a single text itself."""
    if isinstance(value, str):
        return [value]
    return [item for item in cast("list[Any]", value) if isinstance(item, str)] if isinstance(value, list) else []


def known_false(value: Any) -> bool:
    """Whether a switch is off or missing. Kubernetes' and the clouds' providers also send "true" as text."""
    return value is not UNKNOWN and str(value).lower() != "true"
