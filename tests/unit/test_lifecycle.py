"""What the commands decide before and after Pulumi is called."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import lifecycle
from sandbox.paths import REPOSITORY
from stacks.stackfile import StackFileError


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Pulumi's argument vectors, instead of Pulumi; every stack has a state."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(lifecycle, "_pulumi", lambda *arguments: calls.append(arguments) or 0)  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(lifecycle, "_has_state", lambda _stack: True)
    monkeypatch.setattr(lifecycle, "_forget", lambda _stack, **_more: None)
    return calls


def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, **changes: Any) -> None:
    """A copy of a checked-in stack's file, with changes."""
    content = yaml.safe_load((REPOSITORY / f"Pulumi.{name}.yaml").read_text())
    for key, value in changes.items():
        given = content["config"].get(f"llmops:{key}")
        content["config"][f"llmops:{key}"] = {**given, **value} if isinstance(given, dict) else value
    (tmp_path / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("LLMOPS_STACKS", str(tmp_path))


def test_a_protected_gke_cluster_is_refused_before_anything_is_destroyed(
    called: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack(monkeypatch, tmp_path, "gcp")
    with pytest.raises(StackFileError, match=r"llmops:gke\.deletionProtection: .* set it to false"):
        lifecycle.down("gcp", [])
    assert called == []


@pytest.mark.parametrize(("name", "changes"), [("aws", {}), ("gcp", {"gke": {"deletionProtection": False}})])
def test_down_keeps_the_protected_stores_of_a_cloud(
    called: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, changes: dict[str, Any]
) -> None:
    stack(monkeypatch, tmp_path, name, **changes)
    assert lifecycle.down(name, []) == 0
    assert called == [("destroy", "--stack", name, "--yes", "--skip-preview", "--exclude-protected")]


def test_an_ephemeral_stack_goes_whole(
    called: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack(monkeypatch, tmp_path, "aws", ephemeral=True)
    assert lifecycle.down("aws", []) == 0
    assert called == [("destroy", "--stack", "aws", "--yes", "--skip-preview")]
