"""Names and tags: within every limit, and never the same for two stacks."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.naming import LIMITS, Naming, resource_name

STACKS = st.text("abcz019-", min_size=1, max_size=40) | st.text(min_size=1, max_size=60)
PARTS = st.lists(st.text("abcz019-", min_size=1, max_size=40), max_size=3)
VALID = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@given(st.sampled_from(sorted(LIMITS)), STACKS, PARTS)
def test_every_name_is_valid_and_within_its_limit(kind: str, stack: str, parts: list[str]) -> None:
    name = resource_name(kind, stack, *parts)
    assert VALID.fullmatch(name)
    assert len(name) <= LIMITS[kind]
    assert len(name) >= 6  # the least that a Google service account's id takes


@given(st.sampled_from(sorted(LIMITS)), STACKS, STACKS, PARTS, PARTS)
def test_two_stacks_never_share_a_name(
    kind: str, one: str, other: str, parts: list[str], other_parts: list[str]
) -> None:
    if one != other:
        assert resource_name(kind, one, *parts) != resource_name(kind, other, *other_parts)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("pr-1", "2-nodes"), ("pr-1-2", "nodes")),
        (("pr", "1-nodes"), ("pr-1", "nodes")),
        (("PR-1", "nodes"), ("pr-1", "nodes")),
        (("pr_1", "nodes"), ("pr-1", "nodes")),
        (("é", "nodes"), ("è", "nodes")),
        (("a" * 60, "nodes"), ("a" * 61, "nodes")),
    ],
)
def test_names_that_read_alike_differ(one: tuple[str, str], other: tuple[str, str]) -> None:
    for kind in LIMITS:
        assert resource_name(kind, *one) != resource_name(kind, *other)


def test_a_plain_stack_has_plain_names() -> None:
    assert resource_name("aws:eks-cluster", "aws") == "llmops-aws"
    assert resource_name("aws:iam-role", "aws", "nodes") == "llmops-aws-nodes"
    assert re.fullmatch(r"llmops-pr-12-nodes-[0-9a-f]{8}", resource_name("aws:iam-role", "pr-12", "nodes"))


def test_a_short_limit_cuts_the_readable_part_alone() -> None:
    name = resource_name("gcp:service-account", "production", "model-store-reader")
    assert len(name) <= 30
    assert re.fullmatch(r"llmops-production-mod-[0-9a-f]{8}", name)


def test_an_unknown_kind_is_not_guessed() -> None:
    with pytest.raises(KeyError):
        resource_name("aws:lambda", "aws")


@given(STACKS, st.dictionaries(st.text("abcXYZ-", min_size=1, max_size=20), st.text(max_size=300), max_size=3))
def test_tags_and_labels_are_taken_by_their_cloud(stack: str, more: dict[str, str]) -> None:
    naming = Naming(stack=stack, ephemeral=True, more=more)
    for value in naming.tags().values():
        assert len(value) <= 256
        assert re.fullmatch(r"[\w .:/=+@-]*", value)
    for key, value in naming.labels().items():
        assert re.fullmatch(r"[a-z0-9_-]{1,63}", key)
        assert re.fullmatch(r"[a-z0-9_-]{0,63}", value)


def test_what_the_organisation_adds_does_not_hide_whose_it_is() -> None:
    tags = Naming(stack="aws", more={"llmops-stack": "other", "cost-center": "4711"}).tags()
    assert (tags["llmops-stack"], tags["cost-center"], tags["llmops-ephemeral"]) == ("aws", "4711", "false")
