"""The wrapper's own work: find the CLI, prepare the stack, attach the providers, hand over."""

import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.command import arguments, recovery, stackfiles
from sandbox.command.arguments import Command
from sandbox.command.project import Project, find
from sandbox.paths import kubeconfig, models_dir, state_dir

TELLING = "sandbox/pulumi"


def say(text: str) -> None:
    """One line for the person, beside Pulumi's own output."""
    print(f"{TELLING}: {text}", file=sys.stderr, flush=True)


def main(argv: Sequence[str]) -> int:
    """Run Pulumi with these arguments; its exit code."""
    command = arguments.parse(argv)
    try:
        return _run(command, list(argv))
    except (RuntimeError, ValueError, OSError) as error:  # the toolchain's and our own one-sentence errors
        say(str(error))
        return 1


def _run(command: Command, argv: list[str]) -> int:
    from sandbox.toolchain import official_pulumi, pulumi_program

    official = official_pulumi()
    environment = _environment(official is None)
    project = find(command.folder)
    if official is not None:
        pulumi = official
    else:
        from sandbox.command.home import attached

        pulumi = attached(pulumi_program())
    extra: list[str] = []
    runner = None
    if official is None and project is not None and command.needs_providers and command.name in arguments.RUNNING:
        from sandbox.host.warm import VARIABLE, WarmRunner

        runner = WarmRunner(project.folder, environment)
        environment[VARIABLE] = runner.address
    if project is not None and not command.help and command.name in arguments.WITH_STACK:
        extra = _prepare(command, project, pulumi, environment)
    call = [str(pulumi), *argv[: _insertion(argv)], *extra, *argv[_insertion(argv) :]]
    if official is not None or not command.needs_providers:
        sys.stdout.flush()
        os.execve(call[0], call, environment)
    from sandbox.command.launch import hold_signals, run

    hold_signals()
    from sandbox.provider.server import Servers

    servers = Servers()
    try:
        return run(call, {**environment, "PULUMI_DEBUG_PROVIDERS": servers.environment()})
    finally:
        if runner is not None:
            runner.close()


def _insertion(argv: list[str]) -> int:
    """Our flags go before a `--`, after which everything belongs to the program."""
    return argv.index("--") if "--" in argv else len(argv)


def _environment(own_cli: bool) -> dict[str, str]:
    environment = dict(os.environ)
    state = state_dir()
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    environment.setdefault("PULUMI_SKIP_UPDATE_CHECK", "true")
    environment.setdefault("LLMOPS_KUBECONFIG", str(kubeconfig()))
    environment.setdefault("LLMOPS_MODEL_STORE", str(models_dir()))
    if own_cli:
        # The providers are attached: without this the engine looks for their plugins on the network at every start.
        environment.setdefault("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true")
        environment.setdefault("PULUMI_HOME", str(state / "pulumi-home"))
    if "PULUMI_BACKEND_URL" not in environment:
        backend = state / "backend"
        backend.mkdir(parents=True, exist_ok=True)
        environment["PULUMI_BACKEND_URL"] = f"file://{backend}"
        # One copy of the state for every update would be kept for ever.
        environment.setdefault("PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS", "true")
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & environment.keys():
        environment["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_passphrase(state / "passphrase"))
    return environment


def _passphrase(path: Path) -> Path:
    """This machine's own passphrase, made once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(part, path)  # unlike a rename, never over another command's
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return path


def _prepare(command: Command, project: Project, pulumi: Path, environment: dict[str, str]) -> list[str]:
    """Recover what a killed update left, create a missing stack; the flags that the command needs in addition."""
    home = Path(environment.get("PULUMI_HOME") or Path("~/.pulumi").expanduser())
    removing = command.words[:2] in (("stack", "rm"), ("stack", "remove"), ("stack", "delete"))
    named = command.words[2] if removing and len(command.words) > 2 else None
    stack = named or command.stack or environment.get("PULUMI_STACK") or project.selected(home)
    if not stack or "/" in stack:
        return []
    backend = recovery.backend_folder(environment["PULUMI_BACKEND_URL"])
    copy = stackfiles.private(project, stack)
    if removing and copy is not None:
        stackfiles.forget(project, stack)
        return ["--preserve-config"]  # the stack's file belongs to the repository and not to this machine's state
    if backend is not None:
        if not recovery.exists(backend, project, stack):
            if command.name in arguments.CREATING:
                _create(project, stack, copy, pulumi, environment)
        elif command.name in arguments.CHANGING:
            recovery.unlock(backend, project, stack, say)
            if command.name in ("up", "destroy"):
                recovery.forget_creations(pulumi, backend, project, stack, environment, say)
    return ["--config-file", str(copy)] if copy is not None and command.takes_config_file else []


def _create(project: Project, stack: str, copy: Path | None, pulumi: Path, environment: dict[str, str]) -> None:
    """`pulumi stack init`, with the salt written beside our state, and select it where none is selected."""
    where = (
        copy.parent if copy is not None and copy.parent != stackfiles.source(project, stack).parent else project.folder
    )
    _quiet(pulumi, ["-C", str(where), "stack", "init", stack, "--no-select"], environment)
    _quiet(pulumi, ["-C", str(project.folder), "stack", "select", stack], environment)


def _quiet(pulumi: Path, argv: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        [str(pulumi), *argv, "--non-interactive"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()]
        raise RuntimeError(lines[-1] if lines else f"pulumi {' '.join(argv)} failed.")


def entry() -> None:
    """The script's entry point: leaves without waiting for the providers' threads."""
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
