"""The settings schema: what it takes, and the one sentence for what it does not."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacks import reference
from stacks.settings import Settings, SettingsError, parse
from tests.unit import checked_in

ROOT = Path(__file__).resolve().parents[2]


def local(**changes: Any) -> dict[str, Any]:
    """The checked-in local stack's values, with changes."""
    return {**checked_in.values("local"), **changes}


def refusal(values: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        parse(values)
    return str(caught.value)


def test_the_checked_in_local_stack_is_valid() -> None:
    assert parse(local()).models[0].replicas == 3


def test_a_tenant_without_models_may_use_every_model() -> None:
    values = parse(local(models=[{"name": "a"}, {"name": "b"}], tenants=[{"name": "t"}]))
    assert [m.name for m in values.models_of(values.tenants[0])] == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"modles": []}, "llmops:modles: is not a setting; see docs/deploy/configuration.md for all of them"),
        ({"models": []}, "llmops:models: is empty; it needs at least 1"),
        ({"models": 3}, "llmops:models: 3 does not fit; input should be a list"),
        (
            {"models": [{"name": "tiny-llama", "replicas": "many"}]},
            "llmops:models[0].replicas: 'many' does not fit; "
            "input should be a valid integer, unable to parse string as an integer",
        ),
        (
            {"models": [{"name": "Tiny Llama"}]},
            "llmops:models[0].name: 'Tiny Llama' is not a name; use 1 to 40 lower-case letters, digits and '-', "
            "starting and ending with a letter or digit",
        ),
        (
            {"models": [{"name": "a"}, {"name": "a"}]},
            "llmops:models: 'a' stands there more than once; names must differ",
        ),
        (
            {"tenants": [{"name": "t"}, {"name": "t"}]},
            "llmops:tenants: 't' stands there more than once; names must differ",
        ),
        (
            {"models": [{"name": "a"}, {"name": "b"}], "tenants": [{"name": "t", "models": ["a"]}]},
            "llmops:models[1].name: no tenant may use 'b'; add it to a tenant's models",
        ),
        (
            {"tenants": [{"name": "t", "models": ["tiny-llama", "other"]}]},
            "llmops:tenants[0].models: there is no model 'other'; models has tiny-llama",
        ),
        (
            {"tenants": [{"name": "t", "requestsPerMinute": 0}]},
            "llmops:tenants[0].requestsPerMinute: 0 does not fit; input should be greater than or equal to 1",
        ),
        (
            {"tenants": [{"name": "t", "tokensPerMinute": 3}]},
            "llmops:tenants[0].tokensPerMinute: 3 is below one request of 'tiny-llama', which may ask for 256 tokens; "
            "raise it, or lower the model's maxOutputTokens",
        ),
        (
            {"targets": ["aks"]},
            "llmops:targets[0]: 'aks' does not fit; input should be 'local', 'eks', 'gke' or 'dgx'",
        ),
        (
            {"targets": ["eks"]},
            "llmops:eks: is missing; targets names 'eks', so set it (docs/deploy/configuration.md)",
        ),
        (
            {"gateway": {"nodePort": 80}},
            "llmops:gateway.nodePort: 80 does not fit; input should be greater than or equal to 30000",
        ),
    ],
)
def test_a_mistake_is_one_sentence_that_names_its_key(changes: dict[str, Any], sentence: str) -> None:
    assert refusal(local(**changes)) == sentence


def test_every_mistake_is_told_at_once() -> None:
    text = refusal(local(models=[{"name": "A"}], limits={"maxBodyBytes": 1}))
    assert [line.split(" ")[0] for line in text.splitlines()] == [
        "llmops:models[0].name:",
        "llmops:limits.maxBodyBytes:",
    ]


def test_settings_cannot_be_changed_after_they_were_read() -> None:
    values = parse(local())
    with pytest.raises(ValueError, match="frozen"):
        values.namespace = "other"  # pyright: ignore[reportAttributeAccessIssue] (the point of the test)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from([field.alias or name for name, field in Settings.model_fields.items()]), ANYTHING)
)
@settings(max_examples=300, deadline=None)
def test_any_values_are_taken_or_refused_in_sentences(changes: dict[str, Any]) -> None:
    try:
        parse(local(**changes))
        text = ""
    except SettingsError as error:
        text = str(error)
    assert all(line.startswith("llmops:") and ": " in line for line in text.splitlines())


def test_the_configuration_page_is_the_schemas() -> None:
    """`python -m stacks.reference` rewrites it."""
    assert reference.PAGE.read_text() == reference.page()
