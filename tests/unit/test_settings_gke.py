"""The GKE settings: the one sentence for each thing that Google would refuse, or that would end badly."""

from typing import Any

import pytest

from stacks.settings import SettingsError, parse
from tests.unit import checked_in

POOL = {"name": "l4", "machineType": "g2-standard-12"}


def mistakes(**gke: Any) -> list[str]:
    """What is wrong with the checked-in stack after these changes of its `gke` block."""
    found = checked_in.values("gcp")
    model = {**found["models"][0], "pool": gke["nodePools"][0]["name"]} if "nodePools" in gke else None
    changes = {"models": [model], "tenants": [{"name": "t", "tokensPerMinute": 100000}]} if model else {}
    try:
        parse({**found, **changes, "gke": {**found["gke"], **gke}})
    except SettingsError as error:
        return error.mistakes
    return []


def pools(**changes: Any) -> dict[str, Any]:
    return {"nodePools": [{**POOL, **changes}]}


def test_the_checked_in_stack_is_valid() -> None:
    assert mistakes() == []


@pytest.mark.parametrize(
    "gke",
    [
        pools(capacity="spot"),
        pools(capacity="flex-start"),
        pools(capacity="reservation", reservation="r", zones=["europe-west4-a"]),
        pools(compactPlacement=True, zones=["europe-west4-a"]),
        {"authorizedNetworks": ["198.51.100.0/24"]},
        {"kmsKey": "projects/keys/locations/europe-west4/keyRings/llm/cryptoKeys/llm"},
        {"filestore": {"tier": "REGIONAL"}},
        {"maintenance": {"days": ["TU"], "start": "22:30", "hours": 12}},
    ],
)
def test_each_way_that_google_takes_is_taken(gke: dict[str, Any]) -> None:
    assert mistakes(**gke) == []


@pytest.mark.parametrize(
    ("gke", "sentence"),
    [
        (
            {"podsCidr": "10.64.0.0/14"},
            "gke.nodesCidr: 10.64.0.0/20 overlaps podsCidr, which is 10.64.0.0/14; move one of them",
        ),
        (
            {"servicesCidr": "10.70.0.0/20"},
            "gke.podsCidr: 10.68.0.0/14 overlaps servicesCidr, which is 10.70.0.0/20; move one of them",
        ),
        (
            {"podsCidr": "10.68.0.0/20"},
            "gke.podsCidr: 10.68.0.0/20 has room for 16 nodes, a /24 each, and the pools may grow to 20; "
            "widen it, or lower their max",
        ),
        (
            {"nodesCidr": "10.64.0.0/28"},
            "gke.nodesCidr: 10.64.0.0/28 has room for 12 nodes, and the pools may grow to 20; "
            "widen it, or lower their max",
        ),
        ({"servicesCidr": "10.66.0.0/28"}, "gke.servicesCidr: 10.66.0.0/28 is a /28; GKE takes a /16 to a /27"),
        (
            {"controlPlaneCidr": "172.16.0.0/27"},
            "gke.controlPlaneCidr: 172.16.0.0/27 is not a /28, and GKE takes no other size",
        ),
        ({"nodesCidr": "fd00::/64"}, "gke.nodesCidr: 'fd00::/64' is an IPv6 network; give an IPv4 one"),
        (
            {"authorizedNetworks": ["0.0.0.0/0"]},
            "gke.authorizedNetworks: '0.0.0.0/0' would open the API server to everybody or is no IPv4 network; "
            "name the networks that need it, or set dnsEndpoint",
        ),
        (
            {"authorizedNetworks": ["128.0.0.0/1"]},
            "gke.authorizedNetworks: '128.0.0.0/1' would open the API server to everybody or is no IPv4 network; "
            "name the networks that need it, or set dnsEndpoint",
        ),
        (
            pools(machineType="a3-highgpu-8"),
            "gke.nodePools[0].machineType: 'a3-highgpu-8' is not known; did you mean a3-highgpu-8g, a4-highgpu-8g, "
            "a2-highgpu-8g? stacks/machines.py has all of them",
        ),
        (
            {"systemNodes": {"machineType": "g2-standard-4"}},
            "gke.systemNodes.machineType: 'g2-standard-4' has GPUs, which idle here; take one of e2-standard-4, "
            "e2-standard-8, n2-standard-4, n2-standard-8",
        ),
        (
            pools(compactPlacement=True),
            "gke.nodePools[0].compactPlacement: needs exactly one zone, and zones has 0; name the zone",
        ),
        (
            pools(capacity="reservation", zones=["europe-west4-a"]),
            "gke.nodePools[0].reservation: is missing; capacity is 'reservation', so name the reservation",
        ),
        (
            pools(capacity="reservation", reservation="r"),
            "gke.nodePools[0].zones: a reservation lies in one zone, and zones has 0; name the zone",
        ),
        (
            pools(capacity="flex-start", reservation="r"),
            "gke.nodePools[0].reservation: 'r' would not be used, because capacity is 'flex-start'; "
            "set capacity to 'reservation', or leave it out",
        ),
        (
            pools(capacity="flex-start", min=1),
            "gke.nodePools[0].min: 1 nodes cannot wait, because flex-start nodes come with a request; set it to 0",
        ),
        (
            pools(zones=["europe-west1-b"]),
            "gke.nodePools[0].zones: 'europe-west1-b' is not a zone of the region 'europe-west4'; "
            "write one like europe-west4-a",
        ),
        (pools(min=5), "gke.nodePools[0].min: 5 is above max, which is 4; lower one or raise the other"),
        (
            pools(name="system"),
            "gke.nodePools[0].name: 'system' is the pool of systemNodes; give the GPU pool another name",
        ),
        (
            pools(name="a-pool-with-a-long-name"),
            "gke.nodePools[0].name: 'a-pool-with-a-long-name' has 23 letters; take at most 22, ",
        ),
        (
            {"kmsKey": "projects/k/locations/global/keyRings/r/cryptoKeys/k"},
            "gke.kmsKey: lies in 'global'; GKE needs a key in its own region, 'europe-west4'",
        ),
        (
            {"filestore": {"tier": "BASIC_SSD"}},
            "gke.filestore.capacityGib: 1024 is below 2560, the least that tier BASIC_SSD has; raise it",
        ),
        (
            {"maintenance": {"days": ["SU"], "hours": 4}},
            "gke.maintenance.hours: 4 on 1 day(s) a week make 16 hours in four weeks, and GKE wants 48; "
            "add hours or days",
        ),
        ({"project": "My Project"}, "gke.project: 'My Project' does not fit; string should match pattern "),
    ],
)
def test_a_mistake_is_one_sentence_that_names_its_key(gke: dict[str, Any], sentence: str) -> None:
    found = mistakes(**gke)
    assert [m for m in found if m.startswith(sentence)], found
