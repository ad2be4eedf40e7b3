"""Ephemeral stacks on the real CLI: tags that outlive everything, and a janitor on another machine."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ci import ephemeral
from ci.project import Project as Stacks
from tests.hermetic.project import Project

NOW = datetime(2026, 11, 25, 8, 0, 0, tzinfo=UTC)


@pytest.fixture
def stacks(project: Project, monkeypatch: pytest.MonkeyPatch) -> Stacks:
    """The project's stacks; one target to derive from."""
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LLMOPS_STACKS", str(project.folder))
    project.program("""
        word = random.RandomPassword("word", length=8)
        pulumi.export("gateway", pulumi.Config("llmops").require_object("gateway"))
    """)
    (project.folder / "Pulumi.here.yaml").write_text(
        "config:\n"
        "  llmops:targets: [local]\n"
        "  llmops:models: [{name: tiny-llama, replicas: 3}]\n"
        "  llmops:tenants: [{name: team-a}]\n"
        "  llmops:gateway: {hostname: llm.example.com}\n"
    )
    return Stacks(project.folder)


def test_two_come_and_go_and_the_janitor_needs_nothing_but_the_backend(
    stacks: Stacks, project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    def bring_up(name: str) -> int:
        return 0 if "created" in project.run("up", "--yes", "--skip-preview", stack=name) else 1

    for name, ttl in (("pr-1", "1h"), ("pr-2", "1d")):
        assert ephemeral.up(stacks, name, "local", ttl, bring_up, NOW) == 0
    assert stacks.stacks() == ["pr-1", "pr-2"]
    assert stacks.tags("pr-1")["llmops:expires"] == "2026-11-25T09:00:00Z"
    assert "llm.example.com" not in project.run("stack", "output", stack="pr-1")

    (project.folder / "Pulumi.pr-1.yaml").unlink()  # as on the janitor's own checkout
    later = NOW + timedelta(hours=2)
    assert ephemeral.janitor(stacks, later, destroy=False) == 0
    assert stacks.stacks() == ["pr-1", "pr-2"]
    assert ephemeral.janitor(stacks, later, destroy=True) == 0
    assert stacks.stacks() == ["pr-2"]
    assert [p.name for p in Path(project.folder).glob("Pulumi.*.yaml")].count("Pulumi.pr-1.yaml") == 0

    assert ephemeral.down(stacks, "pr-2") == 0
    assert ephemeral.down(stacks, "pr-2") == 0  # once more is no mistake
    assert stacks.stacks() == []
    assert "there is no such stack; nothing to do" in capfd.readouterr().err


def test_one_that_never_came_up_is_found_by_its_tags(stacks: Stacks) -> None:
    assert ephemeral.up(stacks, "pr-3", "local", "1h", lambda _name: 255, NOW) == 255
    assert ephemeral.janitor(stacks, NOW + timedelta(hours=1), destroy=True) == 0
    assert stacks.stacks() == []
