"""Subnets of cluster instances: disjoint, remembered, and never another network's."""

import ipaddress
import itertools
import json
from pathlib import Path

import pytest

from sandbox.cluster import addresses
from sandbox.cluster.addresses import Addresses, Route
from sandbox.cluster.errors import ClusterError


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMOPS_STATE", str(tmp_path))
    return tmp_path


def test_no_two_clusters_share_an_address() -> None:
    networks = [ipaddress.ip_network(subnet) for number in range(256) for subnet in Addresses(number).subnets]
    networks.sort()
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(networks))


def test_every_address_lies_in_its_subnet() -> None:
    one = Addresses(7)
    assert {ipaddress.ip_address(one.host), ipaddress.ip_address(one.node)} == set(
        ipaddress.ip_network(one.link).hosts()
    )
    assert ipaddress.ip_address(one.api_service) == next(ipaddress.ip_network(one.services).hosts())
    assert ipaddress.ip_address(one.dns) in ipaddress.ip_network(one.services)


def test_the_interface_name_fits_the_kernel_limit() -> None:
    assert len(Addresses(255).interface) < 16


def test_local_is_always_number_zero(state: Path) -> None:
    assert addresses.allocate("local", []) == Addresses(0)


def test_an_instance_keeps_its_number(state: Path) -> None:
    first = addresses.allocate("a", [])
    assert addresses.allocate("b", []) != first
    assert addresses.allocate("a", []) == first


def test_a_released_number_is_given_again(state: Path) -> None:
    first = addresses.allocate("a", [])
    addresses.release("a")
    assert addresses.allocate("b", []) == first


def test_a_subnet_that_the_host_uses_is_passed_over(state: Path) -> None:
    assert addresses.allocate("a", [Route("10.244.1.0/24", "br0"), Route("10.246.2.0/30", "llmops2")]) == Addresses(3)


def test_running_out_of_subnets_is_one_sentence(state: Path) -> None:
    with pytest.raises(ClusterError, match=r"No subnet is left for instance 'a': delete .*addresses\.json"):
        addresses.allocate("a", [Route("10.0.0.0/8", "vpn0")])


def test_its_own_routes_are_no_conflict() -> None:
    one = Addresses(4)
    assert addresses.conflict(one, [Route(subnet, one.interface) for subnet in one.subnets]) is None


def test_a_conflict_names_the_subnet_the_interface_and_the_setting() -> None:
    with pytest.raises(ClusterError, match=r"10\.244\.0\.0/16 .*flannel\.1.*LLMOPS_INSTANCE"):
        addresses.check_free(Addresses(0), [Route("10.244.0.0/16", "flannel.1")], "local")


def test_an_interrupted_write_leaves_the_table_readable(state: Path) -> None:
    addresses.allocate("a", [])
    (state / "addresses.part").write_text("{")
    addresses.allocate("b", [])
    assert json.loads((state / "addresses.json").read_text()) == {"a": 1, "b": 2}
