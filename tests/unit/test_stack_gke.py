"""The GKE stack, built against Pulumi's mocks: what it is made of, and what every part of it keeps to."""

import functools
import json
from typing import Any

import pulumi
import pytest

from stacks import gke
from stacks.settings import Settings, parse
from tests.unit import checked_in
from tests.unit.recorder import Google

KEY = "projects/keys/locations/europe-west4/keyRings/llm/cryptoKeys/llm"
CLUSTER, POOL = "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"
BUCKET, SHARE = "gcp:storage/bucket:Bucket", "gcp:filestore/instance:Instance"


def values(**changes: Any) -> Settings:
    """The checked-in stack with changes; those of `gke` are merged."""
    found = checked_in.values("gcp")
    changes["gke"] = {**found["gke"], **changes.get("gke", {})}
    return parse({**found, **changes})


def build(stack: str = "gcp", **changes: Any) -> Google:
    """What the stack registers with these changes; it is built once, however many tests look at it."""
    return _build(stack, json.dumps(changes))


@functools.cache
def _build(stack: str, changes: str) -> Google:
    settings = values(**json.loads(changes))
    return Google.record(stack, lambda: gke.build(settings))


@pytest.fixture
def production() -> Google:
    """What the checked-in stack registers."""
    return build()


def pool(**changes: Any) -> dict[str, Any]:
    """The settings of one GPU pool."""
    return {"name": "l4", "machineType": "g2-standard-12", **changes}


def gpu_pool(**changes: Any) -> dict[str, Any]:
    """The inputs of the node pool that such settings make, beside the checked-in H100 one."""
    h100 = values().gke
    assert h100 is not None
    others = [p.model_dump(by_alias=True) for p in h100.node_pools if p.name != "l4"]
    return build(gke={"nodePools": [pool(**changes), *others]}).typed(POOL)["gke-pool-l4"]


def test_the_inventory_is_the_checked_in_one(production: Google) -> None:
    found, expected = checked_in.inventory(production, "gcp")
    assert found == expected


def test_nodes_are_private_and_so_is_the_api_server(production: Google) -> None:
    private = production.one(CLUSTER)["privateClusterConfig"]
    assert (private["enablePrivateNodes"], private["enablePrivateEndpoint"]) == (True, True)
    assert production.one(CLUSTER)["masterAuthorizedNetworksConfig"]["cidrBlocks"] == []


def test_named_networks_alone_reach_a_public_api_server() -> None:
    cluster = build(gke={"authorizedNetworks": ["198.51.100.0/24"]}).one(CLUSTER)
    assert cluster["privateClusterConfig"]["enablePrivateEndpoint"] is False
    assert cluster["masterAuthorizedNetworksConfig"]["cidrBlocks"] == [{"cidrBlock": "198.51.100.0/24"}]


def test_nothing_is_open_to_everybody(production: Google) -> None:
    """No firewall rule, no authorized network and no grant names the whole world."""
    text = json.dumps([r.inputs for r in production.resources if r.typ.startswith("gcp:")])
    assert not [word for word in ("0.0.0.0/0", "allUsers", "allAuthenticatedUsers") if word in text]
    assert production.one("gcp:compute/firewall:Firewall")["sourceRanges"] == ["172.16.0.0/28"]


