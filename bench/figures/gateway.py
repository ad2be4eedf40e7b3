"""What the frontend and the gateway add to Triton's own generate, next to what LiteLLM adds to the same frontends.

Four arms do the same work, one token for the same chat prompt, each over all of the model's pods:
a `triton`: the `tensorrt_llm` model's generate, token ids in and out; b `frontend`: the OpenAI API beside it;
c `gateway`: through the endpoint with a key, limits and the picker; d `litellm`: LiteLLM's proxy before the frontends.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bench import peers, processes, rounds, samples
from bench.errors import BenchError
from bench.load.connection import Target, post
from bench.load.generator import LATE, Generator
from bench.load.shapes import Measured
from bench.platform import MODEL, TENANT, Platform
from bench.results import Result, compared
from frontend.body import Sampling
from frontend.chat_template import ChatTemplate
from frontend.tokenizer import Tokenizer
from frontend.triton import request_tensors
from sandbox import paths

SHARES = {"p50": 0.5, "p99": 0.99}
# What is added, over which arm, and which arm it is held against in the same way.
ADDED = {
    "chain": ("gateway", "triton", "our whole chain (gateway and frontend) over Triton's own generate"),
    "gateway": ("gateway", "frontend", "our gateway (key, limits, picker) over the frontends"),
    "frontend": ("frontend", "triton", "our frontend over Triton's own generate"),
}
CPU = {
    "chain": (("gateway", "frontend"), "our whole chain (gateway and frontend)"),
    "gateway": (("gateway",), "our gateway (both passes of Envoy, rate limits, picker)"),
}
GOAL = 0.5
IDS: dict[str, float] = dict.fromkeys(
    (
        *(f"{what}.added_{share}" for what in ADDED for share in SHARES),
        *(f"{what}.cpu_per_request" for what in CPU),
    ),
    GOAL,
)
PROMPT = "Write one sentence about the class statement and what its body may contain."
OPEN_SECONDS, CLOSED_SECONDS = 8.0, 4.0
CONNECTIONS = 8  # in the closed loop: enough to keep both processors busy
LOAD = 0.5  # of the slowest arm's saturation: below the 70% where queues begin to show
HIGHEST_RATE = 50.0  # requests a second

ARMS = ("triton", "frontend", "gateway", "litellm")


@dataclass(frozen=True)
class Closed:
    """One block at full speed: requests a second, and processor seconds a request by role."""

    rate: float
    cpu: dict[str, float]


def measure(platform: Platform, say: Callable[[str], None]) -> list[Result]:
    """Latency under open load, then processor time under closed load, arms interleaved."""
    platform.ensure_up()
    say("starting LiteLLM (its first start installs it)")
    pods = platform.pod_addresses()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        config = peers.configuration(MODEL, [f"http://{pod}:9000/v1" for pod in pods])
        with peers.LiteLLM(Path(scratch), config) as litellm, Generator(_targets(platform, pods, litellm)) as load:
            _same_work(load)
            roles = _roles(platform, litellm)
            say("finding out where the slowest arm saturates")
            _saturation(load, roles)  # the first time, much is still being loaded: LiteLLM answers a third as fast
            rates = _saturation(load, roles)
            rate = min(HIGHEST_RATE, LOAD * min(rates.values()))
            latency = _latency(load, rate, say)
            closed = rounds.interleaved(
                {arm: partial(_closed, load, roles, arm, CLOSED_SECONDS) for arm in ("gateway", "litellm")},
                say=lambda text: say(f"closed loop: {text}"),
            )
    return [*_added(latency, rate, rates), *_cpu(closed)]


def _targets(platform: Platform, pods: Sequence[str], litellm: peers.LiteLLM) -> dict[str, Target]:
    chat = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 1, "temperature": 0}
    body = json.dumps(chat).encode()
    ids, end_id = _token_ids(platform)
    tensors = request_tensors(ids, Sampling(temperature=0), 1, end_id, stream=False)
    path = "/v1/chat/completions"
    endpoint = urlsplit(str(platform.outputs["endpoint"]))
    key = str(platform.outputs["apiKeys"][TENANT])
    return {
        "triton": Target(
            addresses=tuple((pod, 8000) for pod in pods),
            request=post("/v2/models/tensorrt_llm/generate", json.dumps(tensors).encode(), {}),
        ),
        "frontend": Target(addresses=tuple((pod, 9000) for pod in pods), request=post(path, body, {})),
        "gateway": Target(
            addresses=((str(endpoint.hostname), endpoint.port or 80),),
            request=post(path, body, {"authorization": f"Bearer {key}"}),
        ),
        "litellm": Target(
            addresses=(("127.0.0.1", litellm.port),),
            request=post(path, body, {"authorization": f"Bearer {peers.KEY}"}),
        ),
    }


def _token_ids(platform: Platform) -> tuple[list[int], int | None]:
    """The prompt's token ids as the frontend makes them, and the id that ends a text."""
    versions = sorted((paths.models_dir(platform.instance) / MODEL).iterdir())
    tokenizer = Tokenizer(versions[-1] / "tokenizer")
    if tokenizer.chat_template is None:
        raise BenchError(f"{MODEL} has no chat template.")
    template = ChatTemplate(tokenizer.chat_template, tokenizer.special)
    text = template.render([{"role": "user", "content": PROMPT}])
    return tokenizer.encode(text, special=False), tokenizer.end_ids[0] if tokenizer.end_ids else None


