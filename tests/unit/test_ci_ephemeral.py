"""Ephemeral stacks: their names, their files, their time, and the janitor."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci import derive, ephemeral
from ci.derive import EphemeralError
from ci.project import Project
from stacks import stackfile
from stacks.settings import parse
from tests.unit.checked_in import plain

NOW = datetime(2026, 11, 25, 8, 0, 0, tzinfo=UTC)
EKS: dict[str, Any] = {
    "llmops:targets": ["eks"],
    "llmops:models": [
        {
            "name": "large",
            "mode": "llmapi",
            "pool": "h100",
            "replicas": 4,
            "parallelism": {"tensor": 8, "pipeline": 2},
            "shape": {"parametersBillion": 70, "layers": 80, "kvHeads": 8, "headSize": 128},
            "precision": "fp8",
        }
    ],
    "llmops:tenants": [{"name": "team-a", "tokensPerMinute": 100000}],
    "llmops:apiKeys": {"team-a": {"secure": "v1:abc"}},
    "llmops:tlsKey": {"secure": "v1:abc"},
    "llmops:gateway": {
        "replicas": 3,
        "hostname": "llm.example.com",
        "dnsZone": "Z1",
        "tls": {"kind": "acme", "email": "a@example.com"},
    },
    "llmops:eks": {
        "region": "eu-central-1",
        "account": "123456789012",
        "nat": "zone",
        "systemNodes": {"min": 3, "max": 9},
        "nodeGroups": [
            {
                "name": "h100",
                "instanceType": "p5.48xlarge",
                "min": 1,
                "max": 8,
                "capacity": "reservation",
                "reservationId": "cr-0123456789abcdef0",
                "zones": ["eu-central-1a"],
                "efa": True,
            },
            {"name": "l4", "instanceType": "g6.xlarge", "max": 4},
        ],
    },
}


class Memory(Project):
    """A project whose stacks are kept in memory, and which remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        object.__setattr__(self, "held", {})
        object.__setattr__(self, "destroyed", [])

    held: dict[str, dict[str, str]]
    destroyed: list[str]

    def stacks(self) -> list[str]:
        return sorted(self.held)

    def create(self, stack: str, tags: dict[str, str]) -> None:
        self.held.setdefault(stack, {}).update(tags)

    def tags(self, stack: str) -> dict[str, str]:
        return dict(self.held[stack])

    def destroy(self, stack: str) -> int:
        assert stackfile.path(stack).exists()  # the wrapper reads it
        self.destroyed.append(stack)
        if stack == "pr-stuck":
            return 255
        del self.held[stack]
        return 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMOPS_STACKS", str(tmp_path))
    (tmp_path / "Pulumi.aws.yaml").write_text(
        yaml.safe_dump({"secretsprovider": "awskms://alias/llmops", "encryptedkey": "abc", "config": EKS})
    )
    return tmp_path


def up(project: Project, name: str, target: str = "eks", ttl: str = "8h", code: int = 0) -> int:
    return ephemeral.up(project, name, target, ttl, lambda _name: code, NOW)


@pytest.mark.parametrize("name", ["pr-123", "load-test", "abc", "a1b", "x" * 20])
def test_a_name_that_will_do(name: str, folder: Path) -> None:
    derive.check_name(name)


@pytest.mark.parametrize("name", ["", "ab", "PR-123", "pr_1", "1pr", "pr-", "pr--1", "x" * 21, "../aws", "pr-1\n"])
def test_a_name_that_will_not_is_refused_in_one_sentence(name: str, folder: Path) -> None:
    with pytest.raises(EphemeralError, match=r"is no name for an ephemeral stack: use 3 to 20 small letters") as caught:
        derive.check_name(name)
    assert str(caught.value).count(". ") == 0


def test_nobody_elses_stack_is_taken(folder: Path) -> None:
    with pytest.raises(EphemeralError, match="is a stack that is not ephemeral"):
        up(Memory(), "aws")
    project = Memory()
    project.held["kept"] = {}
    with pytest.raises(EphemeralError, match="is a stack that is not ephemeral"):
        up(project, "kept")
    with pytest.raises(EphemeralError, match="`make down STACK=kept` destroys it"):
        ephemeral.down(project, "kept")


@pytest.mark.parametrize("ttl", ["8", "0h", "-1h", "8 h", "15d", "1w", ""])
def test_a_time_that_will_not_do_is_refused(ttl: str, folder: Path) -> None:
    with pytest.raises(EphemeralError, match="is no time to live"):
        up(Memory(), "pr-1", ttl=ttl)


