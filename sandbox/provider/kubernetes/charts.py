"""Charts, from their projects' own Go modules: chart repositories are not needed.

A module holds a chart as its project writes it; what the project's release step does to it is done here.
"""

import hashlib
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.provider.contract import ProviderError
from sandbox.provider.kubernetes import definitions

PREPARATION = "4"  # part of the cache key: raise it when `prepare` changes what it writes


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A published chart, and where its source lies. Where it is published does not matter: mirrors hold the same."""

    reference: str
    version: str
    module: str
    directory: str
    app_version: str = ""  # where it is not the chart's own
    definitions: str = ""  # the CRDs' directory in the module, where the release step copies it into the chart
    # What the release step puts for the placeholders of values.tmpl.yaml.
    placeholders: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        """Its own name."""
        return name_of(self.reference)


def name_of(reference: str) -> str:
    """The chart's name in `name`, `repository/name` or `oci://…/name`."""
    return reference.rstrip("/").rpartition("/")[2]


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
    Chart(
        reference="oci://quay.io/jetstack/charts/cert-manager",
        version="v1.21.2",
        module="github.com/cert-manager/cert-manager",
        directory="deploy/charts/cert-manager",
    ),
    Chart(
        reference="oci://public.ecr.aws/karpenter/karpenter",
        version="1.15.0",
        module="github.com/aws/karpenter-provider-aws",
        directory="charts/karpenter",
        definitions="pkg/apis/crds",  # `crds` is a link there, and modules have no links
    ),
    Chart(
        reference="oci://registry.k8s.io/lws/charts/lws",
        version="0.9.0",
        app_version="v0.9.0",
        module="sigs.k8s.io/lws",
        directory="charts/lws",
    ),
    Chart(
        reference="https://metallb.github.io/metallb/metallb",
        version="0.16.1",
        app_version="v0.16.1",
        module="go.universe.tf/metallb",
        directory="charts/metallb",
    ),
    Chart(
        reference="https://kubernetes-sigs.github.io/external-dns/external-dns",
        version="1.22.0",
        app_version="0.22.0",
        module="sigs.k8s.io/external-dns",
        directory="charts/external-dns",
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


def find(reference: str, version: str | None) -> Chart | None:
    """The table's chart, or None."""
    for chart in CHARTS:
        if chart.name == name_of(reference) and _plain(version) in ("", _plain(chart.version)):
            return chart
    return None


def unknown(reference: str, version: str | None) -> ProviderError:
    """One sentence for a chart that is not in the table."""
    known = ", ".join(f"{chart.reference} {chart.version}" for chart in CHARTS)
    return ProviderError(
        f"The chart {reference} {version or ''}".rstrip() + f" has no rule in the sandbox; there is {known} "
        "(sandbox/provider/kubernetes/charts.py)."
    )


def prepare(chart: Chart) -> Prepared:
    """The chart in the cache, ready to install. Raises ProviderError."""
    key = hashlib.sha256(f"{chart}\0{PREPARATION}".encode()).hexdigest()[:12]
    name = f"{chart.name}-{chart.version}-{key}"
    folder = definitions.once(name, lambda part: _write(chart, definitions.module(chart.module), part))
    return Prepared(folder / "chart", folder / "crds")


def _write(chart: Chart, module: Path, target: Path) -> None:
    source = module / chart.directory
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
    app = chart.app_version or chart.version
    head.write_text(re.sub(r"^appVersion:.*$", f'appVersion: "{app}"', text, count=1, flags=re.MULTILINE))
    _part_definitions(target)
    if chart.definitions:
        definitions.write(sorted((module / chart.definitions).glob("*.yaml")), target / "crds")


def _part_definitions(target: Path) -> None:
    """Move the CRDs out: helm installs them once and never upgrades them, so we apply them ourselves.

    It also keeps four megabytes out of every revision that helm stores in the cluster.
    """
    (target / "crds").mkdir()
    for folder in [p for p in (target / "chart").rglob("crds") if (p.parent / "Chart.yaml").exists()]:
        if (folder / "Chart.yaml").exists():
            continue  # a subchart of that name
        definitions.write(sorted(folder.rglob("*.yaml")), target / "crds")
        shutil.rmtree(folder)


def _plain(version: str | None) -> str:
    return (version or "").removeprefix("v")
