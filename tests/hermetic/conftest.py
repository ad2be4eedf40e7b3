"""One control plane for all hermetic tests, and a project for each."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import cluster as sandbox_cluster
from sandbox.progress import SILENT
from tests.hermetic.project import Api, Project

INSTANCE = "hermetic"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "hermetic" in item.path.parts:
            item.add_marker(pytest.mark.hermetic)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Api]:
    """A control plane: etcd, API server, controllers, scheduler. It is gone after the tests."""
    path = sandbox_cluster.start("control-plane", SILENT, instance=INSTANCE)
    yield Api(path)
    sandbox_cluster.stop(SILENT, instance=INSTANCE, delete=True)


@pytest.fixture
def project(tmp_path: Path, cluster: Api) -> Project:
    """An empty project with a file backend and a passphrase of its own."""
    return Project(tmp_path, cluster)


@pytest.fixture
def namespace(cluster: Api) -> Iterator[str]:
    """A namespace of the test's own, deleted with everything in it."""
    name = f"test-{secrets.token_hex(3)}"
    cluster.post("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    cluster.delete(f"/api/v1/namespaces/{name}")