def test_the_smallest_cluster_that_serves_the_same_models(folder: Path) -> None:
    config = derive.derive(EKS, "eks", derive.stamp(NOW))
    values = parse(plain(config))
    assert values.ephemeral
    assert values.eks is not None
    assert [(g.min, g.max) for g in values.eks.node_groups] == [(0, 2), (0, 1)]  # 16 GPUs, and a pool for nothing
    assert values.models[0].replicas == 1
    assert values.gateway.internal
    assert (values.gateway.replicas, values.eks.nat) == (1, "single")


@pytest.mark.parametrize("target", ["eks", "gke"])
def test_the_checked_in_stacks_can_be_derived_from(target: str) -> None:
    config = derive.derive(derive.config_of(derive.source_of(target)), target, derive.stamp(NOW))
    values = parse(plain(config))
    block = getattr(values, target)
    groups = block.node_groups if target == "eks" else block.node_pools
    assert all(group.min == 0 and group.capacity in ("on-demand", "spot") for group in groups)
    assert values.gateway.hostname is None


def test_nothing_that_only_one_stack_can_own_is_taken_over() -> None:
    text = yaml.safe_dump(derive.derive(EKS, "eks", derive.stamp(NOW)))
    assert not [
        word for word in ("llm.example.com", "Z1", "acme", "secure", "apiKeys", "cr-0123456789abcdef0") if word in text
    ]


def test_two_at_once_have_files_and_tags_of_their_own(folder: Path) -> None:
    project = Memory()
    assert up(project, "pr-1") == up(project, "pr-2", ttl="2d") == 0
    assert sorted(p.name for p in folder.iterdir()) == ["Pulumi.aws.yaml", "Pulumi.pr-1.yaml", "Pulumi.pr-2.yaml"]
    assert project.held["pr-1"]["llmops:expires"] == "2026-11-25T16:00:00Z"
    assert project.held["pr-2"]["llmops:expires"] == "2026-11-27T08:00:00Z"


def test_the_file_keeps_how_the_targets_stack_keeps_secrets(folder: Path) -> None:
    up(Memory(), "pr-1")
    content = yaml.safe_load((folder / "Pulumi.pr-1.yaml").read_text())
    assert (content["secretsprovider"], content["encryptedkey"]) == ("awskms://alias/llmops", "abc")


def test_the_time_is_kept_before_anything_is_made(folder: Path) -> None:
    project = Memory()
    assert up(project, "pr-1", code=255) == 255
    assert ephemeral.find(project)["pr-1"].expires == NOW + timedelta(hours=8)


def test_again_is_the_same_stack_with_a_new_time(folder: Path) -> None:
    project = Memory()
    up(project, "pr-1")
    up(project, "pr-1", ttl="1d")
    assert ephemeral.find(project)["pr-1"].expires == NOW + timedelta(days=1)
    with pytest.raises(EphemeralError, match="is an ephemeral stack of eks"):
        up(project, "pr-1", target="gke")


def test_a_shared_cluster_is_no_target(folder: Path) -> None:
    with pytest.raises(EphemeralError, match="TARGET='dgx' cannot be made and lost"):
        up(Memory(), "pr-1", target="dgx")


def test_the_janitor_destroys_only_what_is_past_and_only_when_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Memory()
    up(project, "pr-old", ttl="1h")
    up(project, "pr-new", ttl="1d")
    project.held["aws"] = {}
    later = NOW + timedelta(hours=2)
    assert ephemeral.janitor(project, later, destroy=False) == 0
    assert project.destroyed == []
    assert "DESTROY=yes" in capsys.readouterr().out
    assert ephemeral.janitor(project, later, destroy=True) == 0
    assert project.destroyed == ["pr-old"]
    assert project.stacks() == ["aws", "pr-new"]
    assert not (folder / "Pulumi.pr-old.yaml").exists()


def test_the_janitor_needs_no_checkout_of_the_stacks_maker(folder: Path) -> None:
    project = Memory()
    up(project, "pr-1", ttl="1h")
    (folder / "Pulumi.pr-1.yaml").unlink()
    assert ephemeral.janitor(project, NOW + timedelta(hours=2), destroy=True) == 0
    assert project.stacks() == []


def test_one_that_will_not_go_does_not_keep_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Memory()
    up(project, "pr-stuck", ttl="1h")
    up(project, "pr-2", ttl="2h")
    assert ephemeral.janitor(project, NOW + timedelta(hours=3), destroy=True) == 1
    assert project.stacks() == ["pr-stuck"]
    assert "not destroyed: pr-stuck" in capsys.readouterr().err
    assert (folder / "Pulumi.pr-stuck.yaml").exists()


def test_a_time_that_nobody_can_read_is_over(folder: Path) -> None:
    project = Memory()
    up(project, "pr-1")
    project.held["pr-1"]["llmops:expires"] = "tomorrow"
    ephemeral.janitor(project, NOW, destroy=True)
    assert project.stacks() == []
