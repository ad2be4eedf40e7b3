"""What the frontend's tests stand on: a tiny tokenizer, a Triton with its generate extension, a running server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, TypeVar

import orjson
import uvloop
from aiohttp import web
from tokenizers import Tokenizer as HfTokenizer
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from frontend.access_log import AccessLog
from frontend.engines import connect
from frontend.server import Server
from frontend.settings import Settings, read_settings
from frontend.tokenizer import Tokenizer

MODEL = "tiny"
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    "{% if messages[0].content == 'refuse' %}{{ raise_exception('not this') }}{% endif %}<|assistant|>"
)
INPUTS = [
    "input_ids",
    "input_lengths",
    "request_output_len",
    "streaming",
    "end_id",
    "temperature",
    "runtime_top_p",
    "runtime_top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "min_length",
]
_T = TypeVar("_T")


def write_tokenizer(directory: Path) -> None:
    """A byte-level BPE with BOS and EOS, trained on a few words; other scripts stay single bytes."""
    hf = HfTokenizer(models.BPE())
    hf.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    hf.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    hf.train_from_iterator(["the quick brown fox jumps over the lazy dog and says hello world again"] * 4, trainer)
    hf.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    directory.mkdir(parents=True, exist_ok=True)
    hf.save(str(directory / "tokenizer.json"))
    config = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "chat_template": TEMPLATE}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))


@dataclass
class FakeTriton:
    """Answers like Triton 2.51's HTTP frontend with a decoupled ``tensorrt_llm`` model."""

    tokenizer: Tokenizer
    text: str = "hello world"
    pause: float = 0.0
    """Seconds before each token after the first, or before a whole reply."""
    endless: bool = False
    burst: int = 1
    """Events written at once."""
    status: int = 200
    error: str = ""
    fail_after: int | None = None
    """Tokens after which an error event ends the stream."""
    cut_after: int | None = None
    """Tokens after which the connection breaks."""
    ready: bool = True
    decoupled: bool = True
    inputs: list[str] = field(default_factory=lambda: list(INPUTS))
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    sent: int = 0
    running: int = 0
    abandoned: int = 0
    peers: set[int] = field(default_factory=set[int])
    """Client ports seen: one a connection."""
    drop_next: bool = False
    """Break the next connection before a byte of reply, as a server does with one it had just closed."""
    port: int = 0

    def reset(self) -> None:
        """Forget what a test has changed, on the same port."""
        fresh = type(self)(self.tokenizer, port=self.port)
        fresh.running = self.running
        self.__dict__.update(fresh.__dict__)

    def ids(self, request: dict[str, Any]) -> Iterator[int]:
        """What the model says to a request."""
        wanted: int = request["request_output_len"]
        said = self.tokenizer.encode(self.text, special=False)
        if self.endless or request.get("end_id") == -1:
            return islice(cycle(said), wanted)
        if "end_id" in request:
            said = [*said, request["end_id"]]
        return iter(said[:wanted])

    async def generate(self, request: web.Request) -> web.StreamResponse:
        tensors: dict[str, Any] = orjson.loads(await request.read())
        self.requests.append(tensors)
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername")[1])
        if self.drop_next:
            self.drop_next = False
            request.transport.abort()
            return web.Response()
        if self.status != 200:
            said = orjson.dumps({"error": self.error})
            return web.Response(body=b"data: %b\n\n" % said if tensors["streaming"] else said, status=self.status)
        whole = request.path.endswith("/generate")
        assert whole != tensors["streaming"], "Triton's generate answers once"
        kind = "application/json" if whole else "text/event-stream; charset=utf-8"
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        self.running += 1
        try:
            await self._say(request, response, tensors)
        except (asyncio.CancelledError, ConnectionError):
            self.abandoned += 1
            raise
        finally:
            self.running -= 1
        return response

    async def _say(self, request: web.Request, response: web.StreamResponse, tensors: dict[str, Any]) -> None:
        ids = self.ids(tensors)
        pieces = ([token] for token in ids) if tensors["streaming"] else iter([list(ids)])
        prefix, suffix = (b"data: ", b"\n\n") if tensors["streaming"] else (b"", b"")
        pending = b""
        for index, piece in enumerate(pieces):
            if self.pause and (index or not tensors["streaming"]):
                await asyncio.sleep(self.pause)
            if index == self.cut_after:
                if request.transport is not None:
                    request.transport.abort()
                return
            if index == self.fail_after:
                await response.write(prefix + b'{"error":"the engine fell over at 10.0.0.7"}' + suffix)
                return
            value = piece[0] if len(piece) == 1 else piece  # Triton writes one element as a bare number
            event = {"model_name": "tensorrt_llm", "model_version": "1", "output_ids": value}
            pending += prefix + orjson.dumps(event | {"sequence_length": len(piece)}) + suffix
            if (index + 1) % self.burst == 0:
                await response.write(pending)
                pending = b""
            self.sent += len(piece)
        if pending:
            await response.write(pending)

    async def metadata(self, _: web.Request) -> web.Response:
        described = [{"name": name, "datatype": "INT32", "shape": [-1, 1]} for name in self.inputs]
        return web.json_response({"name": "tensorrt_llm", "inputs": described, "outputs": []})

    async def config(self, _: web.Request) -> web.Response:
        return web.json_response({"name": "tensorrt_llm", "model_transaction_policy": {"decoupled": self.decoupled}})

    async def health(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if self.ready else 400)

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[FakeTriton, None]:
        app = web.Application()
        app.router.add_post("/v2/models/tensorrt_llm/generate_stream", self.generate)
        app.router.add_post("/v2/models/tensorrt_llm/generate", self.generate)
        app.router.add_get("/v2/models/tensorrt_llm", self.metadata)
        app.router.add_get("/v2/models/tensorrt_llm/config", self.config)
        app.router.add_get("/v2/models/tensorrt_llm/ready", self.health)
        app.router.add_get("/v2/health/ready", self.health)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


