"""The picture of a stack: boxes are components, arrows what waits for what."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime import mocks

from ci.diagram import Node, mermaid, replaced
from stacks import local
from stacks.settings import parse
from tests.unit.test_stack_local import Recorder

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "understand" / "architecture.md"


def node(name: str, kind: str, parent: str = "", *dependencies: str) -> Node:
    return Node(urn=name, type=kind, name=name, parent=parent, dependencies=dependencies)


STACK = [
    node("store", "llmops:index:Store"),
    node("bucket", "aws:s3/bucket:Bucket", "store"),
    node("cluster", "llmops:index:Cluster"),
    node("nodes", "llmops:index:Nodes", "cluster"),
    node("group", "aws:eks/nodeGroup:NodeGroup", "nodes", "bucket"),
    node("serving", "llmops:index:Serving"),
    node("pods", "kubernetes:apps/v1:Deployment", "serving", "group", "bucket"),
    node("space", "kubernetes:core/v1:Namespace", "", "group"),
]


def test_a_box_is_an_outermost_component_or_an_object_of_nobodys() -> None:
    lines = mermaid(STACK).splitlines()
    assert [line.strip() for line in lines if '["' in line] == [
        'n0["<b>Namespace</b> space"]',
        'n1["<b>Cluster</b> cluster<br/>NodeGroup"]',
        'n2["<b>Serving</b> serving<br/>Deployment"]',
        'n3["<b>Store</b> store<br/>Bucket"]',
    ]


def test_an_arrow_that_follows_from_others_is_left_out() -> None:
    arrows = [line.strip() for line in mermaid(STACK).splitlines() if "-->" in line]
    assert arrows == ["n1 --> n0", "n1 --> n2", "n3 --> n1"]  # and not n3 --> n2


def test_the_order_of_registration_does_not_matter() -> None:
    assert mermaid(STACK) == mermaid(reversed(STACK))


def test_a_page_without_a_place_for_the_stack_is_refused() -> None:
    with pytest.raises(ValueError, match="has no place for gcp"):
        replaced("<!-- diagram: aws -->\n<!-- end: aws -->", "gcp", "")


class Tree(mocks.MockMonitor):
    """Notes where each resource hangs and what it waits for."""

    def __init__(self, recorder: mocks.Mocks) -> None:
        super().__init__(recorder)
        self.nodes: list[Node] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (gRPC's name)
        answer = super().RegisterResource(request)
        self.nodes.append(
            Node(
                urn=answer.urn,
                type=request.type,
                name=request.name,
                parent=request.parent,
                dependencies=tuple(request.dependencies),
            )
        )
        return answer


def tree(recorder: mocks.Mocks, stack: str, program: Callable[[], None]) -> list[Node]:
    """The resources of a program, built against mocks."""
    monitor = Tree(recorder)
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks.set_mocks(recorder, project="llmops", stack=stack, monitor=monitor)
    pulumi.runtime.test(program)()
    return monitor.nodes


def written(stack: str, picture: str) -> None:
    """The page's picture is the program's; `INVENTORIES=write make test-unit` draws it anew."""
    drawn = replaced(PAGE.read_text(), stack, picture)
    if os.environ.get("INVENTORIES") == "write":
        PAGE.write_text(drawn)
    assert PAGE.read_text() == drawn


def test_the_page_shows_the_local_stack_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text('{"clusters": [{"cluster": {"server": "https://10.0.0.1:6443"}}]}')
    monkeypatch.setenv("LLMOPS_KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("LLMOPS_MODEL_STORE", "/store")
    config = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())["config"]
    settings = parse({key.removeprefix("llmops:"): value for key, value in config.items()})
    written("local", mermaid(tree(Recorder(), "local", lambda: local.build(settings))))
