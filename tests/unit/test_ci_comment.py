"""One comment from the previews of all stacks: what is lost first, then counts, policies and the bill."""

import json
from pathlib import Path
from typing import Any

import pytest

from ci import comment, preview
from ci.comment import MARKER, Stack, examine
from policy.rule import Limits

EKS_GROUP = "aws:eks/nodeGroup:NodeGroup"
BUCKET = "aws:s3/bucket:Bucket"
TAGS = {"llmops-project": "llmops", "llmops-stack": "aws"}


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:aws::llmops::{kind}::{name}"


def state(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """A state as `preview --json` writes it (apitype.ResourceV3)."""
    return {
        "urn": urn(kind, name),
        "custom": True,
        "type": kind,
        "inputs": {},
        "outputs": {},
        "parent": urn("pulumi:pulumi:Stack", "llmops-aws"),
        "provider": f"{urn('pulumi:providers:aws', 'aws')}::04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "propertyDependencies": {},
        **more,
    }


def step(
    op: str, kind: str, name: str, old: dict[str, Any] | None = None, new: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    found: dict[str, Any] = {"op": op, "urn": urn(kind, name), **more}
    if old is not None:
        found["oldState"] = state(kind, name, inputs=old)
    if new is not None:
        found["newState"] = state(kind, name, inputs=new)
    return found


def group(machine: str, high: int) -> dict[str, Any]:
    return {"instanceTypes": [machine], "scalingConfig": {"minSize": 0, "maxSize": high}, "diskSize": 100, "tags": TAGS}


def digest(*steps: dict[str, Any], **more: Any) -> str:
    root = step("same", "pulumi:pulumi:Stack", "llmops-aws", new={})
    return json.dumps({"config": {}, "steps": [root, *steps], "duration": 1, "changeSummary": {}, **more}, indent=4)


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / f"{name}.json"
    file.write_text(text)
    return file


def stack(folder: Path, text: str, allowed: Limits | None = None, name: str = "aws") -> Stack:
    return examine(name, written(folder, name, text), allowed)


REPLACED = (
    step("create-replacement", BUCKET, "models", {}, {"bucket": "new", "tags": TAGS}, diffReasons=["bucket"]),
    step("replace", BUCKET, "models", {}, {"bucket": "new", "tags": TAGS}, replaceReasons=["bucket"]),
    step("delete-replaced", BUCKET, "models", {}),
)


def test_a_replacement_counts_once_and_says_why(tmp_path: Path) -> None:
    read = preview.parse(digest(*REPLACED, step("create", BUCKET, "other", new={})))
    assert read.counts() == {"replace": 1, "create": 1}
    assert read.of("replace")[0].because == ("bucket",)


def test_what_is_lost_stands_before_everything_else(tmp_path: Path) -> None:
    text = comment.comment(
        [stack(tmp_path, digest(step("create", BUCKET, "new", new={}), *REPLACED, step("delete", BUCKET, "old", {})))]
    )
    assert text.startswith(MARKER)
    assert "**2 resources are replaced or deleted.**" in text
    lost, created = (
        text.index("**replace** `aws:s3/bucket:Bucket` `models`, because of `bucket`"),
        text.index("**create**"),
    )
    assert text.index("| stack |") < lost < text.index("**delete** `aws:s3/bucket:Bucket` `old`") < created


def test_policies_speak_of_what_will_be_and_not_of_what_was(tmp_path: Path) -> None:
    bad, good = {"acl": "public-read"}, {"acl": "private"}
    mended = stack(tmp_path, digest(step("update", BUCKET, "b", bad, good)))
    assert not [v for v in mended.violations if v.rule == "no-public-buckets"]
    broken = stack(tmp_path, digest(step("update", BUCKET, "b", good, bad)))
    assert "**no-public-buckets**: `b` acl is 'public-read'" in comment.comment([broken])


def test_a_deleted_resource_breaks_no_rule(tmp_path: Path) -> None:
    assert stack(tmp_path, digest(step("delete", BUCKET, "b", {"acl": "public-read"}))).violations == ()


def test_the_bill_shows_the_change_of_a_node_group(tmp_path: Path) -> None:
    grown = stack(tmp_path, digest(step("update", EKS_GROUP, "gpu", group("g6.xlarge", 1), group("g6.xlarge", 3))))
    each = grown.before.high
    assert each > 500  # dollars a month for one g6.xlarge with its disk
    assert grown.after.high == pytest.approx(3 * each)
    text = comment.comment([grown])
    assert f"0 – {3 * each:,.0f} (+0 / {2 * each:+,.0f})" in text
    assert "Not in: traffic" in text
    assert "noted on 20" in text  # the date of the prices


def test_unchanged_resources_cost_as_well(tmp_path: Path) -> None:
    same = stack(tmp_path, digest(step("same", EKS_GROUP, "gpu", group("g6.xlarge", 1), group("g6.xlarge", 1))))
    assert same.before == same.after
    assert same.after.high > 0


def test_a_failed_preview_is_told_in_its_own_words(tmp_path: Path) -> None:
    error = {"severity": "error", "message": "llmops:models: is empty; it needs at least 1\n"}
    failed = stack(tmp_path, digest(diagnostics=[error, {"severity": "info", "message": "told"}]))
    text = comment.comment([failed])
    assert "**1 preview failed.**" in text
    assert "- llmops:models: is empty; it needs at least 1" in text
    assert "told" not in text


def test_a_preview_that_never_was_does_not_hide_the_others(tmp_path: Path) -> None:
    text = comment.comment([stack(tmp_path, "panic", name="gcp"), stack(tmp_path, digest(*REPLACED))])
    assert "| `gcp` | – | – | – | – | – | – | no preview |" in text
    assert "holds no preview" in text
    assert "### Lost in `aws`" in text


def test_output_before_the_json_is_skipped() -> None:
    assert preview.parse("Starting the control plane\n" + digest(*REPLACED)).counts() == {"replace": 1}


def test_a_names_markdown_is_nobodys(tmp_path: Path) -> None:
    evil = "x` <img src=a> @everyone [a](http://b)"
    text = comment.comment(
        [
            stack(
                tmp_path, digest(step("delete", BUCKET, evil, {}), diagnostics=[{"severity": "error", "message": evil}])
            )
        ]
    )
    assert "`x' <img" in text  # inside backticks nothing is Markdown, and the backtick is none any more
    told = text[text.index("failed\n\n- ") :]
    assert "<img" not in told.splitlines()[2]
    assert "@everyone" not in told.splitlines()[2]
    assert "](" not in told.splitlines()[2]


def test_a_comment_never_grows_beyond_what_github_takes(tmp_path: Path) -> None:
    many = [step("create", BUCKET, f"bucket-{i}" * 20, new={}) for i in range(900)]
    stacks = [stack(tmp_path, digest(*many), name=f"s{n}") for n in range(40)]
    assert len(comment.comment(stacks)) < 65_536


def test_the_provider_brings_its_default_tags(tmp_path: Path) -> None:
    provider = step("create", "pulumi:providers:aws", "aws", new={"defaultTags": {"tags": TAGS}})
    found = stack(tmp_path, digest(provider, step("create", BUCKET, "b", new={})))
    assert not [v for v in found.violations if v.rule == "tagged"]


def test_a_real_preview_is_worth_more_than_a_hermetic_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hermetic, real = tmp_path / "hermetic", tmp_path / "real"
    for folder in (hermetic, real):
        folder.mkdir()
    written(hermetic, "aws", digest(step("create", BUCKET, "b", new={})))
    written(hermetic, "dgx", digest())
    written(real, "aws", digest(step("delete", BUCKET, "b", {})))
    written(hermetic, "a b`c", "not a stack's name")
    comment.main([str(hermetic), "--real", str(real)])
    text = capsys.readouterr().out
    assert "| `aws` (real) | – | 1 |" in text
    assert "| `dgx` | –" in text
    assert "a b" not in text


def test_the_exit_status_says_whether_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, "dgx", digest())
    assert comment.main([str(tmp_path)]) == 0
    written(tmp_path, "aws", digest(step("create", BUCKET, "b", new={"acl": "public-read"})))
    assert comment.main([str(tmp_path)]) == 1
    assert comment.main([str(tmp_path / "nothing")]) == 2
