"""The certificate of the public name: given by the stack, or from an ACME authority through cert-manager.

Either way it ends up in a Secret that Envoy Gateway watches: a renewed certificate reaches the running Envoys within
seconds, and no connection ends for it.
"""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.chart import Chart, release
from components.cluster import Cluster
from components.custom import custom
from components.gateway import PLAIN, Gateway
from components.labels import labels
from components.namespace import restricted_namespace

CERT_MANAGER_API = "cert-manager.io/v1"
NAMESPACE = "cert-manager"


@dataclass(frozen=True, kw_only=True)
class GivenCertificateArgs:
    """A certificate with its chain, and its key; both PEM, both secret."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    certificate: pulumi.Output[str]
    key: pulumi.Output[str]


class GivenCertificate(pulumi.ComponentResource):
    """A certificate that the stack brings. `secret` is the Secret's name; a new one is set and taken up in place."""

    secret: pulumi.Output[str]

    def __init__(self, name: str, args: GivenCertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:GivenCertificate", name, {}, opts)
        made = k8s.core.v1.Secret(
            f"{name}-secret",
            metadata={"name": name, "namespace": args.namespace, "labels": labels("certificate", name)},
            type="kubernetes.io/tls",
            string_data={"tls.crt": pulumi.Output.secret(args.certificate), "tls.key": pulumi.Output.secret(args.key)},
            opts=args.cluster.child(self),
        )
        self.secret = made.metadata.apply(lambda meta: str(meta.name))
        self.register_outputs({"secret": self.secret})


@dataclass(frozen=True, kw_only=True)
class CertManagerArgs:
    """cert-manager's chart. `after`: what brings the Gateway API's CRDs, which it looks for when it starts."""

    cluster: Cluster
    chart: Chart
    after: pulumi.Resource


class CertManager(pulumi.ComponentResource):
    """cert-manager in a namespace of its own. Its CRDs come and go with the release."""

    def __init__(self, name: str, args: CertManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:CertManager", name, {}, opts)
        namespace = restricted_namespace(args.cluster, NAMESPACE).metadata.apply(lambda meta: str(meta.name))
        placement = args.cluster.system.placement()
        release(
            f"{name}-chart",
            args.chart,
            cluster=args.cluster,
            parent=self,
            name=name,
            namespace=namespace,
            values={
                "crds": {"enabled": True, "keep": False},
                "config": {
                    "apiVersion": "controller.config.cert-manager.io/v1alpha1",
                    "kind": "ControllerConfiguration",
                    "gatewayAPI": {"enabled": True},
                },
                **placement,
                "webhook": placement,
                "cainjector": placement,
                "startupapicheck": placement,
            },
            depends_on=[args.after],
        )
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class AcmeCertificateArgs:
    """The authority's directory `server`, the account's `email`, and the name that the certificate is for.

    `secret` is where it is put: the gateway's listener names it before it exists.
    """

    cluster: Cluster
    namespace: pulumi.Input[str]
    manager: CertManager
    gateway: Gateway
    secret: str
    hostname: str
    email: str
    server: str


class AcmeCertificate(pulumi.ComponentResource):
    """An issuer and its one certificate, renewed a third of its life before it ends.

    The challenge is HTTP-01 through the gateway's plain listener (docs/adr/0010): it needs no rights in any cloud,
    but the authority must reach the public name on port 80.
    """

    def __init__(self, name: str, args: AcmeCertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:AcmeCertificate", name, {}, opts)
        listener = {
            "group": "gateway.networking.k8s.io",
            "kind": "Gateway",
            "name": args.gateway.gateway_name,
            "namespace": args.namespace,
            "sectionName": PLAIN,
        }
        placement = args.cluster.system.placement()
        pod = {"podTemplate": {"spec": placement}} if placement else {}
        issuer = custom(
            CERT_MANAGER_API,
            "Issuer",
            name,
            namespace=args.namespace,
            resource_name=f"{name}-issuer",
            spec={
                "acme": {
                    "server": args.server,
                    "email": args.email,
                    "privateKeySecretRef": {"name": f"{name}-account"},
                    "solvers": [{"http01": {"gatewayHTTPRoute": {"parentRefs": [listener], **pod}}}],
                }
            },
            opts=args.cluster.child(self, depends_on=[args.manager, args.gateway]),
        )
        custom(
            CERT_MANAGER_API,
            "Certificate",
            name,
            namespace=args.namespace,
            resource_name=f"{name}-certificate",
            spec={
                "secretName": args.secret,
                "dnsNames": [args.hostname],
                "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": name},
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "usages": ["digital signature", "server auth"],
            },
            opts=args.cluster.child(self, depends_on=[issuer]),
        )
        self.register_outputs({})
