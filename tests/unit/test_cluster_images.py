"""The images: named as the manifests name them, each with a Containerfile that only copies what it is given."""

import os
from pathlib import Path

import pytest

from components.images import own_image
from sandbox.cluster import dns, files
from sandbox.images import building
from sandbox.images.catalogue import REGISTRY, catalogue, select
from sandbox.toolchain.errors import ToolchainError
from stacks.settings import Images


def test_images_are_named_as_the_settings_name_them() -> None:
    assert Images().registry == REGISTRY
    assert catalogue()["frontend"].reference == own_image(Images().registry, "frontend")


def test_the_clusters_own_images_are_those_it_asks_for() -> None:
    assert catalogue()["pause"].reference == files.PAUSE
    assert catalogue()["coredns"].reference == dns.IMAGE


@pytest.mark.parametrize("name", list(catalogue()))
def test_a_containerfile_copies_its_parts_and_runs_nothing(name: str) -> None:
    image = catalogue()[name]
    lines = image.containerfile.read_text().splitlines()
    assert lines[0] == "FROM scratch"
    assert not any(line.startswith("RUN") for line in lines)
    copied = {line.split()[1].split("/")[0] for line in lines if line.startswith("COPY")}
    assert copied == set(image.parts)


@pytest.mark.parametrize("name", [name for name in catalogue() if name != "coredns"])
def test_an_image_runs_as_an_ordinary_user(name: str) -> None:
    users = [line.split()[1] for line in catalogue()[name].containerfile.read_text().splitlines() if "USER" in line]
    assert len(users) == 1
    assert int(users[0].split(":")[0]) > 10_000


def test_an_unknown_image_is_one_sentence_that_lists_the_known() -> None:
    with pytest.raises(ToolchainError, match=r"no image 'nginx'; there is pause, coredns"):
        select(["nginx"])


def test_the_two_latest_archives_of_an_image_are_kept(tmp_path: Path) -> None:
    for age, key in enumerate(("a", "b", "c")):
        path = tmp_path / f"frontend-{key * 12}.tar"
        path.touch()
        os.utime(path, (age, age))
    (tmp_path / "frontend-tools-aaaaaaaaaaaa.tar").touch()
    building.forget_old("frontend", tmp_path)
    assert sorted(path.name[9:10] for path in tmp_path.iterdir()) == ["b", "c", "t"]
