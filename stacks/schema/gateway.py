"""The front door: where it is reached, over what, and by whom."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from stacks.schema.base import Cidr, Host, Model


class Tls(Model):
    """Encryption at the gateway."""

    # `none`: plain HTTP. `acme`: a certificate by cert-manager. `given`: the secrets `llmops:tlsCertificate` and
    # `llmops:tlsKey` (PEM). `cloud`: the cloud's own certificate at its load balancer.
    kind: Literal["none", "acme", "given", "cloud"] = "none"
    email: str | None = None  # acme: where the authority writes before a certificate ends
    server: str = "https://acme-v02.api.letsencrypt.org/directory"  # acme: the authority's directory
    certificate: str | None = None  # cloud: the certificate's ARN or name


def _keys_uri(value: str) -> str:
    parts = urlsplit(value)
    inside = (parts.hostname or "").endswith((".svc", ".svc.cluster.local"))
    if not parts.hostname or (parts.scheme != "https" and not (inside and parts.scheme == "http")):
        raise ValueError(f"{value!r} is not https://, which keys from outside the cluster must come over")
    return value


class Jwt(Model):
    """Tokens of an OpenID Connect provider, accepted beside API keys."""

    issuer: str  # the provider's `iss`
    jwks_uri: Annotated[str, AfterValidator(_keys_uri)]  # where its public keys are
    audiences: tuple[str, ...] = Field(min_length=1, max_length=8)  # accepted `aud`
    tenant_claim: str = "tenant"  # the claim that names the tenant


class Gateway(Model):
    """The front door."""

    replicas: int = Field(default=1, ge=1, le=16)  # of Envoy
    drain_seconds: int = Field(default=60, ge=1, le=3600)  # longest answer that a leaving Envoy still finishes
    node_port: int = Field(default=30080, ge=30000, le=32767)  # where the nodes of a local cluster answer
    plain_node_port: int = Field(default=30081, ge=30000, le=32767)  # the same, of plain HTTP where there is TLS
    hostname: Host | None = None  # the name that clients use; needed for TLS and DNS
    internal: bool = False  # a load balancer that only the private network reaches
    allowed_sources: tuple[Cidr, ...] = ()  # networks that may connect; none: everybody who reaches it
    dns_zone: str | None = None  # the cloud's zone (Route 53's id, Cloud DNS' name) that gets a record for `hostname`
    tls: Tls = Tls()
    jwt: Jwt | None = None
