"""The cluster's certificates: who they name, what they are good for, and when they are made again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.cluster import pki
from sandbox.cluster.addresses import Addresses

ADDRESSES = Addresses(5)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    pki.ensure(tmp_path / "pki", ADDRESSES)
    return tmp_path / "pki"


def read(directory: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_every_certificate_is_signed_by_its_authority(directory: Path) -> None:
    for certificate in pki.certificates(ADDRESSES):
        read(directory, certificate.file).verify_directly_issued_by(read(directory, certificate.authority))


def test_the_two_authorities_are_different(directory: Path) -> None:
    # A client certificate of the cluster must not pass for the aggregator's front proxy.
    with pytest.raises(ValueError, match="does not match"):
        read(directory, "front-proxy-client").verify_directly_issued_by(read(directory, "ca"))


def test_components_have_the_names_that_rbac_expects(directory: Path) -> None:
    def names(file: str) -> list[str]:
        return [str(part.value) for part in read(directory, file).subject]

    assert names("admin") == ["system:masters", "kubernetes-admin"]
    assert names("kubelet") == ["system:nodes", "system:node:llmops"]
    assert names("scheduler") == ["system:kube-scheduler"]
    assert names("controller-manager") == ["system:kube-controller-manager"]
    assert names("proxy") == ["system:kube-proxy"]


def test_the_api_server_answers_to_its_address_and_its_service(directory: Path) -> None:
    extension = read(directory, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(one) for one in extension.get_values_for_type(x509.IPAddress)} >= {"10.246.5.2", "10.245.5.1"}
    assert "kubernetes.default.svc" in extension.get_values_for_type(x509.DNSName)


def test_a_client_certificate_is_no_server_certificate(directory: Path) -> None:
    usage = read(directory, "admin").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_only_the_owner_reads_keys(directory: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in directory.glob("*.key")} == {0o600}


def test_a_second_run_changes_nothing(directory: Path) -> None:
    before = contents(directory)
    pki.ensure(directory, ADDRESSES)
    assert contents(directory) == before


def test_another_address_gets_another_server_certificate_from_the_same_authority(directory: Path) -> None:
    before = contents(directory)
    pki.ensure(directory, Addresses(6))
    changed = {name for name, content in contents(directory).items() if content != before[name]}
    assert changed == {"apiserver.crt", "apiserver.key", "kubelet.crt", "kubelet.key"}


def test_a_lost_authority_issues_everything_again(directory: Path) -> None:
    (directory / "ca.key").unlink()
    pki.ensure(directory, ADDRESSES)
    read(directory, "admin").verify_directly_issued_by(read(directory, "ca"))


def test_an_expiring_certificate_is_renewed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pki, "VALID", timedelta(days=5))
    (directory / "admin.crt").unlink()
    pki.ensure(directory, ADDRESSES)
    assert read(directory, "admin").not_valid_after_utc < datetime.now(UTC) + timedelta(days=6)
    monkeypatch.undo()
    pki.ensure(directory, ADDRESSES)
    assert read(directory, "admin").not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)


def test_a_torn_certificate_is_renewed(directory: Path) -> None:
    (directory / "scheduler.crt").write_text("-----BEGIN")
    pki.ensure(directory, ADDRESSES)
    name = read(directory, "scheduler").subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    assert name == "system:kube-scheduler"


def test_keys_are_on_p256(directory: Path) -> None:
    key = read(directory, "apiserver").public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
