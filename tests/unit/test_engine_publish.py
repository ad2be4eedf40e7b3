"""Publishing: whole or not at all, once, and checked."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine import manifest, publish
from engine.cli import main
from engine.errors import ConflictError, CorruptError, InputError
from engine.log import Log
from tests.unit import checkpoints

LOG = Log(step="publish")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write(tmp_path_factory.mktemp("checkpoint") / "c")


def wanted(source: Path, version: str = "1") -> publish.Version:
    return publish.Version(model="tiny", version=version, checkpoint=source)


def test_a_published_version_holds_engine_tokenizer_repository_and_manifest(tmp_path: Path, source: Path) -> None:
    record = publish.publish(tmp_path, wanted(source), LOG)
    version = tmp_path / "tiny" / "1"
    assert {one.name for one in version.iterdir()} == {"engine", "tokenizer", "repository", "manifest.json"}
    assert manifest.verify(version) == record
    assert json.loads((version / "engine" / "config.json").read_text())["build_config"]["max_seq_len"] == 128


def test_any_user_of_a_pod_can_read_a_version(tmp_path: Path, source: Path) -> None:
    before = os.umask(0o077)
    try:
        publish.publish(tmp_path, wanted(source), LOG)
    finally:
        os.umask(before)
    version = tmp_path / "tiny" / "1"
    for path in (version, *version.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_publishing_the_same_again_changes_nothing(tmp_path: Path, source: Path) -> None:
    first = publish.publish(tmp_path, wanted(source), LOG)
    before = (tmp_path / "tiny" / "1").stat()
    assert publish.publish(tmp_path, wanted(source), LOG) == first
    assert (tmp_path / "tiny" / "1").stat().st_ino == before.st_ino


def test_other_content_under_the_same_version_is_refused(tmp_path: Path, source: Path) -> None:
    first = publish.publish(tmp_path, wanted(source), LOG)
    other = checkpoints.edit(Path(shutil.copytree(source, tmp_path / "other")), rope_theta=500.0)
    with pytest.raises(ConflictError, match="publish under another version"):
        publish.publish(tmp_path, wanted(other), LOG)
    assert manifest.verify(tmp_path / "tiny" / "1") == first
    publish.publish(tmp_path, wanted(other, version="2"), LOG)


def test_a_damaged_version_is_not_taken_for_published(tmp_path: Path, source: Path) -> None:
    publish.publish(tmp_path, wanted(source), LOG)
    (tmp_path / "tiny" / "1" / "engine" / "model.gguf").unlink()
    with pytest.raises(CorruptError, match=r"model\.gguf is missing"):
        publish.publish(tmp_path, wanted(source), LOG)


@pytest.mark.parametrize("name", ["", "-a", "a/b", "..", "A", "x" * 64])
def test_names_that_cannot_be_directories_and_labels_are_refused(source: Path, name: str) -> None:
    with pytest.raises(InputError, match="must be 1 to 63"):
        wanted(source, version=name)


def test_a_publisher_killed_in_the_middle_leaves_nothing_visible_and_the_next_cleans_up(
    tmp_path: Path, source: Path
) -> None:
    # The publisher stops itself where everything is written but nothing is visible, and is killed there.
    code = """
import os, signal, sys
from pathlib import Path
from engine import publish
from engine.log import Log
def halt(staging):
    os.kill(os.getpid(), signal.SIGKILL)
publish._settle = halt
store, checkpoint = map(Path, sys.argv[1:])
publish.publish(store, publish.Version(model="tiny", version="1", checkpoint=checkpoint), Log(step="p"))
"""
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(source)], check=False)
    assert killed.returncode == -signal.SIGKILL
    home = tmp_path / "tiny"
    assert [one.name for one in home.iterdir() if not one.name.startswith(".")] == []
    assert len(list(home.glob(".staging-*"))) == 1
    publish.publish(tmp_path, wanted(source), LOG)
    assert list(home.glob(".staging-*")) == []
    manifest.verify(home / "1")


def test_a_failed_build_leaves_no_staging_directory(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "engine/model.gguf")

    monkeypatch.setattr("engine.gguf_build.build", full)
    with pytest.raises(OSError, match="No space left"):
        publish.publish(tmp_path, wanted(source), LOG)
    assert [one.name for one in (tmp_path / "tiny").iterdir()] == [".lock"]


def test_two_publishers_at_once_publish_one_version(tmp_path: Path, source: Path) -> None:
    command = [sys.executable, "-m", "engine", "publish", "--store", str(tmp_path), "--model", "tiny"]
    command += ["--version", "1", "--checkpoint", str(source)]
    (tmp_path / "tiny").mkdir()
    with (tmp_path / "tiny" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"]
        for one in both:
            assert one.stderr
            assert "waiting for another publisher" in one.stderr.readline()
    said = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert said[0][0] == said[1][0]
    assert sorted("published before" in err for _, err in said) == [False, True]


@pytest.fixture
def version(tmp_path: Path, source: Path) -> Path:
    publish.publish(tmp_path, wanted(source), LOG)
    return tmp_path / "tiny" / "1"


def test_one_flipped_bit_is_found_and_the_file_named(version: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--version-dir", str(version)]) == 0
    engine = version / "engine" / "model.gguf"
    content = bytearray(engine.read_bytes())
    content[len(content) // 2] ^= 1
    engine.write_bytes(content)
    capsys.readouterr()
    assert main(["verify", "--version-dir", str(version)]) == 3
    assert f"{engine} is not the content that was published" in capsys.readouterr().err


def test_truncated_missing_and_added_files_are_found(version: Path) -> None:
    tokenizer = version / "tokenizer" / "tokenizer.json"
    content = tokenizer.read_bytes()
    tokenizer.write_bytes(content[:-1])
    with pytest.raises(CorruptError, match=f"has {len(content) - 1} bytes instead of {len(content)}"):
        manifest.verify(version)
    tokenizer.unlink()
    with pytest.raises(CorruptError, match=r"tokenizer\.json is missing"):
        manifest.verify(version)
    tokenizer.write_bytes(content)
    (version / "repository" / "extra.py").touch()
    with pytest.raises(CorruptError, match=r"extra\.py is not in the manifest"):
        manifest.verify(version)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 1, "files": [{}]}'])
def test_a_damaged_manifest_is_one_sentence(version: Path, text: str) -> None:
    (version / "manifest.json").write_text(text)
    with pytest.raises(CorruptError, match=r"manifest\.json is damaged"):
        manifest.verify(version)


def test_verifying_needs_the_standard_library_alone(version: Path) -> None:
    # -S: no site-packages, as in the engine image.
    command = [sys.executable, "-S", "-m", "engine", "verify", "--version-dir", str(version)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr)["message"] == "verified"
