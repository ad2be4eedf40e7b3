"""A project on the pretended cloud: no control plane, unless a test asks for one."""

import json
from pathlib import Path
from typing import Any

from sandbox.provider.cloud.store import Object, Store
from tests.hermetic.project import Project, python

HEAD = """
import json
import pulumi
import pulumi_aws as aws
import pulumi_gcp as gcp

trust = json.dumps({"Version": "2012-10-17", "Statement": []})
"""
CONFIG = "config:\n  aws:region: eu-central-1\n  gcp:project: proj-1\n  gcp:region: europe-west4\n"


class CloudProject(Project):
    """A program on aws, gcp and eks, and the cloud it is in."""

    head = HEAD

    def __init__(self, folder: Path, *, clusters: bool = False, instance: str = "hermetic") -> None:
        super().__init__(folder, None, CONFIG)
        self.environment["LLMOPS_INSTANCE"] = instance
        self.store = Store(self.state / instance / "cloud")
        if not clusters:
            self.environment["LLMOPS_STANDIN_CLUSTERS"] = "none"

    def cloud(self, *arguments: str) -> str:
        """`python -m sandbox.provider.cloud …`."""
        return python(self.environment, "-m", "sandbox.provider.cloud", *arguments)

    def clusters(self) -> list[str]:
        """The names of the pretended clusters that run."""
        return [name for name in self._standin("print(*(c.name for c in standin.list()))").split() if name]

    def stop_clusters(self) -> None:
        """End what a failed test left running."""
        self._standin("[standin.delete(c.name) for c in standin.list()]")

    def _standin(self, code: str) -> str:
        return python(self.environment, "-c", f"from sandbox import standin; {code}")

    def listed(self) -> list[str]:
        """The types that exist, sorted."""
        return sorted(str(item["type"]).rpartition(":")[2] for item in json.loads(self.cloud("list", "--json")))

    def one(self, type: str) -> Object:
        """The only object of a type."""
        [found] = self.store.objects(type)
        return found

    def managed(self) -> dict[str, dict[str, Any]]:
        """The state's resources of the clouds, by name."""
        exported = json.loads(self.run("stack", "export"))
        found: list[dict[str, Any]] = exported["deployment"].get("resources") or []
        clouds = [r for r in found if str(r["type"]).startswith(("aws:", "gcp:", "eks:"))]
        return {str(r["urn"]).rpartition("::")[2]: r for r in clouds}
