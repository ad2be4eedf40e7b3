"""Objects of a preview as files."""

from pathlib import Path
from typing import Any

import yaml

from sandbox import rendering
from sandbox.provider.values import UNKNOWN_TEXT


def step(kind: str, operation: str = "create", **inputs: Any) -> dict[str, Any]:
    """One step of `pulumi preview --json`."""
    return {"op": operation, "newState": {"type": kind, "inputs": inputs}}


def written(tmp_path: Path, *steps: dict[str, Any]) -> dict[str, Any]:
    """The files that these steps become, by name."""
    assert rendering.write({"steps": list(steps)}, tmp_path / "out") == len(list((tmp_path / "out").iterdir()))
    return {file.name: yaml.safe_load(file.read_text()) for file in (tmp_path / "out").iterdir()}


def test_an_object_is_written_as_the_api_server_takes_it(tmp_path: Path) -> None:
    files = written(
        tmp_path,
        step("kubernetes:core/v1:Service", metadata={"name": "a", "namespace": "n"}, spec={"type": "ClusterIP"}),
        step("kubernetes:apps/v1:Deployment", "same", metadata={"name": "b", "namespace": "n"}),
        step("kubernetes:apps/v1:Deployment", "delete", metadata={"name": "c"}),
        step("aws:s3/bucket:Bucket", bucket="x"),
    )
    assert files == {
        "n-service-a.yaml": {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "a", "namespace": "n"},
            "spec": {"type": "ClusterIP"},
        },
        "n-deployment-b.yaml": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "b", "namespace": "n"},
        },
    }


def test_what_only_an_update_tells_is_said_so(tmp_path: Path) -> None:
    spec = {"containers": [{"image": UNKNOWN_TEXT}]}
    files = written(tmp_path, step("kubernetes:core/v1:Pod", metadata={"name": "a"}, spec=spec))
    assert files["pod-a.yaml"]["spec"] == {"containers": [{"image": rendering.LATER}]}


def test_a_release_stands_as_its_chart_and_values(tmp_path: Path) -> None:
    release: dict[str, Any] = {"name": "r", "chart": "c", "version": "1", "values": {"a": 1}, "timeout": 3}
    files = written(tmp_path, step("kubernetes:helm.sh/v3:Release", **release))
    assert files["release-r.yaml"] == {"release": {"name": "r", "chart": "c", "version": "1", "values": {"a": 1}}}
