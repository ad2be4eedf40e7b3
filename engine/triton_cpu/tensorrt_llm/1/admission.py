"""Who may generate now: first come, first served, while a slot and blocks for the whole sequence are free.

This is TensorRT-LLM's `guaranteed_no_evict`: an admitted request can always run to its end.
"""

from collections import deque
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """Something that will need `tokens` of KV cache when it is at its longest."""

    @property
    def tokens(self) -> int: ...


Request = TypeVar("Request", bound=Sized)


class Admission(Generic[Request]):
    """The queue before the engine, and the KV-cache blocks promised to those inside."""

    def __init__(self, *, slots: int, blocks: int, tokens_per_block: int) -> None:
        self.slots, self.blocks, self.tokens_per_block = slots, blocks, tokens_per_block
        self.waiting: deque[Request] = deque()
        self.admitted: list[Request] = []

    def need(self, tokens: int) -> int:
        """The blocks that a sequence of `tokens` fills."""
        return -(-tokens // self.tokens_per_block)

    def put(self, request: Request) -> None:
        """Queue a request. Raises ValueError for one that could never be admitted."""
        if self.need(request.tokens) > self.blocks:
            raise ValueError(
                f"the request needs {self.need(request.tokens)} KV cache blocks, the engine has {self.blocks}"
            )
        self.waiting.append(request)

    def take(self) -> Request | None:
        """Admit the oldest waiting request, or None while it has to wait; nobody overtakes it."""
        if not self.waiting or len(self.admitted) >= self.slots:
            return None
        promised = sum(self.need(one.tokens) for one in self.admitted)
        if promised + self.need(self.waiting[0].tokens) > self.blocks:
            return None
        self.admitted.append(self.waiting.popleft())
        return self.admitted[-1]

    def leave(self, request: Request) -> None:
        """Give back the slot and blocks, or the place in the queue, of a request."""
        (self.admitted if request in self.admitted else self.waiting).remove(request)

    @property
    def idle(self) -> bool:
        """Whether nobody waits and nobody generates."""
        return not self.waiting and not self.admitted
