"""The cluster's certificates: two authorities, a certificate per component, the service-account key.

Names and groups are those that Kubernetes' own RBAC bootstrap roles expect
(https://kubernetes.io/docs/setup/best-practices/certificates/). P-256 keys: made in a millisecond, where RSA takes
a tenth of a second each.
"""

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.cluster.addresses import Addresses

NODE = "llmops"
VALID = timedelta(days=3650)  # a developer's cluster is not a place to notice an expired certificate
RENEW_BEFORE = timedelta(days=30)
SERVICE_ACCOUNT = "service-account"


@dataclass(frozen=True)
class Certificate:
    """One certificate to issue. `server` makes it fit for TLS servers too; `names` are DNS names or addresses."""

    file: str
    common_name: str
    groups: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    authority: str = "ca"

    @property
    def server(self) -> bool:
        """Whether TLS servers use it."""
        return bool(self.names)


def certificates(addresses: Addresses) -> list[Certificate]:
    """Every certificate of a cluster with these addresses."""
    return [
        Certificate(
            "apiserver",
            "kube-apiserver",
            names=(
                addresses.node,
                addresses.api_service,
                "127.0.0.1",
                "localhost",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
            ),
        ),
        Certificate("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",)),
        Certificate("front-proxy-client", "front-proxy-client", authority="front-proxy-ca"),
        Certificate("admin", "kubernetes-admin", ("system:masters",)),
        Certificate("controller-manager", "system:kube-controller-manager"),
        Certificate("scheduler", "system:kube-scheduler"),
        Certificate("proxy", "system:kube-proxy"),
        Certificate("kwok", "kwok", ("system:masters",)),  # it plays kubelets, load balancers and provisioners
        Certificate("kubelet", f"system:node:{NODE}", ("system:nodes",), names=(addresses.node, NODE)),
    ]


def ensure(directory: Path, addresses: Addresses) -> None:
    """Write whatever is missing, expiring or made for other addresses; leave the rest as it is.

    Files: `<name>.crt`, `<name>.key` (PEM, keys 0600) and `service-account.{key,pub}`.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    renewed = {name for name in ("ca", "front-proxy-ca") if _ensure_authority(directory, name)}
    for certificate in certificates(addresses):
        if certificate.authority in renewed or not _good(directory, certificate):
            _issue(directory, certificate)
    if not (directory / f"{SERVICE_ACCOUNT}.pub").exists():
        key = ec.generate_private_key(ec.SECP256R1())
        _write(directory / f"{SERVICE_ACCOUNT}.key", _private(key))
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        _write(directory / f"{SERVICE_ACCOUNT}.pub", public)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    part.replace(path)


def _load(path: Path) -> x509.Certificate | None:
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if found.not_valid_after_utc - RENEW_BEFORE > datetime.now(UTC) else None


def _subject(common_name: str, groups: tuple[str, ...]) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _names(names: tuple[str, ...]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # clocks of host and container may differ a little
        .not_valid_after(now + VALID)
    )


def _ensure_authority(directory: Path, name: str) -> bool:
    if _load(directory / f"{name}.crt") and (directory / f"{name}.key").exists():
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(f"llmops-{name}", ())
    certificate = (
        _builder(subject, subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(directory / f"{name}.key", _private(key))
    _write(directory / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))
    return True


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _good(directory: Path, wanted: Certificate) -> bool:
    found = _load(directory / f"{wanted.file}.crt")
    if found is None or not (directory / f"{wanted.file}.key").exists():
        return False
    if found.subject != _subject(wanted.common_name, wanted.groups):
        return False
    try:
        names = list(found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    return names == _names(wanted.names)


def _issue(directory: Path, wanted: Certificate) -> None:
    authority = x509.load_pem_x509_certificate((directory / f"{wanted.authority}.crt").read_bytes())
    signer = serialization.load_pem_private_key((directory / f"{wanted.authority}.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # written by _ensure_authority
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if wanted.server else [])]
    builder = (
        _builder(_subject(wanted.common_name, wanted.groups), authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if wanted.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(_names(wanted.names)), critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    _write(directory / f"{wanted.file}.key", _private(key))
    _write(directory / f"{wanted.file}.crt", certificate.public_bytes(serialization.Encoding.PEM))
