"""The pretended cloud's files, failures on purpose, and the command that looks into it."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.provider.cloud.__main__ import main
from sandbox.provider.cloud.faults import VARIABLE, Faults
from sandbox.provider.cloud.store import Object, Store
from sandbox.provider.contract import ProviderError, Task
from tests.unit.cloud_rig import BUCKET, VPC, Account


def thing(identifier: str, **more: str) -> Object:
    return Object(type=VPC, id=identifier, urn="urn", seed="s", properties={"a": 1}, given=["a"], **more)  # type: ignore[arg-type]


def task() -> Task:
    def say(_: str) -> None:
        return None

    return Task(urn="u", type=VPC, name="net", status=say, warn=say, cancelled=threading.Event())


def test_objects_are_files_that_only_their_owner_reads(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloud")
    store.write(thing("arn:aws:x/y z"))
    [file] = (tmp_path / "cloud").rglob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["id"] == "arn:aws:x/y z"
    found = store.get(VPC, "arn:aws:x/y z")
    assert found is not None
    assert found.inputs == {"a": 1}


def test_what_is_left_behind_is_listed_apart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(thing("vpc-1", left="kept"))
    assert store.get(VPC, "vpc-1") is None
    assert store.objects() == []
    assert [item.id for item in store.objects(left=True)] == ["vpc-1"]


def test_an_id_longer_than_a_file_name_is_found_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for end in "ab":
        store.write(thing("x" * 400 + end))
    assert len(store.objects()) == 2
    assert store.get(VPC, "x" * 400 + "b") is not None


def test_of_many_that_want_one_name_one_gets_it(tmp_path: Path) -> None:
    account = Account(tmp_path)

    def make(index: int) -> bool:
        try:
            account.create(BUCKET, f"b{index}", bucket="models")
        except ProviderError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(make, range(16))) == 1


def test_the_nth_create_fails_once(tmp_path: Path) -> None:
    faults = Faults(Store(tmp_path))
    faults.add({"type": "aws:ec2/*", "nth": 2})
    faults.strike(task(), "create")
    faults.strike(task(), "delete")
    with pytest.raises(ProviderError, match=r"create of aws:ec2/vpc:Vpc 'net' failed in the stand-in"):
        faults.strike(task(), "create")
    faults.strike(task(), "create")
    assert not (tmp_path / "faults").exists()


def test_throttling_is_tried_again_and_reported_at_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.provider.cloud.faults.PAUSE", 0.001)
    faults = Faults(Store(tmp_path))
    faults.add({"type": VPC, "throttle": True, "times": 2})
    faults.strike(task(), "create")
    faults.add({"type": VPC, "throttle": True, "times": 9})
    with pytest.raises(ProviderError, match=r"ThrottlingException: Rate exceeded .5 attempts"):
        faults.strike(task(), "create")


def test_faults_from_the_environment_count_within_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps([{"type": VPC, "error": "no capacity"}]))
    with pytest.raises(ProviderError, match=r"no capacity"):
        Faults(Store(tmp_path)).strike(task(), "create")
    with pytest.raises(ProviderError):
        Faults(Store(tmp_path)).strike(task(), "create")


def test_the_command_lists_and_disturbs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMOPS_STATE", str(tmp_path))
    store = Store()
    assert store.folder.is_relative_to(tmp_path)
    Account(store.folder).create(BUCKET, "b", bucket="models")
    assert main(["put", "models", "key"]) == 0
    assert main(["put", "none", "key"]) == 1
    assert main(["list"]) == 0
    assert capsys.readouterr().out == f"{BUCKET}  models\n"
    assert main(["show", BUCKET, "models"]) == 0
    assert json.loads(capsys.readouterr().out)["contents"] == ["key"]
    assert main(["fail", VPC, "--nth", "3"]) == 0
    assert json.loads((store.folder / "faults").read_text())[0]["nth"] == 3
    assert main(["clear"]) == 0
    assert store.objects() == []
