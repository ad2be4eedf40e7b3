"""Documentation is executed: what a page tells people to run, runs."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.live import documents
from tests.live.platform import ROOT, Platform

pytestmark = pytest.mark.live

# What is not run here, and why. A command that is neither run nor named here fails the test.
ELSEWHERE = {
    "make up": "every live test starts with it; test_operations.py and test_zz_down.py run it again",
    "make down": "test_zz_down.py",
    "make clean": "would forget what was built",
    "make test": "this is it",
    "make lint": "`make test` runs it",
    "make test-unit": "`make test` runs it",
    "make test-hermetic": "`make test` runs it",
    "make test-live": "this is it",
    "make ephemeral": "tests/hermetic/test_ephemeral.py makes and ends test clusters",
    "sandbox/pulumi state": "is about a resource of a person's own stack",
    "make bench": "twenty minutes; tests/unit/test_bench_*.py and `--list` below",
}
# Stacks that have a hermetic test of their own, which runs these commands; `ocp` and `hgx` are the examples of
# docs/deploy/examples, which a person copies first.
HERMETIC = re.compile(r"(make (preview|up|down|render)|sandbox/pulumi .*--stack) ?.*\b(aws|gcp|dgx|ocp|hgx)\b")
PLACEHOLDER = re.compile(r"<[a-z ]+>|…|\bNAME\b")


def runnable() -> dict[str, str]:
    """Command → page, for what is run here."""
    return {
        command: page
        for command, page in documents.commands().items()
        if not PLACEHOLDER.search(command) and not HERMETIC.search(command) and not _elsewhere(command)
    }


def _elsewhere(command: str) -> bool:
    words = shlex.split(command)
    options = [word for word in words[2:] if word != "ARGS=--list"]
    return " ".join(words[:2]) in ELSEWHERE and len(options) == len(words[2:])


def test_the_pages_are_found() -> None:
    assert len(runnable()) >= 8
    assert "make doctor" in runnable()


@pytest.mark.parametrize("command", sorted(runnable()))
def test_a_documented_command_works(platform: Platform, command: str, tmp_path: Path) -> None:
    result = platform.run("bash", "-c", command, check=False, timeout=300)
    assert result.returncode == 0, f"{command} ({runnable()[command]}):\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stderr


def test_the_quick_references_requests_work(platform: Platform) -> None:
    """The shell block as it stands, in one shell; then the Python block, with this platform's address and key."""
    page = [block for block in documents.blocks() if block.page == "QUICK-REFERENCE.md"]
    shell = next(block.text for block in page if block.info == "sh")
    result = platform.run("bash", "-euc", shell.replace("curl ", "curl -fsS "))
    assert '"id":"tiny-llama"' in result.stdout.replace(" ", "")
    assert "data: [DONE]" in result.stdout
    python = next(block.text for block in page if block.info == "python")
    python = python.replace("http://10.246.0.2:30080", platform.endpoint).replace("sk-…", platform.keys["team-a"])
    result = subprocess.run(["python", "-c", python], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


def test_the_curl_that_up_prints_returns_text(platform: Platform) -> None:
    printed = platform.run("make", "up", "ARGS=--color never").stdout
    curl = re.search(r"^  curl .*?\n\n", printed, re.MULTILINE | re.DOTALL)
    assert curl, printed
    answer = platform.run("bash", "-c", curl[0].strip().replace("curl ", "curl -fsS ", 1)).stdout
    assert json.loads(answer)["choices"][0]["text"]


def test_render_writes_every_object_of_the_running_stack(platform: Platform) -> None:
    out = ROOT / "render" / "local"
    platform.run("make", "render")
    objects = {file.name: yaml.safe_load(file.read_text()) for file in out.glob("*.yaml")}
    listed = json.loads(platform.run("sandbox/pulumi", "stack", "export", "--stack", "local").stdout)
    kinds = [r["type"] for r in listed["deployment"]["resources"] if r["type"].startswith("kubernetes:")]
    assert len(objects) == len(kinds)
    deployment = objects["llm-deployment-triton-tiny-llama.yaml"]
    assert deployment["spec"]["replicas"] == 3
    assert deployment["apiVersion"] == "apps/v1"
    text = "\n".join(file.read_text() for file in out.glob("*.yaml"))
    assert not any(key in text for key in platform.keys.values())
