"""Building Go programs into the cache: keyed by content, whole or not there, one builder, clear failures."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox import toolchain
from sandbox.progress import SILENT, Progress
from sandbox.toolchain import families, golang
from sandbox.toolchain.errors import ToolchainError
from tests.unit.toolchain import FakeGo, install, leftovers

REPOSITORY = Path(__file__).resolve().parent.parent.parent
RATELIMIT = families.program("ratelimit")[0]


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeGo:
    return install(monkeypatch, tmp_path)


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    copy = tmp_path / "go"
    shutil.copytree(golang.SOURCES, copy)
    monkeypatch.setattr(golang, "SOURCES", copy)
    return copy


def fresh_key(family: families.Family) -> str:
    golang.key.cache_clear()
    try:
        return golang.key(family)
    finally:
        golang.key.cache_clear()


@pytest.mark.parametrize("file", ["go.mod", "go.sum", "tools.go"])
def test_a_changed_source_file_changes_the_key(sources: Path, file: str) -> None:
    before = fresh_key(RATELIMIT)
    with open(sources / "ratelimit" / file, "a") as out:
        out.write("\n")
    assert fresh_key(RATELIMIT) != before


def test_changed_flags_change_the_key() -> None:
    stamped = dataclasses.replace(RATELIMIT, stamps=(("main.version", "v2"),))
    assert fresh_key(stamped) != fresh_key(RATELIMIT)


def test_another_go_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fresh_key(RATELIMIT)
    monkeypatch.setattr(golang, "GO_VERSION", "1.27.4")
    assert fresh_key(RATELIMIT) != before


def test_a_checkout_at_another_place_has_the_same_key(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = fresh_key(RATELIMIT)
    monkeypatch.undo()
    assert fresh_key(RATELIMIT) == there


def test_a_program_is_built_once_and_found_the_second_time(go: FakeGo, tmp_path: Path) -> None:
    first = toolchain.binary("ratelimit", SILENT)
    assert os.access(first, os.X_OK)
    assert toolchain.binary("ratelimit", SILENT) == first
    assert go.builds() == 1
    assert leftovers(tmp_path) == []


def test_building_one_program_leaves_the_others_of_its_family_unbuilt(go: FakeGo) -> None:
    toolchain.binary("coredns", SILENT)
    assert not golang.path("envoy-gateway").exists()
    toolchain.build(["coredns", "helm"], SILENT)
    assert golang.path("helm").exists()
    assert go.builds() == 2


def test_a_failing_compiler_is_one_message_with_its_last_lines(go: FakeGo, tmp_path: Path) -> None:
    go.behaves('for n in $(seq 30); do echo "x.go:$n: undefined: y" >&2; done; exit 1')
    with pytest.raises(ToolchainError) as failure:
        toolchain.binary("ratelimit", SILENT)
    text = str(failure.value)
    assert "ratelimit family" in text
    assert "x.go:30: undefined: y" in text
    assert "x.go:15:" not in text  # the last fifteen lines only
    assert not golang.path("ratelimit").exists()
    assert leftovers(tmp_path) == []


def test_a_compiler_killed_for_memory_says_so(go: FakeGo) -> None:
    go.behaves("kill -9 $$")
    with pytest.raises(ToolchainError, match="too little memory"):
        toolchain.binary("ratelimit", SILENT)


def test_a_proxy_that_does_not_answer_is_named(go: FakeGo) -> None:
    go.behaves("echo 'go: example.org/x@v1: dial tcp 192.0.2.1:443: i/o timeout' >&2; exit 1")
    with pytest.raises(ToolchainError, match="check GOPROXY"):
        toolchain.binary("ratelimit", SILENT)


def test_a_program_written_in_part_is_not_there(go: FakeGo, tmp_path: Path) -> None:
    go.behaves('printf pro > "$out/service_cmd"; exit 1')
    with pytest.raises(ToolchainError):
        toolchain.binary("ratelimit", SILENT)
    assert not golang.path("ratelimit").exists()
    go.behaves("")
    assert toolchain.binary("ratelimit", SILENT).read_text() == "program"


SCRIPT = """
import sys
from pathlib import Path
from sandbox import toolchain
from sandbox.progress import SILENT
from sandbox.toolchain import wheels
fake = Path(sys.argv[1])
wheels.directory = lambda name: fake
wheels.binary = lambda name: fake / "go"
try:
    toolchain.binary("ratelimit", SILENT)
except toolchain.ToolchainError as error:
    sys.exit(str(error))
