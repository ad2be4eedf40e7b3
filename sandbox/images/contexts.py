"""What images are made of: directories in the cache, each assembled once for its content."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from sandbox import toolchain
from sandbox.paths import REPOSITORY, cache_root
from sandbox.toolchain import registry, store, wheels
from sandbox.toolchain.errors import ToolchainError

# Debian's own Python, not the host's: a Python built by hand would need its libraries from anywhere.
PYTHON_PACKAGES = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libpython3.11", "media-types"),
    *("libc6", "libgcc-s1", "libstdc++6", "libexpat1", "zlib1g", "libssl3", "libffi8", "libbz2-1.0", "liblzma5"),
    *("libsqlite3-0", "libuuid1", "libcrypt1", "libnuma1", "libgomp1", "libtinfo6", "libncursesw6", "libreadline8"),
    *("bash", "coreutils", "libacl1", "libattr1", "libselinux1", "libpcre2-8-0", "libgmp10"),
)
GLIBC = ("libc6", "libgcc-s1", "libstdc++6")
REDIS = (
    *(
        "redis-server",
        "redis-tools",
        "libatomic1",
        "libjemalloc2",
        "liblua5.1-0",
        "liblzf1",
        "libhiredis0.14",
        "libssl3",
    ),
    *("libsystemd0", "lua-cjson", "lua-bitop", "zlib1g", "libcap2", "libgcrypt20", "libgpg-error0", "liblzma5"),
    *("libzstd1", "liblz4-1"),
)
PAUSE = ("catatonit",)  # a static init; with -P it holds a pod's namespaces, as Podman's pods do
# What a server on a CPU never loads; a third of the packages' size.
UNUSED_ON_CPU = (
    *("openvino/libs/libopenvino_intel_[gn]pu*", "openvino/libs/libopenvino_auto*", "openvino/libs/cache.json"),
    *("openvino/libs/libopenvino_hetero*", "openvino/include", "numpy/*/tests", "numpy/core/include"),
)
# `tokenizers` names the hub's client as a dependency and imports it nowhere; a pod could not reach a hub.
UNUSED_HUB = ("huggingface_hub*", "hf_xet*", "fsspec*", "yaml", "_yaml", "tqdm*", "bin")


def _made(name: str, *facts: str, files: tuple[Path, ...] = (), fill: Callable[[Path], None]) -> Path:
    """A directory of the cache, filled once for these facts and files; appears whole or not at all."""
    target = cache_root() / "images" / "parts" / f"{name}-{store.content_key(files, *facts)}"
    with store.only_builder(target.with_suffix(".lock")):
        if not target.is_dir():
            part = target.with_name(f".{target.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            with store.space_errors(target.parent):
                part.mkdir(parents=True)
                fill(part)
            store.publish(part, target)
    return target


def program(name: str) -> Path:
    """A directory with one of the toolchain's programs."""
    binary = toolchain.binary(name)
    identity = f"{binary.parent.parent.name}/{binary.parent.name}"

    def fill(directory: Path) -> None:
        shutil.copy2(binary.resolve(), directory / binary.name)
        (directory / binary.name).chmod(0o755)

    return _made(name, identity, fill=fill)


def libraries() -> Path:
    """The C library and a user: what the dynamically linked programs need."""
    return _debian("base", GLIBC)


def python() -> Path:
    """Python 3.11 with its standard library, compiled: a container's file system is read-only, so it never could."""

    def fill(directory: Path) -> None:
        shutil.copytree(_debian("python", PYTHON_PACKAGES), directory, symlinks=True, dirs_exist_ok=True)
        _compile(directory, directory / "usr/lib/python3.11", "/usr/lib/python3.11")

    return _made("python-compiled", *PYTHON_PACKAGES, fill=fill)


def redis() -> Path:
    """Redis with the libraries it links."""
    return _debian("redis", REDIS)


def pause() -> Path:
    """The program that holds a pod's namespaces."""
    return _debian("pause", PAUSE)


def site_packages(requirements: str, where: str, unused: tuple[str, ...] = (), dependencies: bool = True) -> Path:
    """The packages of a requirements file for the images' Python, compiled for the path `where`.

    `unused`: glob patterns of what to leave out. Without `dependencies` the file lists all that is needed.
    """
    path = REPOSITORY / requirements

    def fill(directory: Path) -> None:
        _run(
            *(wheels.uv(), "pip", "install", "--quiet", "--only-binary=:all:"),
            *(() if dependencies else ("--no-deps",)),
            *("--python", sys.executable, "--python-version", "3.11", "--link-mode", "copy"),
            *("--target", str(directory), "--requirement", str(path)),
            env={"UV_CACHE_DIR": str(cache_root() / "uv")} | dict(os.environ) | registry.uv_environment(),
        )
        for pattern in unused:
            for found in directory.glob(pattern):
                shutil.rmtree(found) if found.is_dir() else found.unlink()
        _compile(python(), directory, where)

    return _made("site", where, *unused, files=(path,), fill=fill)


