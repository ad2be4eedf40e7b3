"""The wrapper around the Pulumi CLI, and the program runner's errors."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from sandbox.command import arguments, project, recovery, stackfiles
from sandbox.host import program


def test_the_command_and_its_stack_are_found_among_other_flags() -> None:
    command = arguments.parse(["-C", "/x", "--color=never", "update", "--yes", "-s", "local", "--", "--stack"])
    assert (command.name, command.stack, command.folder) == ("up", "local", Path("/x"))
    assert command.needs_providers
    assert arguments.parse(["preview", "--stack=dev"]).stack == "dev"


def test_help_needs_no_provider() -> None:
    assert not arguments.parse(["up", "--help"]).needs_providers


@pytest.mark.parametrize(
    ("line", "private"),
    [
        ("up", True),
        ("preview --config-file mine.yaml", False),
        ("config", True),
        ("config get a", True),
        ("config set a b", False),
        ("stack output", False),
    ],
)
def test_only_commands_that_read_use_the_private_stack_file(line: str, private: bool) -> None:
    assert arguments.parse(line.split()).takes_config_file is private


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> project.Project:
    monkeypatch.setenv("LLMOPS_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("LLMOPS_STACKS", raising=False)
    (tmp_path / "Pulumi.yaml").write_text("name: shop # ours\nruntime: python\n")
    found = project.find(tmp_path / "deep" / "down")
    assert found is not None
    return found


def test_a_project_is_found_from_below(place: project.Project, tmp_path: Path) -> None:
    assert (place.name, place.folder) == ("shop", tmp_path)


def test_a_private_stack_file_follows_the_checked_in_one_and_keeps_its_salt(place: project.Project) -> None:
    checked_in = place.folder / "Pulumi.dev.yaml"
    checked_in.write_text("config:\n  a: 1\n")
    copy = stackfiles.private(place, "dev")
    assert copy is not None
    copy.write_text(copy.read_text() + "encryptionsalt: v1:abc\n")
    checked_in.write_text("config:\n  a: 2\n")
    assert stackfiles.private(place, "dev") == copy
    assert copy.read_text() == "config:\n  a: 2\nencryptionsalt: v1:abc\n"


def test_a_stack_file_with_secrets_of_its_own_is_used_directly(place: project.Project) -> None:
    (place.folder / "Pulumi.dev.yaml").write_text("encryptionsalt: v1:abc\n")
    assert stackfiles.private(place, "dev") is None
    assert stackfiles.private(place, "missing") is None


def lock(backend: Path, pid: int) -> Path:
    file = backend / ".pulumi" / "locks" / "organization" / "shop" / "dev" / f"{pid}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"pid": pid, "hostname": socket.gethostname(), "timestamp": "2026-01-01T00:00:00Z"}))
    return file


def test_only_the_lock_of_a_dead_process_is_removed(place: project.Project, tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    said: list[str] = []
    dead = lock(tmp_path, ended.pid)
    recovery.unlock(tmp_path, place, "dev", said.append)
    assert not dead.exists()
    assert len(said) == 1


def test_the_lock_of_another_machine_stays(place: project.Project, tmp_path: Path) -> None:
    other = lock(tmp_path, 1)
    other.write_text(json.dumps({"pid": 999999999, "hostname": "elsewhere", "timestamp": "2026-01-01T00:00:00Z"}))
    recovery.unlock(tmp_path, place, "dev", print)
    assert other.exists()


def test_a_number_that_another_program_has_now_does_not_hold_a_lock(place: project.Project, tmp_path: Path) -> None:
    ours = lock(tmp_path, os.getpid())  # a test runner, not the CLI
    recovery.unlock(tmp_path, place, "dev", print)
    assert not ours.exists()


def test_only_file_backends_are_looked_into() -> None:
    assert recovery.backend_folder("file:///a/b?x=1") == Path("/a/b")
    assert recovery.backend_folder("s3://bucket") is None


def test_a_traceback_begins_with_the_program(tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    file.write_text("def sell():\n    raise KeyError('price')\n\nsell()\n")
    with pytest.raises(KeyError) as caught:
        exec(compile(file.read_text(), str(file), "exec"), {})
    text = program.trace(caught.value, tmp_path)
    assert "shop.py" in text
    assert "test_host_command" not in text
    assert text.endswith("KeyError: 'price'")
