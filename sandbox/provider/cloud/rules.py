"""The rules of every resource type, as data: one YAML file a package area under rules/, one row a type (README.md)."""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sandbox.provider.contract import ProviderError

FOLDER = Path(__file__).with_name("rules")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One resource type. README.md says what each field means."""

    token: str
    source: str
    id: str
    replace: list[str]
    api: list[str] = field(default_factory=list[str])
    fields: dict[str, str] = field(default_factory=dict[str, str])
    name: str = ""
    name_prefix: str = ""
    name_suffix_if: dict[str, str] = field(default_factory=dict[str, str])
    name_max: int = 0
    unique: str = ""
    conflicts: list[list[str]] = field(default_factory=list[list[str]])
    one_of: list[list[str]] = field(default_factory=list[list[str]])
    sets: list[str] = field(default_factory=list[str])
    defaults: dict[str, Any] = field(default_factory=dict[str, Any])
    computed: dict[str, Any] = field(default_factory=dict[str, Any])
    absent: dict[str, str] = field(default_factory=dict[str, str])
    provides: list[str] = field(default_factory=list[str])
    secrets: list[str] = field(default_factory=list[str])
    json: list[str] = field(default_factory=list[str])
    checks: dict[str, str] = field(default_factory=dict[str, str])
    refers: dict[str, str] = field(default_factory=dict[str, str])
    outside: dict[str, str] = field(default_factory=dict[str, str])
    loose: list[str] = field(default_factory=list[str])
    permanent: bool = False
    behaviour: str = ""
    # A service without regions: IAM, Route 53.
    anywhere: bool = False

    @property
    def package(self) -> str:
        """aws or gcp."""
        return self.token.partition(":")[0]

    @property
    def kind(self) -> str:
        """What a person calls it: `Vpc`."""
        return self.token.rpartition(":")[2]


def row(token: str) -> Row:
    """The rules of a type. Raises ProviderError with one sentence where there are none."""
    package, _, rest = token.partition(":")
    found = area(package, rest.partition("/")[0]).get(token)
    if found is None:
        raise ProviderError(
            f"{token} has no rule in the sandbox's {package} stand-in: add a row to "
            f"sandbox/provider/cloud/rules/{package}/ (its README.md says how)."
        )
    return found


@functools.cache
def area(package: str, name: str) -> dict[str, Row]:
    """The rows of one area of a package, e.g. ("aws", "ec2"). Empty where there is no file."""
    path = FOLDER / package / f"{name}.yaml"
    if not path.is_file():
        return {}
    loaded: dict[str, dict[str, Any]] = yaml.load(
        path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )["types"]
    rows: dict[str, Row] = {}
    for token, values in loaded.items():
        values = {"anywhere" if key == "global" else key: value for key, value in values.items()}
        rows[token] = Row(token=token, **values)
    return rows


def tokens() -> list[str]:
    """Every type that has a rule."""
    return [token for file in sorted(FOLDER.glob("*/*.yaml")) for token in area(file.parent.name, file.stem)]
