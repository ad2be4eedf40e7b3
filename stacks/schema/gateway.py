"""The front door: where it is reached, over what, and by whom."""

from typing import Literal

from pydantic import Field

from stacks.schema.base import Cidr, Model


class Tls(Model):
    """Encryption at the gateway."""

    # `none`: plain HTTP. `acme`: a certificate by cert-manager. `given`: the secrets `llmops:tlsCertificate` and
    # `llmops:tlsKey` (PEM). `cloud`: the cloud's own certificate at its load balancer.
    kind: Literal["none", "acme", "given", "cloud"] = "none"
    email: str | None = None  # acme: where the authority writes before a certificate ends
    server: str = "https://acme-v02.api.letsencrypt.org/directory"  # acme: the authority's directory
    certificate: str | None = None  # cloud: the certificate's ARN or name


class Jwt(Model):
    """Tokens of an OpenID Connect provider, accepted beside API keys."""

    issuer: str  # the provider's `iss`
    jwks_uri: str  # where its public keys are
    audiences: tuple[str, ...] = Field(min_length=1)  # accepted `aud`
    tenant_claim: str = "tenant"  # the claim that names the tenant


class Gateway(Model):
    """The front door."""

    replicas: int = Field(default=1, ge=1, le=16)  # of Envoy
    drain_seconds: int = Field(default=60, ge=1, le=3600)  # longest answer that a leaving Envoy still finishes
    node_port: int = Field(default=30080, ge=30000, le=32767)  # where the nodes of a local cluster answer
    plain_node_port: int = Field(default=30081, ge=30000, le=32767)  # the same, of plain HTTP where there is TLS
    hostname: str | None = None  # the name that clients use; needed for TLS and DNS
    internal: bool = False  # a load balancer that only the private network reaches
    allowed_sources: tuple[Cidr, ...] = ()  # networks that may connect; none: everybody who reaches it
    dns_zone: str | None = None  # the cloud's zone (Route 53's id, Cloud DNS' name) that gets a record for `hostname`
    tls: Tls = Tls()
    jwt: Jwt | None = None
