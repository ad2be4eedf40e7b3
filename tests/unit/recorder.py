"""What a program registers, kept instead of made."""

import asyncio
from typing import Any, NoReturn, Self

from pulumi.runtime import mocks


class Recorder(mocks.Mocks):
    """Keeps every registration; fills in the few outputs that the program builds on."""

    def __init__(self) -> None:
        self.resources: list[mocks.MockResourceArgs] = []
        self.protected: set[str] = set()  # names of what `pulumi destroy` refuses to delete

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(args)
        outputs = dict(args.inputs)
        if args.typ == "random:index/randomPassword:RandomPassword":
            outputs["result"] = "x" * int(args.inputs["length"])
        if args.typ == "kubernetes:helm.sh/v3:Release":
            outputs["status"] = {"status": "deployed"}
        if args.typ == "kubernetes:core/v1:Service" and args.inputs["spec"].get("type") == "LoadBalancer":
            outputs["status"] = {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}
        return f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> NoReturn:
        raise AssertionError(f"the program called {args.token}")

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The inputs of every Kubernetes object of a kind, by name."""
        return {
            r.name: r.inputs for r in self.resources if r.typ.startswith("kubernetes:") and r.typ.endswith(f":{kind}")
        }

    @classmethod
    def install(cls, stack: str) -> Self:
        """The recorder that what follows registers with."""
        recorder = cls()
        asyncio.set_event_loop(asyncio.new_event_loop())  # the mocks want one, and other tests close theirs
        mocks.set_mocks(recorder, project="llmops", stack=stack, monitor=_Monitor(recorder))
        return recorder


class _Monitor(mocks.MockMonitor):
    """Sees the options too, which mocks are not told."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._recorder = recorder

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (gRPC's name)
        if request.protect:
            self._recorder.protected.add(request.name)
        return super().RegisterResource(request)