"""


def wait_until(condition: object, seconds: float = 10.0) -> None:
    assert callable(condition)
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        pause.wait(0.02)


def test_a_killed_builder_takes_its_compiler_along_and_leaves_nothing_half_made(go: FakeGo, tmp_path: Path) -> None:
    started = go.root / "started"
    go.behaves(f'printf pro > "$out/service_cmd"; echo $$ > {started}; exec sleep 600')
    builder = subprocess.Popen([sys.executable, "-c", SCRIPT, str(go.root)], cwd=REPOSITORY)
    wait_until(lambda: started.exists() and started.read_text().strip())
    compiler = Path("/proc") / started.read_text().strip()
    assert compiler.exists()
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    wait_until(lambda: not compiler.exists())
    assert not golang.path("ratelimit").exists()
    go.behaves("")
    assert toolchain.binary("ratelimit", SILENT).read_text() == "program"
    assert leftovers(tmp_path) == []


def test_an_interrupted_build_ends_at_once_and_begins_nothing_else(go: FakeGo, tmp_path: Path) -> None:
    started = go.root / "started"
    go.behaves(f"echo $$ > {started}; exec sleep 600")
    script = SCRIPT.replace('toolchain.binary("ratelimit", SILENT)', 'toolchain.build(["ratelimit", "kwok"], SILENT)')
    script = script.replace("except toolchain", "except KeyboardInterrupt:\n    sys.exit(130)\nexcept toolchain")
    one_at_a_time = "from sandbox.toolchain import golang\ngolang._workers = lambda: 1\n"
    builder = subprocess.Popen([sys.executable, "-c", one_at_a_time + script, str(go.root)], cwd=REPOSITORY)
    wait_until(lambda: started.exists() and started.read_text().strip())
    builder.send_signal(signal.SIGINT)
    assert builder.wait(10) == 130
    assert not (Path("/proc") / started.read_text().strip()).exists()
    assert go.builds() == 1
    assert leftovers(tmp_path) == []


def test_two_builders_at_once_build_once(go: FakeGo) -> None:
    gate = go.root / "gate"
    go.behaves(f"while [ ! -e {gate} ]; do sleep 0.02; done")
    threads = [threading.Thread(target=toolchain.binary, args=("ratelimit", SILENT)) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: go.builds() == 1)
    gate.touch()
    for thread in threads:
        thread.join()
    assert go.builds() == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_cache_directory_is_one_sentence_with_the_fix(go: FakeGo, tmp_path: Path) -> None:
    go.behaves('head -c 1000000 /dev/zero > "$out/service_cmd" || exit 1')
    cache = tmp_path / "small"
    cache.mkdir()
    mounted = f'mount -t tmpfs -o size=128k full "{cache}" && exec "$0" "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounted, sys.executable, "-c", SCRIPT, str(go.root)],
        cwd=REPOSITORY,
        env=os.environ | {"LLMOPS_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"The disk of the cache directory {cache} is full" in done.stderr
    assert "LLMOPS_CACHE" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("place", ["/proc/llmops", "/etc/hostname"])
def test_a_cache_that_cannot_be_written_is_one_sentence(
    go: FakeGo, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("LLMOPS_CACHE", place)
    with pytest.raises(ToolchainError, match=f"{place}.* cannot be written .*set LLMOPS_CACHE"):
        toolchain.binary("ratelimit", SILENT)


def test_a_misspelt_program_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ToolchainError, match="did you mean 'kubelet'"):
        toolchain.binary("kubelte", SILENT)


def test_a_misspelt_feature_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ToolchainError, match="did you mean 'gateway'"):
        toolchain.ensure(["gatway"], SILENT)


def test_a_feature_brings_its_own_programs_and_no_others() -> None:
    assert families.programs_of({"control-plane"}) == [
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubectl",
    ]
    assert "kwok" not in families.programs_of(set(families.FEATURES) - {"fake-nodes"})


def test_every_entry_of_the_tables_belongs_to_a_feature_and_has_its_sources() -> None:
    for family in families.FAMILIES:
        assert (golang.SOURCES / family.name / "go.sum").is_file()
        assert {program.feature for program in family.programs} <= families.FEATURES.keys()
    assert {wheel.feature for wheel in families.WHEELS} - {""} <= families.FEATURES.keys()
    assert families.DEBIAN.keys() <= families.FEATURES.keys()


def test_the_families_pin_the_versions_that_their_programs_are_stamped_with() -> None:
    assert golang.module_version("k8s.io/kubernetes")[1] == families.KUBERNETES
    assert golang.module_version("github.com/pulumi/pulumi/pkg/v3")[1] == families.PULUMI


def test_a_replaced_module_has_the_version_it_is_replaced_with() -> None:
    assert golang.module_version("k8s.io/client-go")[1] == families.KUBERNETES.replace("v1.", "v0.")


def test_a_modules_directory_is_found_without_running_go(go: FakeGo, tmp_path: Path) -> None:
    there = tmp_path / "cache/go/mod/github.com/!masterminds/sprig/v3@v3.3.0"
    there.mkdir(parents=True)
    assert toolchain.module_dir("github.com/Masterminds/sprig/v3") == there
    assert not (go.root / "calls").exists()


def test_a_module_nobody_requires_is_refused() -> None:
    with pytest.raises(ToolchainError, match=r"did you mean 'github\.com/envoyproxy/gateway'"):
        toolchain.module_dir("github.com/envoyproxy/gatewya")


def test_the_progress_names_what_is_built(go: FakeGo, capsys: pytest.CaptureFixture[str]) -> None:
    toolchain.build(["ratelimit", "kwok"], Progress())
    shown = capsys.readouterr().err
    assert "+ Build ratelimit: done in" in shown
    assert "+ Build kwok: done in" in shown
