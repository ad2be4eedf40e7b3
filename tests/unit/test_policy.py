"""The policy pack: each rule with what it refuses and what it takes."""

import json

import pytest

from policy.catalogue import RULES, STACK_RULES
from policy.resource import UNKNOWN, Resource, plain
from policy.rule import Limits
from tests.unit.policy_cases import BLOCK, CASES, TAGS
from tests.unit.policy_resources import DIGEST, container, gpu_pod, resource, workload

NAMES = {rule.name: rule for rule in RULES}
ANYTHING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # a string that only the update will know


@pytest.mark.parametrize(("name", "bad", "word", "good"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_a_rule_refuses_the_one_and_takes_the_other(name: str, bad: Resource, word: str, good: Resource) -> None:
    found = list(NAMES[name].check(bad, Limits()))
    assert any(word in text for text in found), found
    assert list(NAMES[name].check(good, Limits())) == []


def test_every_rule_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(NAMES)


def test_a_toleration_is_only_asked_for_where_nodes_are_tainted() -> None:
    pod = gpu_pod({"nvidia.com/gpu": 8, "memory": "1Gi"})
    assert list(NAMES["gpu-pods"].check(pod, Limits(tainted=False))) == []


def test_tags_of_the_provider_count() -> None:
    for given in ({"tags": TAGS}, json.dumps({"tags": TAGS})):
        bucket = Resource(type="aws:s3/bucket:Bucket", props={}, provider={"defaultTags": given})
        assert list(NAMES["tagged"].check(bucket, Limits())) == []


def test_in_production_a_tag_is_no_name() -> None:
    production = Limits(require_digests=True)
    assert "name its digest" in next(NAMES["named-images"].check(workload(), production))
    assert list(NAMES["named-images"].check(container(image=DIGEST), production)) == []


def test_an_ephemeral_stack_may_lose_its_stores() -> None:
    bucket = resource("aws:s3/bucket:Bucket", forceDestroy=True)
    assert list(NAMES["protected-stores"].check(bucket, Limits(ephemeral=True))) == []


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_nothing_is_held_against_what_is_not_known_yet(rule: str) -> None:
    """Properties that exist and are not known; a missing property is known to be missing."""
    bad = [case[1] for case in CASES if case[0] == rule]
    for one in bad:
        unknown = Resource(type=one.type, props=dict.fromkeys(one.props, UNKNOWN), protect=True)
        missing = Resource(type=one.type, props={}, protect=True)
        known = set(NAMES[rule].check(missing, Limits()))
        assert set(NAMES[rule].check(unknown, Limits())) <= known


def test_unknown_values_of_the_engine_are_found_at_any_depth() -> None:
    assert plain({"a": [{"b": ANYTHING}, "c"]}) == {"a": [{"b": UNKNOWN}, "c"]}


BUCKET = Resource(type="aws:s3/bucket:Bucket", props={}, name="models", urn="urn:bucket")


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("blocked-buckets", BLOCK),
        (
            "encrypted-buckets",
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        ),
    ],
)
def test_a_bucket_needs_its_companions(rule: str, kind: str) -> None:
    check = next(r for r in STACK_RULES if r.name == rule).check
    companion = Resource(type=kind, props={"bucket": UNKNOWN}, urn="urn:c", sources={"bucket": ("urn:bucket",)})
    stranger = Resource(type=kind, props={}, urn="urn:d", sources={"bucket": ("urn:other",)})
    assert [urn for urn, _ in check([BUCKET, stranger], Limits())] == ["urn:bucket"]
    assert list(check([BUCKET, companion], Limits())) == []
