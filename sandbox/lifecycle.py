"""From nothing to a running stack and back. Pulumi does the work; this prepares what it runs on."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from sandbox import firstanswer, local, paths, pretended, pretended_dgx
from sandbox.progress import Progress
from stacks import stackfile
from stacks.settings import Settings

PULUMI = paths.REPOSITORY / "sandbox" / "pulumi"


def up(stack: str, arguments: list[str]) -> int:
    """Bring the stack up and print a request that works."""
    progress = Progress()
    settings = stackfile.read(stack)
    _prepare(stack, settings, progress)
    code = _pulumi("up", "--stack", stack, "--yes", "--skip-preview", *_policies(settings), *arguments)
    if code or "local" in settings.targets:
        return code or _show_request(stack, settings, progress)
    _say_what_it_is(progress)
    return 0


def preview(stack: str, arguments: list[str]) -> int:
    """Show what `up` would change. The local stack's objects are checked by the API server, so that runs."""
    settings = stackfile.read(stack)
    progress = Progress()
    _prepare(stack, settings, progress)
    code = _pulumi("preview", "--stack", stack, *_policies(settings), *arguments)
    if code == 0 and "local" not in settings.targets:
        _say_what_it_is(progress)
    return code


def down(stack: str, arguments: list[str]) -> int:
    """Destroy the stack; then nothing of the sandbox stays but the caches."""
    from sandbox import cluster

    settings = stackfile.read(stack)
    progress = Progress()
    if "gke" in settings.targets and settings.gke and settings.gke.deletion_protection and not settings.ephemeral:
        # Google refuses the cluster itself only after everything on it is gone.
        raise stackfile.StackFileError(
            f"llmops:gke.deletionProtection: protects the cluster of {stack!r}, so nothing is destroyed; set it to "
            f"false, run `make up STACK={stack}`, then this again."
        )
    if _has_state(stack):
        code = 0
        if _own_cluster(settings) and not cluster.status().running:
            # The cluster and everything on it is gone already; what is left is Pulumi's memory of it.
            progress.say("The sandbox's cluster is not running: forgetting what ran on it.")
        else:
            code = _pulumi("destroy", "--stack", stack, "--yes", "--skip-preview", *_kept(settings), *arguments)
        if code != 0:
            return code
    if _own_cluster(settings):
        with progress.step("Stop the sandbox"):
            cluster.stop(delete=True)
        shutil.rmtree(paths.models_dir(), ignore_errors=True)
    gone = pretended_dgx.forget(stack, settings, progress) or _own_cluster(settings)
    if "PULUMI_BACKEND_URL" not in os.environ:
        _forget(stack, gone=gone)
    if _has_state(stack):
        progress.say(
            f"{stack} is down but for what it protects, the model store: the next `make up STACK={stack}` finds it. "
            f"To delete that too: sandbox/pulumi state unprotect --all --yes --stack {stack}, then this again."
        )
    else:
        progress.say(f"{stack} is down. What was built stays in {paths.cache_root()}; `make clean` forgets that too.")
    return 0


def _kept(settings: Settings) -> tuple[str, ...]:
    """Stores outlive their cluster, unless it was a test; a cluster of our own on this machine keeps nothing."""
    return () if settings.ephemeral or _own_cluster(settings) else ("--exclude-protected",)


def _forget(stack: str, *, gone: bool) -> None:
    """Remove the stack's state from this machine's backend, and the instance's own with the last of its stacks.

    A state that still has resources stays, unless all that they stood for is `gone`.
    """
    if _has_state(stack):
        _captured("stack", "rm", stack, "--yes", "--preserve-config", *(["--force"] if gone else []))
    if not _stacks():
        shutil.rmtree(paths.state_dir(), ignore_errors=True)


def status(stack: str) -> int:
    """Show the sandbox, the stack's outputs and its pods."""
    from sandbox import cluster

    settings = stackfile.read(stack)
    if _own_cluster(settings):
        state = cluster.status()
        print(state)
        if not state.running:
            return 1
    if _has_state(stack):
        _pulumi("stack", "output", "--stack", stack)
    if "local" not in settings.targets:
        return subprocess.run([sys.executable, "-m", "sandbox.standin", "list"], cwd=paths.REPOSITORY).returncode
    command = [str(PULUMI.with_name("kubectl")), "get", "pods", "-A", "-o", "wide"]
    return subprocess.run(command).returncode