def _same_work(load: Generator) -> None:
    """Every arm answers, and counts the same tokens. Raises BenchError."""
    counts: dict[str, tuple[int, int]] = {}
    for arm in ARMS:
        status, body = load.one(arm)
        if status != 200:
            raise BenchError(f"{arm} answers {status}: {body[:300]}")
        if arm != "triton":
            usage = json.loads(body)["usage"]
            counts[arm] = (usage["prompt_tokens"], usage["completion_tokens"])
    if len(set(counts.values())) != 1:
        raise BenchError(f"the arms do different work, counted in tokens: {counts}.")


def _roles(platform: Platform, litellm: peers.LiteLLM) -> dict[str, list[int]]:
    """Processes by their role on a request's way. The cluster's own are on nobody's way."""
    role_of: dict[str, str] = {}
    for container in platform.containers():
        if container.namespace != "kube-system":
            role_of[container.id] = container.name if container.name in ("triton", "frontend") else "gateway"
    roles: dict[str, list[int]] = {"litellm": litellm.processes}
    for identity, pids in processes.in_containers(role_of).items():
        roles.setdefault(role_of[identity], []).extend(pids)
    if missing := {"triton", "frontend", "gateway"} - {role for role, pids in roles.items() if pids}:
        raise BenchError(f"no process was found of: {', '.join(sorted(missing))}.")
    return roles


def _saturation(load: Generator, roles: dict[str, list[int]]) -> dict[str, float]:
    """Requests a second that each arm answers at full speed."""
    return {arm: _closed(load, roles, arm, 2.0).rate for arm in ARMS}


def _closed(load: Generator, roles: dict[str, list[int]], arm: str, seconds: float) -> Closed:
    measured, used = load.closed_loop(arm, CONNECTIONS, seconds, partial(processes.meter, roles))
    count = len(measured.milliseconds)
    return Closed(count / measured.seconds, {role: spent / count for role, spent in used.items()})


def _latency(load: Generator, rate: float, say: Callable[[str], None]) -> dict[str, list[Measured]]:
    """Blocks of open load; all arms of a round see the same arrivals."""
    played: dict[str, int] = dict.fromkeys(ARMS, 0)

    def block(arm: str) -> Measured:
        played[arm] += 1
        return load.open_loop(arm, rate, OPEN_SECONDS, seed=played[arm])

    return rounds.interleaved(
        {arm: partial(block, arm) for arm in ARMS}, say=lambda text: say(f"open loop at {rate:.0f}/s: {text}")
    )


def _added(latency: dict[str, list[Measured]], rate: float, rates: dict[str, float]) -> list[Result]:
    found: list[Result] = []
    absolute = {
        arm: {
            name: samples.median([samples.percentile(m.milliseconds, s) for m in blocks]) for name, s in SHARES.items()
        }
        for arm, blocks in latency.items()
    }
    for what, (arm, under, text) in ADDED.items():
        for name, share in SHARES.items():
            ours = _difference(latency[arm], latency[under], share)
            theirs = _difference(latency["litellm"], latency["frontend"], share)
            found.append(
                compared(
                    f"{what}.added_{name}",
                    f"{name} that {text} adds ÷ {name} that LiteLLM {peers.version()} adds over the same frontends.",
                    GOAL,
                    ours,
                    theirs,
                    "ms",
                    details=_context(latency, absolute, rate, rates) if (what, name) == ("chain", "p50") else {},
                )
            )
    return found


def _context(
    latency: dict[str, list[Measured]], absolute: dict[str, dict[str, float]], rate: float, rates: dict[str, float]
) -> dict[str, object]:
    blocks = [block for arm in latency.values() for block in arm]
    late = sum(block.late > LATE for block in blocks)
    return {
        "load": f"open, Poisson, {rate:.0f} requests a second; one generated token each",
        **{f"{arm}, ms": values for arm, values in absolute.items()},
        "saturation, requests a second": {arm: round(value) for arm, value in rates.items()},
        "blocks sent more than 5 ms late by a busy machine": f"{late} of {len(blocks)}",
        "what adds": "a difference of two arms' percentiles in one round, not a percentile of differences",
    }


def _difference(upper: Sequence[Measured], lower: Sequence[Measured], share: float) -> list[float]:
    """Round by round, in milliseconds."""
    return [
        samples.percentile(one.milliseconds, share) - samples.percentile(other.milliseconds, share)
        for one, other in zip(upper, lower, strict=True)
    ]


def _cpu(closed: dict[str, list[Closed]]) -> list[Result]:
    theirs = [block.cpu["litellm"] * 1e3 for block in closed["litellm"]]
    found: list[Result] = []
    for what, (roles, text) in CPU.items():
        ours = [sum(block.cpu[role] for role in roles) * 1e3 for block in closed["gateway"]]
        found.append(
            compared(
                f"{what}.cpu_per_request",
                f"processor time a request of {text} ÷ of LiteLLM's process, {CONNECTIONS} connections at full speed.",
                GOAL,
                ours,
                theirs,
                "ms",
                details={
                    "requests per CPU-second": {
                        "ours": 1e3 / samples.median(ours),
                        "LiteLLM": 1e3 / samples.median(theirs),
                    },
                    "requests a second, Triton included": {
                        arm: samples.median([block.rate for block in blocks]) for arm, blocks in closed.items()
                    },
                },
            )
        )
    return found
