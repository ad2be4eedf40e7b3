"""The process that constructs one component. Reads the engine's address and the request, writes the response."""

import asyncio
import os
import sys
import traceback
from typing import Any

# Their resource classes must be known before a reference to one of their resources is met.
PACKAGES = ("pulumi_aws", "pulumi_eks", "pulumi_kubernetes")


def main() -> None:
    """Serve the one request on standard input; never returns."""
    import importlib
    import json

    import pulumi
    from pulumi.provider.server import ProviderServicer
    from pulumi.runtime.proto import provider_pb2 as pb

    from sandbox.provider.cloud.eks.component import Components

    head, _, body = sys.stdin.buffer.read().partition(b"\n")
    answer = os.dup(1)
    os.dup2(2, 1)  # whatever prints must not end up in the response
    for package in PACKAGES:
        importlib.import_module(package)
    servicer = ProviderServicer(Components(), [], json.loads(head)["engine"])

    nobody: Any = None  # the call's context: only used to report errors, which we do ourselves

    async def construct() -> pb.ConstructResponse:
        return await servicer.Construct(pb.ConstructRequest.FromString(body), nobody)

    try:
        data = b"ok\n" + asyncio.run(construct()).SerializeToString()
    except pulumi.RunError as error:
        data = b"error\n" + str(error).encode()
    except Exception as error:
        traceback.print_exc()
        data = b"error\n" + str(error).strip().partition(":\n")[0].encode()
    with os.fdopen(answer, "wb") as file:
        file.write(data)
    os._exit(0)