def render(stack: str, out: str) -> int:
    """Write every Kubernetes object of the stack to `out`, one file each."""
    from sandbox import rendering

    settings = stackfile.read(stack)
    _prepare(stack, settings, Progress())
    result = _captured("preview", "--stack", stack, "--json", "--show-sames", "--show-secrets=false")
    if result.returncode != 0:
        sys.stderr.write(result.stdout + result.stderr)
        return result.returncode
    count = rendering.write(json.loads(result.stdout), Path(out))
    print(f"{count} objects in {out}")
    return 0


def clean() -> int:
    """Forget everything that was built."""
    shutil.rmtree(paths.cache_root(), ignore_errors=True)
    print(f"{paths.cache_root()} is gone; the next `make up` builds everything again.")
    return 0


def _own_cluster(settings: Settings) -> bool:
    return "local" in settings.targets and settings.sandbox.kubeconfig is None


def _prepare(stack: str, settings: Settings, progress: Progress) -> None:
    if _own_cluster(settings):
        local.prepare(settings, progress)
    elif "local" not in settings.targets:
        pretended.prepare(progress)
        if pretended.in_use() and pretended_dgx.wanted(settings):
            os.environ["KUBECONFIG"] = str(pretended_dgx.prepare(stack, settings, progress))


def _say_what_it_is(progress: Progress) -> None:
    if pretended.in_use():
        progress.say(pretended.WORDS)


def _policies(settings: Settings) -> tuple[str, ...]:
    """The policy pack, for every stack in which something is at stake (docs/adr/0012)."""
    return () if "local" in settings.targets else ("--policy-pack", str(paths.REPOSITORY / "policy"))


def _environment() -> dict[str, str]:
    return {**local.environment(), **os.environ}


def _pulumi(*arguments: str) -> int:
    return subprocess.run([str(PULUMI), *arguments], cwd=paths.REPOSITORY, env=_environment()).returncode


def _captured(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PULUMI), *arguments], cwd=paths.REPOSITORY, env=_environment(), capture_output=True, text=True
    )


def _has_state(stack: str) -> bool:
    return stack in _stacks()


def _stacks() -> list[str]:
    """The project's stacks that have a state here."""
    listed = _captured("stack", "ls", "--json")
    entries = json.loads(listed.stdout or "[]") if listed.returncode == 0 else []
    return [entry["name"].split("/")[-1] for entry in entries]


def _show_request(stack: str, settings: Settings, progress: Progress) -> int:
    """Wait until the first completion comes back, and print the request for it."""
    result = _captured("stack", "output", "--stack", stack, "--json", "--show-secrets")
    if result.returncode != 0:
        sys.stderr.write(result.stderr)
        return result.returncode
    outputs = json.loads(result.stdout)
    tenant = settings.tenants[0].name
    key, endpoint = outputs["apiKeys"][tenant], outputs["endpoint"]
    body = {"model": settings.models_of(settings.tenants[0])[0].name, "prompt": "The class statement"}
    with progress.step("Wait for the first completion"):
        answer = firstanswer.wait(f"{endpoint}/v1/completions", key, {**body, "max_tokens": 1})
    if answer is not None:
        print(f"up: {endpoint} does not answer: {answer}; see `make status`.", file=sys.stderr)
        return 1
    shown = shlex.quote(json.dumps({**body, "max_tokens": 40}))
    print(f"\n{stack} is up after {progress.elapsed():.0f} s ({time.strftime('%H:%M:%S')}). Ask it something:\n")
    print(f"  curl {endpoint}/v1/completions \\")
    print(f"    -H 'Authorization: Bearer {key}' \\")
    print(f"    -H 'Content-Type: application/json' -d {shown}\n")
    print(f"That is {tenant}'s key; all keys: sandbox/pulumi stack output --stack {stack} apiKeys --show-secrets")
    print(f"OpenAI SDK: base_url={endpoint}/v1")
    return 0