@dataclass
class Rig:
    """A server over a fake Triton, both in a thread of their own."""

    triton: FakeTriton
    settings: Settings
    url: str
    log: list[bytes]
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run something in the server's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
        """Wait until a condition holds."""

        async def poll() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not condition():
                        await asyncio.sleep(0.005)
            assert condition(), f"waited {seconds} s for: {what}"

        self.run(poll())

    def wait_for_status(self, status: int) -> dict[str, Any]:
        """The last request's log line, once it has this status."""
        self.wait(lambda: [line["status"] for line in self.log_lines()[-1:]] == [status], f"a log line with {status}")
        return self.log_lines()[-1]

    def log_lines(self, event: str = "request") -> list[dict[str, Any]]:
        """The log so far, parsed."""
        lines = [json.loads(line) for line in b"".join(self.log).splitlines()]
        return [line for line in lines if line["event"] == event]


def settings_for(directory: Path, port: int, **changes: Any) -> Settings:
    """Settings over one fake Triton."""
    env = {"MODEL_NAME": MODEL, "TOKENIZER_DIR": str(directory), "MAX_INPUT_TOKENS": "64", "MAX_OUTPUT_TOKENS": "4000"}
    env |= {"TRITON_URL": f"http://127.0.0.1:{port}", "HOST": "127.0.0.1", "POD_NAME": "pod-7", "PORT": "0"}
    return replace(read_settings(env), **changes)


@contextmanager
def running(directory: Path, fake: type[FakeTriton] = FakeTriton, **changes: Any) -> Generator[Rig, None, None]:
    """A server and its fake Triton, for the length of a test or a module."""
    tokenizer = Tokenizer(directory)
    triton = fake(tokenizer)
    begun: list[Rig] = []
    up = threading.Event()
    down: list[asyncio.Event] = []

    async def main() -> None:
        async with triton.serving():
            settings = settings_for(directory, triton.port, **changes)
            log: list[bytes] = []
            server = Server(settings, tokenizer, connect(settings, tokenizer), AccessLog(log.append))
            port = await server.start()
            down.append(asyncio.Event())
            begun.append(Rig(triton, settings, f"http://127.0.0.1:{port}", log, asyncio.get_running_loop()))
            up.set()
            await down[0].wait()
            await server.stop()

    thread = threading.Thread(target=lambda: uvloop.run(main()), daemon=True)
    thread.start()
    assert up.wait(20), "the server did not start"
    try:
        yield begun[0]
    finally:
        begun[0].loop.call_soon_threadsafe(down[0].set)
        thread.join(20)
