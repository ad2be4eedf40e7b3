"""Charts, from their projects' own Go modules: chart repositories are not needed.

A module holds a chart as its project writes it; what the project's release step does to it is done here.
"""

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.paths import cache_root
from sandbox.provider.contract import ProviderError

PREPARATION = "3"  # part of the cache key: raise it when `prepare` changes what it writes

# On every CRD that we apply: what it was made from, so that an unchanged one is left alone.
CONTENT = "llmops.sandbox/content"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A published chart, and where its source lies."""

    reference: str
    version: str
    module: str
    directory: str
    # What the release step puts for the placeholders of values.tmpl.yaml.
    placeholders: dict[str, str] = field(default_factory=dict[str, str])


CHARTS = (
    Chart(
        reference="oci://docker.io/envoyproxy/gateway-helm",
        version="v1.9.1",
        module="github.com/envoyproxy/gateway",
        directory="charts/gateway-helm",
        # tools/make/helm.mk of that module
        placeholders={
            "${GatewayImage}": "docker.io/envoyproxy/gateway:v1.9.1",
            "${GatewayImagePullPolicy}": "IfNotPresent",
        },
    ),
)


@dataclass(frozen=True)
class Prepared:
    """A chart that helm can install, its CRDs apart: one JSON document a file."""

    chart: Path
    crds: Path

    def definitions(self) -> list[Path]:
        """The CRDs' files."""
        return sorted(self.crds.glob("*.json"))


def find(reference: str, version: str | None) -> Chart:
    """The table's chart. Raises ProviderError naming what there is."""
    for chart in CHARTS:
        if chart.reference == reference and _plain(version) in ("", _plain(chart.version)):
            return chart
    known = ", ".join(f"{chart.reference} {chart.version}" for chart in CHARTS)
    raise ProviderError(
        f"The chart {reference} {version or ''}".rstrip() + f" has no rule in the sandbox; there is {known} "
        "(sandbox/provider/kubernetes/charts.py)."
    )


def prepare(chart: Chart) -> Prepared:
    """The chart in the cache, ready to install. Raises ProviderError."""
    key = hashlib.sha256(f"{chart}\0{PREPARATION}".encode()).hexdigest()[:12]
    folder = cache_root() / "charts" / f"{Path(chart.directory).name}-{chart.version}-{key}"
    if not folder.is_dir():
        part = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        _write(chart, _source(chart), part)
        try:
            part.rename(folder)
        except OSError:  # another command was quicker
            shutil.rmtree(part, ignore_errors=True)
    return Prepared(folder / "chart", folder / "crds")


def _source(chart: Chart) -> Path:
    from sandbox.toolchain import ToolchainError, module_dir

    try:
        module = module_dir(chart.module)
    except ToolchainError as error:
        raise ProviderError(f"{chart.module}: {error}") from None
    if not module.name.endswith(f"@{chart.version}"):
        raise ProviderError(f"The module {module.name} is not the chart's version {chart.version}: align the two pins.")
    return module / chart.directory


def _write(chart: Chart, source: Path, target: Path) -> None:
    # copyfile: the module cache is read-only, the copy must not be
    shutil.copytree(source, target / "chart", copy_function=shutil.copyfile)
    for path in (target / "chart", *(target / "chart").rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    template = target / "chart" / "values.tmpl.yaml"
    if template.exists():
        text = template.read_text()
        for placeholder, value in chart.placeholders.items():
            text = text.replace(placeholder, value)
        (target / "chart" / "values.yaml").write_text(text)
        template.unlink()
    head = target / "chart" / "Chart.yaml"
    text = re.sub(r"^version:.*$", f"version: {chart.version}", head.read_text(), count=1, flags=re.MULTILINE)
    head.write_text(re.sub(r"^appVersion:.*$", f'appVersion: "{chart.version}"', text, count=1, flags=re.MULTILINE))
    _part_definitions(target)


def _part_definitions(target: Path) -> None:
    """Move the CRDs out: helm installs them once and never upgrades them, so we apply them ourselves.

    It also keeps four megabytes out of every revision that helm stores in the cluster.
    """
    import yaml  # once for each version of a chart

    crds = target / "crds"
    crds.mkdir()
    for folder in [p for p in (target / "chart").rglob("crds") if (p.parent / "Chart.yaml").exists()]:
        if (folder / "Chart.yaml").exists():
            continue  # a subchart of that name
        for file in sorted(folder.rglob("*.yaml")):
            for document in yaml.load_all(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
                if document and document.get("kind") == "CustomResourceDefinition":
                    metadata = document["metadata"]
                    mark = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
                    metadata["annotations"] = {**(metadata.get("annotations") or {}), CONTENT: mark}
                    # JSON: the API server reads it several times faster
                    (crds / f"{metadata['name']}.json").write_text(json.dumps(document))
        shutil.rmtree(folder)


def _plain(version: str | None) -> str:
    return (version or "").removeprefix("v")
