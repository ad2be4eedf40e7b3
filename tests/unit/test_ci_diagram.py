"""The picture of a stack: boxes are components, arrows what waits for what."""

import pytest

from ci.diagram import Node, mermaid, replaced


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
        'Namespace_space["<b>Namespace</b> space"]',
        'Cluster_cluster["<b>Cluster</b> cluster<br/>NodeGroup"]',
        'Serving_serving["<b>Serving</b> serving<br/>Deployment"]',
        'Store_store["<b>Store</b> store<br/>Bucket"]',
    ]


def test_an_arrow_that_follows_from_others_is_left_out() -> None:
    arrows = [line.strip() for line in mermaid(STACK).splitlines() if "-->" in line]
    assert arrows == [  # and not Store_store --> Serving_serving
        "Cluster_cluster --> Namespace_space",
        "Cluster_cluster --> Serving_serving",
        "Store_store --> Cluster_cluster",
    ]


def test_the_order_of_registration_does_not_matter() -> None:
    assert mermaid(STACK) == mermaid(reversed(STACK))


def test_a_page_without_a_place_for_the_stack_is_refused() -> None:
    with pytest.raises(ValueError, match="has no place for gcp"):
        replaced("<!-- diagram: aws -->\n<!-- end: aws -->", "gcp", "")
