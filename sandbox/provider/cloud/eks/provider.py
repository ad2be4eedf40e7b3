"""The package as the engine sees it: nothing but components, each constructed in a process of its own.

The SDK's machinery for components keeps its settings (monitor, project, stack) for the whole process, and imports three
SDKs; neither belongs into the process that serves everything else.
"""

import json
import os
import subprocess
import sys
from importlib import metadata

from pulumi.runtime.proto import provider_pb2 as pb

from sandbox.paths import REPOSITORY
from sandbox.provider.contract import Changes, Failure, ProviderError, ResourceType, refuse
from sandbox.provider.values import Properties

COMPONENTS = ("eks:index:Cluster",)


class EksProvider:
    """The package. It has no configuration and no resources of its own."""

    name = "eks"

    def __init__(self) -> None:
        self.version = metadata.version("pulumi-eks")

    def check_config(self, config: Properties) -> list[Failure]:
        return []

    def diff_config(self, old: Properties, new: Properties) -> Changes:
        return Changes()

    def configure(self, config: Properties) -> "EksProvider":
        return self

    def resource_type(self, token: str) -> ResourceType:
        raise refuse(token, list(COMPONENTS))

    def invoke(self, token: str, arguments: Properties) -> Properties:
        raise refuse(f"The function {token}", ["no function of eks"])

    def construct(self, request: pb.ConstructRequest, engine: str) -> pb.ConstructResponse:
        """Register a component and its children. Raises ProviderError with what the component said."""
        if request.type not in COMPONENTS:
            raise refuse(request.type, list(COMPONENTS))
        path = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); "
        start = path + "from sandbox.provider.cloud.eks.child import main; main()"
        done = subprocess.run(
            [sys.executable, "-P", "-c", start],
            input=json.dumps({"engine": engine}).encode() + b"\n" + request.SerializeToString(),
            capture_output=True,
            env=dict(os.environ),
            check=False,
        )
        status, _, payload = done.stdout.partition(b"\n")
        if done.returncode != 0 or status != b"ok":
            lines = (payload or done.stderr).decode(errors="replace").strip().splitlines()
            raise ProviderError(
                f"{request.type} {request.name!r}: {lines[-1] if lines else 'the component ended early'}"
            )
        return pb.ConstructResponse.FromString(payload)
