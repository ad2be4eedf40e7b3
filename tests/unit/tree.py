"""A stack built against mocks, as the engine sees it: what hangs where, what waits for what, what the rules see."""

import asyncio
from collections.abc import Callable
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc

from ci.diagram import Node
from policy.resource import UNKNOWN, Resource, plain

SECRET = "4dabf18193072939515e22adb298388d"  # how Pulumi marks a secret on the wire (sdk/go/common/resource/sig)


class Tree(mocks.MockMonitor):
    """Notes every registration with its parent, its dependencies and its options."""

    def __init__(self, recorder: mocks.Mocks) -> None:
        super().__init__(recorder)
        self.nodes: list[Node] = []
        self.resources_: list[Resource] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (gRPC's name)
        answer = super().RegisterResource(request)
        self.nodes.append(
            Node(
                urn=answer.urn,
                type=request.type,
                name=request.name,
                parent=request.parent,
                dependencies=tuple(request.dependencies),
            )
        )
        self.resources_.append(
            Resource(
                type=request.type,
                name=request.name,
                urn=answer.urn,
                props=plain(_clear(rpc.deserialize_properties(request.object))),
                protect=bool(request.protect),
                provider={"urn": request.provider.rpartition("::")[0]},
                sources={key: tuple(found.urns) for key, found in request.propertyDependencies.items()},
            )
        )
        return answer

    def seen(self) -> list[Resource]:
        """The resources as the rules see them, each with its provider's inputs."""
        providers = {r.urn: r.props for r in self.resources_ if r.type.startswith("pulumi:providers:")}
        return [
            Resource(
                type=r.type,
                name=r.name,
                urn=r.urn,
                props=r.props,
                protect=r.protect,
                provider=providers.get(str(r.provider["urn"]), {}),
                sources=r.sources,
            )
            for r in self.resources_
            if not r.type.startswith("pulumi:")
        ]


def _clear(value: Any) -> Any:
    if isinstance(value, dict):
        return UNKNOWN if SECRET in value else {key: _clear(item) for key, item in value.items()}
    return [_clear(item) for item in value] if isinstance(value, list) else value


def built(recorder: mocks.Mocks, stack: str, program: Callable[[], None]) -> Tree:
    """A program, run to its end against mocks."""
    tree = Tree(recorder)
    asyncio.set_event_loop(asyncio.new_event_loop())  # the mocks want one, and other tests close theirs
    mocks.set_mocks(recorder, project="llmops", stack=stack, monitor=tree)
    pulumi.runtime.test(program)()
    return tree
