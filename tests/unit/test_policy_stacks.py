"""Every checked-in stack, built against mocks: it keeps every rule, costs something, and looks like its picture."""

import functools
import os
from pathlib import Path

import pytest

from ci.diagram import mermaid, replaced
from policy import cost
from policy.catalogue import limits, violations
from sandbox.paths import REPOSITORY
from stacks.settings import Settings, parse
from stacks.targets import build
from tests.unit import checked_in
from tests.unit.recorder import Amazon, Google, Recorder
from tests.unit.tree import Tree, built

PAGE = REPOSITORY / "docs" / "understand" / "architecture.md"
RECORDERS = {"local": Recorder, "aws": Amazon, "gcp": Google}
CLOUDS = {"aws": "aws", "gcp": "gcp"}


@functools.cache
def settings(stack: str) -> Settings:
    return parse(checked_in.values(stack))


@functools.cache
def tree(stack: str) -> Tree:
    return built(RECORDERS[stack](), stack, lambda: build(settings(stack)))


@pytest.fixture(params=sorted(RECORDERS))
def stack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text('{"clusters": [{"cluster": {"server": "https://10.0.0.1:6443"}}]}')
    monkeypatch.setenv("LLMOPS_KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("LLMOPS_MODEL_STORE", "/store")
    return request.param


def test_it_keeps_every_rule(stack: str) -> None:
    found = violations(tree(stack).seen(), limits(settings(stack)))
    assert [f"{v.rule}: {v.urn.rpartition('::')[2]}: {v.text}" for v in found] == []


def test_everything_that_costs_money_has_a_price(stack: str) -> None:
    found = cost.total(tree(stack).seen())
    assert found.unpriced == ()
    assert (found.high > found.low > 100) is (stack in CLOUDS)


def test_its_picture_is_the_programs(stack: str) -> None:
    """`INVENTORIES=write make test-unit` draws it anew."""
    drawn = replaced(PAGE.read_text(), stack, mermaid(tree(stack).nodes))
    if os.environ.get("INVENTORIES") == "write":
        PAGE.write_text(drawn)
    assert PAGE.read_text() == drawn
