"""Every row of the cloud stand-in's data fits the SDK it speaks of."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.provider.cloud import checks, naming, rules, sheets
from sandbox.provider.cloud.behaviours import behaviour
from sandbox.provider.contract import ProviderError

TOKENS = rules.tokens()
# Filled in by filling.py for every type that has them.
GENERAL = {"tagsAll", "effectiveLabels", "pulumiLabels", "effectiveAnnotations"}


def top(path: str) -> str:
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def has(shape: dict[str, Any], path: str) -> bool:
    """Whether a shape has a place, through lists and maps."""
    for name in re.sub(r"\[\d*\]", "", path).split("."):
        while shape["t"] in ("list", "map"):
            shape = shape["of"]
        if shape["t"] != "object" or name not in shape["props"]:
            return shape["t"] == "any"
        shape = shape["props"][name]
    return True


def named(value: Any) -> Iterator[str]:
    """The properties that a template names."""
    if isinstance(value, dict):
        for item in value.values():
            yield from named(item)
    elif isinstance(value, list):
        for item in value:
            yield from named(item)
    elif isinstance(value, str):
        yield from (found.split(" ")[-1] for found in re.findall(r"\{([^{}]+)\}", value))


def test_there_is_a_rule_for_every_type_that_the_stacks_were_promised() -> None:
    assert len(TOKENS) >= 74
    assert len(set(TOKENS)) == len(TOKENS)


@pytest.mark.parametrize("token", TOKENS)
def test_a_row_names_only_what_the_sdk_has(token: str) -> None:
    row, sheet = rules.row(token), sheets.sheet(token)
    for path in [*row.replace, *row.sets, *row.json, *row.checks, *row.refers, *row.fields]:
        assert has(sheet.inputs, path), f"{token} has no input {path}"
    for names in [*row.conflicts, *row.one_of]:
        assert set(names) <= sheet.inputs["props"].keys(), f"{token}: {names}"
    for path in [*row.computed, *row.defaults, *row.absent, *row.provides]:
        assert has(sheet.outputs, path), f"{token} has no output {path}"
    assert set(row.loose) | set(row.outside) <= set(row.refers), f"{token}: loose and outside are about refers"


@pytest.mark.parametrize("token", TOKENS)
def test_every_computed_output_has_a_value_or_a_reason_to_have_none(token: str) -> None:
    row, sheet = rules.row(token), sheets.sheet(token)
    said = {top(path) for path in [*row.computed, *row.defaults, *row.absent, *row.provides]} | GENERAL
    computed = sheet.outputs["props"].keys() - sheet.inputs["props"].keys()
    assert computed <= said, f"{token}: nothing is said of {sorted(computed - said)}"


@pytest.mark.parametrize("token", TOKENS)
def test_templates_and_references_lead_somewhere(token: str) -> None:
    row, sheet = rules.row(token), sheets.sheet(token)
    words = {"id", "account", "partition", "region", "project", "project_number", "location", "now", "uuid", "octet"}
    for name in [*named(row.id), *named(row.computed)]:
        known = name in words or name.isdigit() or has(sheet.outputs, name) or not name.isidentifier()
        assert known or name in SALTS, f"{token}: {{{name}}} is neither a property nor a word"
    for target in row.refers.values():
        rules.row(target.partition("#")[0])
    for rule in row.checks.values():
        assert rule.partition(" ")[0] in checks.RULES
    behaviour(row.behaviour)


# What tells made-up values of one object apart.
SALTS = {"a", "b", "c", "d", "main", "default", "acl", "dhcp", "association", "interface", "rule", "issuer", "cluster"}


def test_what_google_and_amazon_say_of_fields_is_laid_onto_the_inputs() -> None:
    launch = sheets.sheet("aws:ec2/launchTemplate:LaunchTemplate").inputs["props"]
    assert launch["metadataOptions"]["props"]["httpTokens"]["enum"] == ["optional", "required"]
    assert "p5.48xlarge" in launch["instanceType"]["enum"]
    taints = sheets.sheet("aws:eks/nodeGroup:NodeGroup").inputs["props"]["taints"]["of"]["props"]
    assert "NO_SCHEDULE" in taints["effect"]["enum"]
    role = sheets.sheet("aws:iam/role:Role").inputs["props"]
    assert role["name"]["max"] == 64
    assert (role["maxSessionDuration"]["min"], role["maxSessionDuration"]["max"]) == (3600, 43200)
    network = sheets.sheet("gcp:compute/network:Network").inputs["props"]
    assert re.fullmatch(network["name"]["pattern"], "llm-1")
    assert not re.fullmatch(network["name"]["pattern"], "Llm")


def test_the_automatic_name_is_found_where_the_bridge_has_one() -> None:
    found = {token: naming.property_of(rules.row(token), sheets.sheet(token).inputs) for token in TOKENS}
    assert found["aws:s3/bucket:Bucket"] == "bucket"
    assert found["aws:eks/nodeGroup:NodeGroup"] == "nodeGroupName"
    assert found["aws:ec2/vpc:Vpc"] is None
    assert found["gcp:dns/recordSet:RecordSet"] is None


@pytest.mark.parametrize("token", ["aws:ec2/instance:Instance", "gcp:sql/databaseInstance:DatabaseInstance"])
def test_a_type_without_a_row_is_refused_in_one_sentence(token: str) -> None:
    with pytest.raises(ProviderError, match=r"has no rule in the sandbox's .* stand-in: add a row to .*\.$"):
        rules.row(token)