def sources(package: str) -> Path:
    """One of this repository's packages, without what Python leaves beside it."""
    top = REPOSITORY / package
    files = [p for p in sorted(top.rglob("*")) if p.is_file() and "__pycache__" not in p.parts]
    contents = store.content_key(files, *(str(p.relative_to(top)) for p in files))

    def fill(directory: Path) -> None:
        shutil.copytree(top, directory / package, ignore=shutil.ignore_patterns("__pycache__", "corpus"))
        _compile(python(), directory, "/app")

    return _made(package, contents, fill=fill)


def triton() -> Path:
    """tritonserver and its python backend where NVIDIA's image has them, from the nvidia-pytriton wheel."""
    wheel = wheels.directory("nvidia-pytriton")

    def fill(directory: Path) -> None:
        server = directory / "opt" / "tritonserver"
        shutil.copytree(wheel / "pytriton" / "tritonserver", server)
        # The server finds its libraries beside the backends as well as here.
        shutil.copytree(wheel / "nvidia_pytriton.libs", server / "lib")
        stub = server / "python_backend_stubs" / "3.11" / "triton_python_backend_stub"
        shutil.copy2(stub, server / "backends" / "python" / stub.name)
        shutil.rmtree(server / "python_backend_stubs")
        for other in (server / "lib").glob("libpython3-*"):  # of the stub for Python 3.13
            other.unlink()

    return _made("triton", wheel.name, fill=fill)


def _debian(name: str, packages: tuple[str, ...]) -> Path:
    def fill(directory: Path) -> None:
        archives = directory.with_name(f".{name}.debs")
        shutil.rmtree(archives, ignore_errors=True)
        archives.mkdir(mode=0o755)
        try:
            download = ("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *packages)
            try:
                _run(*download, cwd=archives)
            except ToolchainError:
                # Lists that are weeks old name versions that the mirror no longer has.
                _run("apt-get", "update", "-qq")
                _run(*download, cwd=archives)
            for archive in sorted(archives.glob("*.deb")):
                _run("dpkg-deb", "--extract", str(archive), str(directory))
        finally:
            shutil.rmtree(archives, ignore_errors=True)
        for unused in ("doc", "man", "locale", "lintian", "bash-completion"):
            shutil.rmtree(directory / "usr" / "share" / unused, ignore_errors=True)
        (directory / "etc").mkdir(exist_ok=True)
        (directory / "etc" / "passwd").write_text("nonroot:x:65532:65532:nonroot:/tmp:/bin/false\n")
        (directory / "tmp").mkdir(mode=0o1777, exist_ok=True)
        if (directory / "usr" / "bin" / "python3.11").exists():
            (directory / "usr" / "bin" / "python3").symlink_to("python3.11")
        if (directory / "bin" / "bash").exists():
            (directory / "bin" / "sh").symlink_to("bash")

    return _made(name, *packages, sysconfig.get_platform(), fill=fill)


def _compile(python: Path, directory: Path, where: str) -> None:
    """Write byte code for what will lie at `where`, with the images' own Python, whatever the host's version is.

    Unchecked, because building an image sets every file's time to the same moment.
    """
    libraries = [python / path for path in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")]
    _run(
        *(str(python / "lib64" / "ld-linux-x86-64.so.2"), "--library-path", ":".join(map(str, libraries))),
        *(str(python / "usr/bin/python3.11"), "-S", "-m", "compileall", "-q", "-q"),
        *("--invalidation-mode", "unchecked-hash", "-s", str(directory), "-p", where, str(directory)),
        env={"PYTHONHOME": str(python / "usr"), "PATH": os.environ.get("PATH", "")},
        allowed=(0, 1),  # 1: some package ships a file for another Python, which nothing imports
    )


def _run(
    *command: str, cwd: Path | None = None, env: dict[str, str] | None = None, allowed: tuple[int, ...] = (0,)
) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    except FileNotFoundError:
        raise ToolchainError(f"{command[0]} is missing: run 'make doctor'.") from None
    if done.returncode not in allowed:
        said = (done.stderr or done.stdout).strip().splitlines()
        if store.says_full(done.stderr):
            raise ToolchainError(store.cannot_write(cache_root(), 28))
        raise ToolchainError(f"{' '.join(command[:3])} failed: {said[-1] if said else done.returncode}")
