"""Values that the cloud makes: templates filled from a resource's own properties and from its seed.

`{vpcId}` is a property (any path), `{id}` the resource's id, `{account}`, `{region}`, `{project}`, `{now}` and so on
come from where it lives. A word before a name changes the value: `{last router}` is the text after the last slash.
With a number it is made up: `{hex 17}`, `{hex 17 main}` (another one), `{digits 12}`, `{octet}`, `{uuid}`.
"""

import hashlib
import ipaddress
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.provider.cloud import paths
from sandbox.provider.values import UNKNOWN

FIELD = re.compile(r"\{([^{}]+)\}")
ALPHABETS = {
    "hex": "0123456789abcdef",
    "upperhex": "0123456789ABCDEF",
    "digits": "0123456789",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
}


@dataclass(frozen=True)
class Seed:
    """What a resource's made-up values come from: the same for the same resource, so that previews are stable."""

    text: str

    def letters(self, alphabet: str, count: int, salt: str = "") -> str:
        """Made-up text of `count` letters; the first digit is never 0."""
        state = int.from_bytes(hashlib.shake_256(f"{self.text}\0{salt}".encode()).digest(count + 8), "big")
        letters: list[str] = []
        for _ in range(count):
            state, place = divmod(state, len(alphabet))
            letters.append(alphabet[place])
        if alphabet == ALPHABETS["digits"] and letters[:1] == ["0"]:
            letters[0] = "1"
        return "".join(letters)

    def uuid(self, salt: str = "") -> str:
        """A made-up UUID."""
        return str(uuid.UUID(bytes=hashlib.sha256(f"{self.text}\0{salt}".encode()).digest()[:16], version=4))


@dataclass(frozen=True)
class Context:
    """Where a resource lives, and everything known about it."""

    seed: Seed
    place: Mapping[str, str]
    properties: Mapping[str, Any]
    identifier: Any = None

    def fill(self, template: Any) -> Any:
        """The value of a template: None where a property it needs is absent, UNKNOWN where one is not known yet."""
        if isinstance(template, dict):
            return {name: self.fill(value) for name, value in template.items()}
        if isinstance(template, list):
            return [self.fill(item) for item in template]
        if not isinstance(template, str):
            return template
        whole = FIELD.fullmatch(template)
        if whole:
            return self._value(whole[1])
        parts = [self._value(name) for name in FIELD.findall(template)]
        if any(part is UNKNOWN for part in parts):
            return UNKNOWN
        if any(part is None for part in parts):
            return None
        filled = iter(parts)
        return FIELD.sub(lambda _: str(next(filled)), template)

    def _value(self, expression: str) -> Any:
        word, *rest = expression.split(" ")
        if word in ALPHABETS and rest:
            return self.seed.letters(ALPHABETS[word], int(rest[0]), " ".join(rest[1:]))
        if word == "octet":
            return 1 + int(self.seed.letters(ALPHABETS["hex"], 4, "octet" + " ".join(rest)), 16) % 254
        if word == "uuid":
            return self.seed.uuid(" ".join(rest))
        if rest:
            value = self._value(rest[0])
            return value if value is UNKNOWN or value is None else CHANGES[word](str(value))
        if word == "id":
            return self.identifier
        if word in self.place:
            return self.place[word]
        return paths.first(self.properties, word)


def _last(text: str) -> str:
    return text.rstrip("/").rpartition("/")[2]


def _host(text: str) -> str:
    return text.removeprefix("https://")


def _first(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False)[1])


CHANGES = {"last": _last, "host": _host, "first": _first}
