"""The doctor: every finding a fact and a fix, and exit 1 when something must be fixed."""

import os
import subprocess
from pathlib import Path

import pytest

from sandbox import doctor, kernel
from sandbox.cluster import cgroups
from sandbox.doctor import FAIL, OK, WARN, Finding
from sandbox.toolchain import families, store

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
vpn0\t0000F40A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def test_it_ends_with_1_when_something_must_be_fixed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (lambda: Finding(FAIL, "no kernel", "get one"),))
    assert doctor.main() == 1
    assert capsys.readouterr().out == "FAIL  no kernel\n      -> get one\n\nNot ready: 1 to fix, 0 to know.\n"


def test_it_ends_with_0_when_there_are_only_warnings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (lambda: Finding(WARN, "one core"), lambda: Finding(OK, "a kernel")))
    assert doctor.main() == 0
    assert "Ready: 0 to fix, 1 to know." in capsys.readouterr().out


def test_a_broken_check_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Finding:
        raise RuntimeError("boom")

    monkeypatch.setattr(doctor, "CHECKS", (broken, lambda: Finding(OK, "a kernel")))
    first, second = doctor.examine()
    assert (first.level, second.level) == (WARN, OK)
    assert "boom" in first.fact


def test_routes_are_read_from_the_kernels_table() -> None:
    found = [(route.subnet, route.interface) for route in doctor.host_routes(ROUTES)]
    assert found == [("192.0.2.0/24", "eth0"), ("10.244.0.0/16", "vpn0")]


def test_a_full_disk_is_found_before_anything_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLMOPS_CACHE", str(tmp_path))
    monkeypatch.setattr(store, "free_bytes", lambda _: 2**30)  # pyright: ignore[reportUnknownLambdaType]
    finding = doctor.cache()
    assert finding.level == FAIL
    assert "1 GiB free, 20 needed" in finding.fact
    assert "LLMOPS_CACHE" in finding.fix


def test_a_cache_that_cannot_be_written_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_CACHE", "/proc/llmops")
    assert doctor.cache().level == FAIL


def test_an_ordinary_user_is_told_to_be_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    finding = doctor.rights()
    assert finding.level == FAIL
    assert "root" in finding.fix


def test_missing_capabilities_are_named_with_their_use() -> None:
    everything_but_net_admin = (1 << 40) - 1 & ~(1 << 12)
    missing = kernel.missing_capabilities(f"Name:\tx\nCapEff:\t{everything_but_net_admin:016x}\n")
    assert missing == {"CAP_NET_ADMIN": "the cluster's network"}


def test_a_kernel_without_an_option_is_found_in_its_configuration() -> None:
    assert kernel.unconfigured(["bridge", "veth"], "CONFIG_BRIDGE=m\n# CONFIG_VETH is not set\n") == ["veth"]
    assert kernel.unconfigured(["bridge"], None) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="trying the kernel's features needs root")
def test_a_feature_that_the_kernel_refuses_is_reported_with_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(kernel.TRIES, "overlayfs", "echo unknown filesystem type; false")
    refused = kernel.refused(tmp_path)
    assert refused == {"overlayfs": "unknown filesystem type"}
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_a_warning_for_root_and_a_failure_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(families.DEBIAN, "images", {"buildah": "/nonexistent/buildah"})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert doctor.packages().level == WARN
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    finding = doctor.packages()
    assert finding.level == FAIL
    assert "apt-get install --no-install-recommends buildah" in finding.fix


def test_a_registry_that_does_not_answer_fails_only_while_it_is_needed() -> None:
    nobody = "http://127.0.0.1:1/simple/"
    assert doctor.answers("the index", nobody, "pip's index-url", needed=True).level == FAIL
    later = doctor.answers("the index", nobody, "pip's index-url", needed=False)
    assert later.level == WARN
    assert "pip's index-url" in later.fix


def test_what_a_crashed_cluster_left_is_told_from_a_running_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for instance in ("gone", "runs"):
        (tmp_path / "memory" / f"llmops-{instance}").mkdir(parents=True)
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [tmp_path / "memory"])
    pretends = ["sh", "-c", "read line", "-m", "sandbox.cluster.supervisor", "runs", "plan.json"]
    with subprocess.Popen(pretends, stdin=subprocess.PIPE) as supervisor:
        finding = doctor.leftovers()
        assert supervisor.stdin is not None
        supervisor.stdin.close()
    assert finding.level == WARN
    assert finding.fact == "left by an ended cluster: instance gone"
    assert doctor.leftovers().fact.endswith("gone, runs")