def test_pods_and_nodes_are_identities_of_their_own(production: Google) -> None:
    assert production.one(CLUSTER)["workloadIdentityConfig"] == {"workloadPool": "my-project.svc.id.goog"}
    for name, inputs in production.typed(POOL).items():
        node = inputs["nodeConfig"]
        assert node["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}, name
        assert node["serviceAccount"] == "llmops-gcp-nodes@my-project.iam.gserviceaccount.com", name
        assert node["shieldedInstanceConfig"] == {"enableSecureBoot": True, "enableIntegrityMonitoring": True}, name
        assert node["kubeletConfig"] == {"insecureKubeletReadonlyPortEnabled": "FALSE"}, name
    roles = {inputs["role"] for inputs in production.typed("gcp:projects/iAMMember:IAMMember").values()}
    assert roles == {"roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader"}


def test_gpu_pools_start_at_zero_with_a_driver_from_google(production: Google) -> None:
    pools = {name: inputs for name, inputs in production.typed(POOL).items() if name != "gke-pool-system"}
    assert set(pools) == {"gke-pool-l4", "gke-pool-h100"}
    for name, inputs in pools.items():
        assert inputs["autoscaling"]["totalMinNodeCount"] == 0, name
        assert inputs["initialNodeCount"] == 0, name
        (accelerator,) = inputs["nodeConfig"]["guestAccelerators"]
        assert accelerator["gpuDriverInstallationConfig"] == {"gpuDriverVersion": "LATEST"}, name
        assert inputs["nodeConfig"]["gcfsConfig"] == {"enabled": True}, name
        assert inputs["nodeConfig"]["labels"] == {"llmops.dev/pool": name.removeprefix("gke-pool-")}
    h100 = pools["gke-pool-h100"]["nodeConfig"]
    assert (h100["guestAccelerators"][0]["type"], h100["guestAccelerators"][0]["count"]) == ("nvidia-h100-80gb", 8)
    assert h100["ephemeralStorageLocalSsdConfig"] == {"localSsdCount": 16}
    assert h100["reservationAffinity"]["values"] == ["llm-h100"]


def test_each_kind_of_capacity_asks_google_for_itself_alone() -> None:
    spot = gpu_pool(capacity="spot")["nodeConfig"]
    assert spot["spot"] is True
    assert "flexStart" not in spot
    flex = gpu_pool(capacity="flex-start")
    assert (flex["nodeConfig"]["flexStart"], flex["nodeConfig"]["maxRunDuration"]) == (True, "604800s")
    assert flex["nodeConfig"]["reservationAffinity"] == {"consumeReservationType": "NO_RESERVATION"}
    assert flex["upgradeSettings"] == {"strategy": "SHORT_LIVED"}
    assert flex["management"]["autoRepair"] is False
    plain = gpu_pool()["nodeConfig"]
    assert not {"spot", "flexStart", "maxRunDuration"} & set(plain)


def test_compact_placement_is_a_policy_of_one_zone() -> None:
    close = gpu_pool(compactPlacement=True, zones=["europe-west4-a"])
    assert close["placementPolicy"] == {"type": "COMPACT"}
    assert close["nodeLocations"] == ["europe-west4-a"]
    assert "placementPolicy" not in gpu_pool()


def test_machines_without_persistent_disks_get_hyperdisks(production: Google) -> None:
    assert production.typed(POOL)["gke-pool-h100"]["nodeConfig"]["diskType"] == "pd-balanced"
    ultra = build(
        gke={"nodePools": [pool(), pool(name="h100", machineType="a3-ultragpu-8g", zones=["europe-west4-b"])]}
    ).typed(POOL)["gke-pool-h100"]
    assert ultra["nodeConfig"]["diskType"] == "hyperdisk-balanced"


def test_the_bucket_is_closed_versioned_and_its_reader_only_reads(production: Google) -> None:
    bucket = production.one(BUCKET)
    assert bucket["uniformBucketLevelAccess"] is True
    assert bucket["publicAccessPrevention"] == "enforced"
    assert bucket["versioning"] == {"enabled": True}
    assert bucket["softDeletePolicy"]["retentionDurationSeconds"] >= 604800
    assert bucket["forceDestroy"] is False
    grant = production.one("gcp:storage/bucketIAMMember:BucketIAMMember")
    assert grant["role"] == "roles/storage.objectViewer"
    assert grant["member"] == (
        "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/"
        "my-project.svc.id.goog/subject/ns/llm/sa/model-reader"
    )


def test_stores_are_protected_and_the_cluster_guards_itself(production: Google) -> None:
    assert production.one(CLUSTER)["deletionProtection"] is True
    assert production.protected == {"models-bucket"}
    filestore = build(storage={"kind": "filestore"})
    assert filestore.one(SHARE)["deletionProtectionEnabled"] is True
    assert filestore.protected == {"models-share-instance"}


def test_an_ephemeral_stack_lets_everything_go() -> None:
    recorder = build(ephemeral=True)
    assert recorder.one(CLUSTER)["deletionProtection"] is False
    assert recorder.one(BUCKET)["forceDestroy"] is True
    assert recorder.one(BUCKET)["softDeletePolicy"] == {"retentionDurationSeconds": 0}
    filestore = build(ephemeral=True, storage={"kind": "filestore"})
    assert filestore.one(SHARE)["deletionProtectionEnabled"] is False
    assert recorder.protected | filestore.protected == set()


def test_a_key_encrypts_secrets_disks_and_the_store() -> None:
    recorder = build(gke={"kmsKey": KEY})
    assert recorder.one(CLUSTER)["databaseEncryption"] == {"state": "ENCRYPTED", "keyName": KEY}
    assert recorder.one(BUCKET)["encryption"] == {"defaultKmsKeyName": KEY}
    assert {inputs["nodeConfig"]["bootDiskKmsKey"] for inputs in recorder.typed(POOL).values()} == {KEY}
    members = {inputs["member"] for inputs in recorder.typed("gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember").values()}
    assert members == {
        f"serviceAccount:service-123456789012@{agent}.iam.gserviceaccount.com"
        for agent in ("container-engine-robot", "compute-system", "gs-project-accounts")
    }


def test_filestore_is_mounted_read_only_in_place_of_the_bucket() -> None:
    recorder = build(storage={"kind": "filestore"})
    assert not recorder.typed(BUCKET)
    volume = recorder.of("PersistentVolume")["models-volume"]["spec"]
    assert volume["nfs"] == {"server": "10.9.0.2", "path": "/models", "readOnly": True}
    assert volume["accessModes"] == ["ReadOnlyMany"]
    assert "ro" in volume["mountOptions"]


def test_the_kubeconfig_holds_no_credential(production: Google) -> None:
    inputs = production.one("pulumi:providers:kubernetes")
    kubeconfig = json.loads(inputs["kubeconfig"]["value"] if isinstance(inputs["kubeconfig"], dict) else "{}")
    (user,) = kubeconfig["users"]
    assert user["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"
    assert set(user["user"]) == {"exec"}
    # The DNS endpoint has a public certificate.
    assert kubeconfig["clusters"][0]["cluster"] == {"server": "https://gke-1.europe-west4.gke.goog"}


def test_without_a_dns_endpoint_the_kubeconfig_trusts_the_clusters_own_authority() -> None:
    inputs = build(gke={"dnsEndpoint": False}).one("pulumi:providers:kubernetes")
    kubeconfig = json.loads(inputs["kubeconfig"]["value"])
    assert kubeconfig["clusters"][0]["cluster"] == {
        "server": "https://198.51.100.7",
        "certificate-authority-data": "Q0E=",
    }


def test_keys_of_the_secret_manager_are_the_tenants_and_stay_secret() -> None:
    recorder = build(keys={"source": "secret-manager", "secret": "tenant-keys"})
    held = recorder.of("Secret")["tenant-keys-secret"]["stringData"]
    assert held["value"] == {"team-a": "sk-a", "team-b": "sk-b"}
    assert not any("sk-a" in json.dumps(r.inputs) for r in recorder.resources if r.name != "tenant-keys-secret")


def test_a_secret_that_holds_no_map_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Google, "keys", "sk-alone")
    _build.cache_clear()
    with pytest.raises(pulumi.RunError, match=r"llmops:keys.secret: holds no JSON map") as caught:
        build(keys={"source": "secret-manager", "secret": "tenant-keys"})
    assert "sk-alone" not in str(caught.value)


def test_the_name_of_the_door_leads_to_a_reserved_address(production: Google) -> None:
    record = production.one("gcp:dns/recordSet:RecordSet")
    assert (record["managedZone"], record["name"], record["rrdatas"]) == (
        "example-com",
        "llm.example.com.",
        ["203.0.113.9"],
    )
    assert production.one("gcp:compute/address:Address")["addressType"] == "EXTERNAL"
    assert not build(gateway={"replicas": 2}).typed("gcp:dns/recordSet:RecordSet")


def test_an_internal_door_has_an_address_of_the_subnet() -> None:
    address = build(gateway={"internal": True}).one("gcp:compute/address:Address")
    assert address["addressType"] == "INTERNAL"
    assert address["subnetwork"]


def test_two_ephemeral_stacks_share_no_name() -> None:
    elsewhere = {POOL, "gcp:dns/recordSet:RecordSet"}  # a pool's name is its cluster's, a record's the settings'

    def names(stack: str) -> set[tuple[str, str]]:
        return {
            (r.typ, str(r.inputs[key]))
            for r in build(stack, ephemeral=True).resources
            if r.typ.startswith("gcp:") and r.typ not in elsewhere
            for key in ("name", "accountId")
            if key in r.inputs
        }

    one, other = names("pr-1"), names("pr-1-2")
    assert len(one) == len(other) == 9
    assert not {name for _, name in one} & {name for _, name in other}
