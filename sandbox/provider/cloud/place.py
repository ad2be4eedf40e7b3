"""Where resources live: account, region and project, from the provider's configuration as the real ones read it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.provider.contract import ProviderError
from sandbox.provider.values import UNKNOWN, Properties

# A made-up account; AWS's own documentation uses it.
ACCOUNT = "123456789012"
PROJECT_NUMBER = "415104041262"
PARTITIONS = {"us-gov": "aws-us-gov", "cn": "aws-cn"}
ATTRIBUTION = {"goog-pulumi-provisioned": "true"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """One configured provider."""

    package: str
    region: str | None = None
    zone: str | None = None
    project: str | None = None
    account: str = ACCOUNT
    # Tags or labels that every resource gets.
    labels: dict[str, Any] = field(default_factory=dict[str, Any])

    def words(self, inputs: Mapping[str, Any]) -> dict[str, str]:
        """What templates may name, for a resource with these inputs."""
        region = _text(inputs.get("region")) or self.region or ""
        words = {
            "account": self.account,
            "partition": partition(region),
            "region": region,
            "project_number": PROJECT_NUMBER,
        }
        if self.package == "gcp":
            words["project"] = _text(inputs.get("project")) or self.project or ""
            words["region"] = (_text(inputs.get("region")) or self.region or "").rpartition("/")[2]
            location = inputs.get("location")
            words["location"] = (_text(location) or self.zone or self.region or "") if location is not UNKNOWN else ""
        return words


def place(package: str, config: Properties) -> Place:
    """The place that a provider's settings name, else the environment, as the real providers do."""
    if package == "aws":
        return Place(
            package="aws",
            region=_text(config.get("region")) or _environment("AWS_REGION", "AWS_DEFAULT_REGION"),
            account=_environment("LLMOPS_STANDIN_ACCOUNT") or ACCOUNT,
            labels=dict(_structure(config, "defaultTags").get("tags") or {}),
        )
    attributed = str(config.get("addPulumiAttributionLabel", "true")).lower() != "false"
    return Place(
        package="gcp",
        project=_text(config.get("project"))
        or _environment("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"),
        region=_text(config.get("region")) or _environment("GOOGLE_REGION", "GCLOUD_REGION", "CLOUDSDK_COMPUTE_REGION"),
        zone=_text(config.get("zone")) or _environment("GOOGLE_ZONE", "GCLOUD_ZONE", "CLOUDSDK_COMPUTE_ZONE"),
        labels={**_structure(config, "defaultLabels"), **(ATTRIBUTION if attributed else {})},
    )


def require(found: Place) -> None:
    """What the real providers cannot be configured without. Raises ProviderError."""
    if found.package == "aws" and not found.region:
        raise ProviderError("aws has no region: set aws:region in the stack, or AWS_REGION.")


def settings(config: Properties) -> Properties:
    """The configuration with values as the SDK types them: the engine passes everything but text as JSON."""
    return {name: _parsed(value) for name, value in config.items()}


def partition(region: str) -> str:
    """`aws`, or another one for China and the US government."""
    return next((name for start, name in PARTITIONS.items() if region.startswith(f"{start}-")), "aws")


def short(region: str) -> str:
    """`eu-central-1` → `euc1`: the start of a zone's id."""
    area, _, rest = region.partition("-")
    direction, _, number = rest.partition("-")
    return f"{area}{direction[:1]}{number}"


def _environment(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def _structure(config: Properties, name: str) -> dict[str, Any]:
    value = _parsed(config.get(name))
    return value if isinstance(value, dict) else {}


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value is not UNKNOWN and value[:1] in "[{":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
