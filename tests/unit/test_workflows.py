"""The workflows: valid, pinned, without rights that they do not need, and made of scripts that are here."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import toolchain

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$")


def parsed(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text())


def jobs() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every job: its name, itself, its workflow."""
    found: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    for file in FILES:
        flow = parsed(file)
        found += [(f"{file.stem}.{name}", job, flow) for name, job in flow["jobs"].items()]
    return found


def steps() -> list[tuple[str, dict[str, Any]]]:
    return [(name, step) for name, job, _ in jobs() for step in job["steps"]]


def triggers(flow: dict[Any, Any]) -> set[str]:
    on = flow[True]  # YAML 1.1 reads `on` as true
    return {on} if isinstance(on, str) else set(on)


def test_there_are_the_workflows_that_the_docs_speak_of() -> None:
    assert [file.stem for file in FILES] == ["ci", "comment", "deploy", "ephemeral", "preview"]


def test_actionlint_finds_nothing() -> None:
    done = subprocess.run([toolchain.binary("actionlint"), "-no-color"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_would_find_something(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo ${{ github.nothing }}\n"
    )
    done = subprocess.run([toolchain.binary("actionlint"), "-no-color", file], capture_output=True, text=True)
    assert done.returncode == 1
    assert "nothing" in done.stdout


def test_every_action_is_pinned_by_its_commit() -> None:
    lines = [
        line.strip().removeprefix("- ") for file in FILES for line in file.read_text().splitlines() if "uses:" in line
    ]
    assert lines
    assert [line for line in lines if not PINNED.search(line)] == []


def test_nothing_may_write_by_default() -> None:
    assert {file.stem: parsed(file)["permissions"] for file in FILES} == {
        file.stem: {"contents": "read"} for file in FILES
    }


def test_only_the_comment_may_write_and_it_runs_no_code_of_the_pull_request() -> None:
    writing = {
        name: {k for k, v in job.get("permissions", {}).items() if v == "write"} - {"id-token"}
        for name, job, _ in jobs()
    }
    assert {name: rights for name, rights in writing.items() if rights} == {"comment.comment": {"pull-requests"}}
    flow = parsed(ROOT / ".github/workflows/comment.yaml")
    assert triggers(flow) == {"workflow_run"}
    checkout = flow["jobs"]["comment"]["steps"][0]
    assert set(checkout["with"]) == {"persist-credentials"}  # no ref: the default branch


def test_a_fork_gets_no_credentials() -> None:
    for name, job, flow in jobs():
        assert "pull_request_target" not in triggers(flow), name
        text = yaml.safe_dump(job)
        if (
            "pull_request" in triggers(flow)
            and ("id-token" in text or "secrets." in text)
            and "schedule'" not in job["if"]
        ):
            assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"], name


def test_a_checkout_leaves_no_token_behind() -> None:
    checkouts = [step for _, step in steps() if str(step.get("uses", "")).startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_what_somebody_else_wrote_reaches_a_shell_only_as_a_variable() -> None:
    assert [name for name, step in steps() if "${{" in str(step.get("run", ""))] == []


def test_every_change_has_an_environment_that_can_ask_for_approval() -> None:
    with_credentials = {name for name, job, _ in jobs() if job.get("permissions", {}).get("id-token") == "write"}
    assert with_credentials == {"preview.real", "deploy.deploy", "ephemeral.change", "ephemeral.janitor"}
    assert all("environment" in job for name, job, _ in jobs() if name in with_credentials)


def test_steps_are_our_scripts_and_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    modules = {path.stem for path in (ROOT / "ci").glob("*.py")}
    called: set[str] = set()
    for name, step in steps():
        for line in str(step.get("run", "")).splitlines():
            for script in re.findall(r"(?<![\w/])\.?ci/[\w-]+", line):
                assert os.access(ROOT / script, os.X_OK), (name, script)
                called.add(script)
            for module in re.findall(r"ci/run ([\w-]+)", line):
                assert module in modules, (name, module)
            for target in re.findall(r"\bmake ([a-z-]+)", line.partition("install")[0]):
                assert target in targets, (name, target)
    assert called == {".ci/run", "ci/run", "ci/install-pulumi", "ci/ephemeral-change"}


def script(name: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(ROOT / name), *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


def test_the_label_is_a_target_and_other_words_are_refused() -> None:
    assert "is neither up nor down" in script("ci/ephemeral-change", "remove", "pr-1", "eks", "8h").stderr
    done = script("ci/ephemeral-change", "up", "pr-1", "ephemeral:aks", "8h")
    assert (done.returncode, "TARGET='aks' cannot be made and lost" in done.stderr) == (1, True), done.stderr
    assert "is no name for an ephemeral stack" in script("ci/ephemeral-change", "down", "PR", "", "").stderr


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release of Pulumi in a folder, as on GitHub; its program notes what it is asked."""
    version = next(re.finditer(r"^pulumi==([\d.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))[1]
    folder = tmp_path / f"v{version}"
    (folder / "pulumi").mkdir(parents=True)
    program = folder / "pulumi" / "pulumi"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    program.chmod(0o755)
    archive = folder / f"pulumi-v{version}-linux-x64.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", folder, "pulumi"], check=True)
    digest = subprocess.run(["sha256sum", archive.name], cwd=folder, capture_output=True, text=True, check=True)
    (folder / f"pulumi-{version}-checksums.txt").write_text(digest.stdout)
    return folder


def test_the_official_cli_is_installed_with_every_plugin_of_the_requirements(release: Path, tmp_path: Path) -> None:
    done = script("ci/install-pulumi", str(tmp_path / "bin"), PULUMI_RELEASES=f"file://{tmp_path}")
    assert done.returncode == 0, done.stderr
    asked = (tmp_path / "asked").read_text().splitlines()
    wanted = re.findall(r"^pulumi-(\w+)==([\d.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert asked == [f"plugin install resource {n} {v}" for n, v in wanted if n != "policy"]
    assert len(asked) >= 4


def test_an_archive_that_is_not_the_releases_is_refused(release: Path, tmp_path: Path) -> None:
    with open(next(release.glob("*.tar.gz")), "ab") as file:
        file.write(b"more")
    done = script("ci/install-pulumi", str(tmp_path / "bin"), PULUMI_RELEASES=f"file://{tmp_path}")
    assert done.returncode == 1
    assert "is not what its release says" in done.stderr
    assert not (tmp_path / "bin").exists()
