"""List prices, from the dated file `data/prices.yaml`. Nothing here asks a cloud."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent / "data" / "prices.yaml"
HOURS = 730  # of a month, as the clouds' own calculators reckon


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What one cloud asks, in USD without taxes."""

    region: str
    noted: str  # the date
    source: str
    machines: Mapping[str, float]  # an hour, on demand
    items: Mapping[str, float]  # see the file for each one's unit


@functools.cache
def load() -> dict[str, Prices]:
    """The prices by cloud: `aws`, `gcp`."""
    content: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())
    return {
        cloud: Prices(
            region=str(table["region"]),
            noted=str(table["noted"]),
            source=str(table["source"]),
            machines={str(k): float(v) for k, v in table["machines"].items()},
            items={str(k): float(v) for k, v in table["items"].items()},
        )
        for cloud, table in content.items()
    }
