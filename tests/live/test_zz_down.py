"""Down, and up again. Runs last: the platform of the other tests is gone afterwards."""

import os
import subprocess
from pathlib import Path

import pytest

from sandbox import cluster
from tests.live.platform import ROOT, Platform

pytestmark = pytest.mark.live


def test_down_leaves_nothing_and_up_works_again(platform: Platform) -> None:
    running = cluster.leftovers(instance=platform.instance)
    assert running, "the detector must see a running sandbox, or it is blind"
    platform.down()
    assert cluster.leftovers(instance=platform.instance) == []
    platform.up()
    assert platform.client("team-a").complete(max_tokens=1).status_code == 200


def test_a_full_cache_directory_is_one_sentence(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(cache)], check=True)
    try:
        result = subprocess.run(
            ["make", "up"],
            cwd=ROOT,
            env={**os.environ, "LLMOPS_CACHE": str(cache), "LLMOPS_INSTANCE": "full"},
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        subprocess.run(["umount", str(cache)], check=True)
    assert result.returncode != 0
    text = result.stdout + result.stderr
    assert "Traceback" not in text
    assert "space" in text
    assert str(cache) in text
