"""Which chart at which version: plain data, for what must not load Pulumi to know it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart: `repository` is the chart repository's URL, empty where `name` is an oci:// reference."""

    name: str
    version: str
    repository: str = ""
