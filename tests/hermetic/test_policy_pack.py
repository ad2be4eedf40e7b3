"""The policy pack in the hands of the real engine."""

from pathlib import Path

import pytest
import yaml

from ci import comment
from sandbox.paths import REPOSITORY
from tests.hermetic.project import STACK, Project

PACK = ("--policy-pack", str(REPOSITORY / "policy"))
SETTINGS = {
    "llmops:models": [{"name": "tiny-llama"}],
    "llmops:tenants": [{"name": "team-a"}],
    "llmops:guards": {"maxGpus": 2},
}
PROGRAM = """
    gpus = {{"nvidia.com/gpu": os.environ["GPUS"]}} if "GPUS" in os.environ else {{}}
    key = random.RandomPassword("key", length=8)
    strict = {{"allow_privilege_escalation": False, "capabilities": {{"drop": ["ALL"]}}}}
    user = os.environ.get("NON_ROOT", "true") == "true"
    k8s.apps.v1.Deployment(
        "web",
        metadata={{"name": "web", "namespace": "{namespace}", "labels": {{"app.kubernetes.io/part-of": "llmops"}},
                  "annotations": {{"pulumi.com/skipAwait": "true"}}}},
        spec={{
            "replicas": 1,
            "selector": {{"match_labels": {{"app": "web"}}}},
            "template": {{
                "metadata": {{"labels": {{"app": "web"}}}},
                "spec": {{
                    "security_context": {{"run_as_non_root": user, "seccomp_profile": {{"type": "RuntimeDefault"}}}},
                    "containers": [{{
                        "name": "web", "image": "registry.example/web:1.2.3",
                        "env": [{{"name": "KEY", "value": key.result if "SECRET" in os.environ else "none"}}],
                        "security_context": strict,
                        "resources": {{"limits": {{"memory": "1Gi", **gpus}}}},
                    }}],
                }},
            }},
        }},
        opts=opts,
    )
"""


@pytest.fixture
def guarded(project: Project, namespace: str) -> Project:
    """A program with one pod, in a stack with settings."""
    project.environment["LLMOPS_STACKS"] = str(project.folder)
    project.program(PROGRAM.format(namespace=namespace))
    (project.folder / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump({"config": SETTINGS}))
    return project


def test_a_stack_that_keeps_the_rules_is_previewed_and_brought_up(guarded: Project) -> None:
    assert "4 to create" in guarded.run("preview", *PACK, SECRET="1")
    said = guarded.up(*PACK, SECRET="1")
    assert "llmops" in said
    assert "mandatory" not in said


def test_a_broken_rule_stops_the_preview_and_the_update_with_a_sentence(guarded: Project) -> None:
    for said in (
        guarded.run("preview", *PACK, ok=False, NON_ROOT="false", SECRET="1"),
        guarded.up(*PACK, ok=False, NON_ROOT="false", SECRET="1"),
    ):
        assert "restricted-pods" in said
        assert "container web may run as root; set runAsNonRoot" in said
        assert "can't run policy" not in said  # the unknown password beside it stops no rule
    assert [r["type"] for r in guarded.resources() if "Deployment" in r["type"]] == []


def test_a_rule_about_the_whole_stack_knows_the_stacks_settings(guarded: Project) -> None:
    assert "the stack may take 4 GPUs, 2 are allowed" in guarded.run("preview", *PACK, ok=False, GPUS="4")
    assert "4 to create" in guarded.run("preview", *PACK, GPUS="2")


def test_the_comment_reads_what_the_engine_writes(guarded: Project, tmp_path: Path) -> None:
    """The same rules over `preview --json`, and the operations of a real change."""
    guarded.up()
    output = guarded.run("preview", "--json", "--show-sames", NON_ROOT="false")
    file = tmp_path / "dev.json"
    file.write_text(output)
    stack = comment.examine("dev", file, None)
    assert stack.preview is not None
    assert stack.preview.counts() == {"update": 1, "same": 1}
    assert [v.text for v in stack.violations] == ["container web may run as root; set runAsNonRoot"]
    assert "`spec" in comment.comment([stack])


def test_what_is_secret_is_hidden_from_the_comment_and_not_from_the_pack(guarded: Project, tmp_path: Path) -> None:
    """A list with one secret in it is secret as a whole; nothing is held against what cannot be seen."""
    guarded.up(SECRET="1")
    file = tmp_path / "dev.json"
    file.write_text(guarded.run("preview", "--json", "--show-sames", NON_ROOT="false", SECRET="1"))
    assert comment.examine("dev", file, None).violations == ()
    assert "may run as root" in guarded.run("preview", *PACK, ok=False, NON_ROOT="false", SECRET="1")
