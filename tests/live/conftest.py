"""One platform for all live tests; it goes away with them, and must leave nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.platform import Platform
from tests.live.traffic import Client


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    directory: Path = tmp_path_factory.mktemp("stacks")
    platform = Platform(directory)
    platform.configure()
    platform.up()
    yield platform
    platform.down()


@pytest.fixture
def team_a(platform: Platform) -> Client:
    return platform.client("team-a")
