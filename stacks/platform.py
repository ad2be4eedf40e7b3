"""The layers above a cluster, wired once for every Kubernetes target."""

from typing import Literal

import pulumi

from components.certificate import (
    AcmeCertificate,
    AcmeCertificateArgs,
    CertManager,
    CertManagerArgs,
    GivenCertificate,
    GivenCertificateArgs,
)
from components.cluster import Cluster
from components.endpoint_picker import EndpointPicker, EndpointPickerArgs, InferenceExtension
from components.envoy_gateway import EnvoyGateway, EnvoyGatewayArgs
from components.front_door import FrontDoor, FrontDoorArgs, TenantAccess, TokenIssuer
from components.gateway import Gateway, GatewayArgs
from components.images import own_image
from components.model_route import ModelRoute, ModelRouteArgs
from components.model_store import ModelStore
from components.namespace import controllers_namespace, name_of, restricted_namespace
from components.public_door import PublicDoor, PublicDoorArgs
from components.redis import Redis, RedisArgs
from components.replica_groups import LeaderWorkerSets
from components.serving import TritonServing, TritonServingArgs
from components.tenants import TenantKeys, TenantKeysArgs
from components.triton import Runtime
from stacks.runtime import runtime_of
from stacks.settings import ServedModel, Settings, given_api_keys, given_certificate

SYSTEM_NAMESPACE = "envoy-gateway-system"
CERTIFICATE = "llm-certificate"  # the Secret that the gateway's listener reads
TLS_AT: dict[str, Literal["none", "gateway", "load-balancer"]] = {
    "none": "none",
    "acme": "gateway",
    "given": "gateway",
    "cloud": "load-balancer",
}


class Platform:
    """Gateway, tenants and serving on one cluster. `serve` comes last: it needs the model store."""

    def __init__(
        self, settings: Settings, cluster: Cluster, keys_given: pulumi.Output[dict[str, str]] | None = None
    ) -> None:
        """`keys_given`: tenants' keys from a cloud's secret manager; none: those of the stack's configuration."""
        self.settings, self.cluster = settings, cluster
        versions, limits = settings.versions, settings.limits
        self.namespace = name_of(restricted_namespace(cluster, settings.namespace), settings.namespace)
        self.system = controllers_namespace(cluster, SYSTEM_NAMESPACE)
        self.extension = InferenceExtension("inference-extension", cluster)
        redis = Redis(
            "ratelimit-redis",
            RedisArgs(cluster=cluster, namespace=self.system, image=versions.redis_image),
        )
        controller = EnvoyGateway(
            "envoy-gateway",
            EnvoyGatewayArgs(
                cluster=cluster,
                namespace=self.system,
                chart=versions.envoy_gateway_chart,
                version=versions.envoy_gateway,
                controller_image=versions.envoy_gateway_image,
                envoy_image=versions.envoy_image,
                ratelimit_image=versions.ratelimit_image,
                redis_url=redis.url,
            ),
        )
        tls = settings.gateway.tls
        self.gateway = Gateway(
            "llm",
            GatewayArgs(
                cluster=cluster,
                namespace=self.namespace,
                system_namespace=self.system,
                controller=controller.release,
                envoy_image=versions.envoy_image,
                replicas=settings.gateway.replicas,
                drain_seconds=settings.gateway.drain_seconds,
                max_body_bytes=limits.max_body_bytes,
                tls=TLS_AT[tls.kind],
                certificate=self._given_certificate() if tls.kind == "given" else CERTIFICATE,
            ),
        )
        if tls.kind == "acme":
            self._acme_certificate(controller)
        door = PublicDoor(
            "llm-public",
            PublicDoorArgs(
                cluster=cluster,
                namespace=self.namespace,
                system_namespace=self.system,
                gateway=self.gateway,
                node_port=settings.gateway.node_port,
                plain_node_port=settings.gateway.plain_node_port,
                hostname=settings.gateway.hostname,
                allowed_sources=settings.gateway.allowed_sources,
            ),
        )
        keys = TenantKeys(
            "tenant-keys",
            TenantKeysArgs(
                cluster=cluster,
                namespace=self.namespace,
                versions={t.name: t.key_version for t in settings.tenants},
                given=keys_given if keys_given is not None else given_api_keys(),
            ),
        )
        FrontDoor(
            "edge",
            FrontDoorArgs(
                cluster=cluster,
                namespace=self.namespace,
                system_namespace=self.system,
                gateway=self.gateway,
                keys_secret=keys.secret_name,
                tenants=tuple(
                    TenantAccess(
                        name=t.name,
                        models=tuple(m.name for m in settings.models_of(t)),
                        requests_per_minute=t.requests_per_minute,
                        tokens_per_minute=t.tokens_per_minute,
                    )
                    for t in settings.tenants
                ),
                models={m.name: m.max_output_tokens for m in settings.models},
                bytes_per_token=limits.bytes_per_token,
                request_timeout_seconds=limits.request_timeout_seconds,
                tokens=_token_issuer(settings),
            ),
        )
        # `address` is what a DNS record of the public name leads to, `public_service` what a Route leads to.
        self.endpoint, self.address, self.public_service = door.endpoint, door.address, door.service
        self.api_keys = keys.keys

    def _given_certificate(self) -> pulumi.Output[str]:
        certificate, key = given_certificate()
        return GivenCertificate(
            CERTIFICATE,
            GivenCertificateArgs(cluster=self.cluster, namespace=self.namespace, certificate=certificate, key=key),
        ).secret

    def _acme_certificate(self, controller: EnvoyGateway) -> None:
        gateway, versions = self.settings.gateway, self.settings.versions
        manager = CertManager(
            "cert-manager",
            CertManagerArgs(
                cluster=self.cluster,
                chart=versions.cert_manager_chart,
                after=controller.release,
            ),
        )
        AcmeCertificate(
            "llm-acme",
            AcmeCertificateArgs(
                cluster=self.cluster,
                namespace=self.namespace,
                manager=manager,
                gateway=self.gateway,
                secret=CERTIFICATE,
                hostname=gateway.hostname or "",
                email=gateway.tls.email or "",
                server=gateway.tls.server,
            ),
        )

    def serve(self, store: ModelStore) -> None:
        """Serve every model of the settings from `store`."""
        settings = self.settings
        registry = settings.images.registry
        runtimes = {
            model.name: runtime_of(settings, model, self.cluster, own_image(registry, "triton-cpu"))
            for model in settings.models
        }
        groups = None
        if any(runtime.nodes > 1 for runtime in runtimes.values()):
            versions = settings.versions
            groups = LeaderWorkerSets("lws", self.cluster, versions.lws_chart, versions.lws_image)
        for model in settings.models:
            self._serve_one(model, store, runtimes[model.name], groups)

    def _serve_one(
        self, model: ServedModel, store: ModelStore, runtime: Runtime, groups: LeaderWorkerSets | None
    ) -> None:
        registry, limits, versions = self.settings.images.registry, self.settings.limits, self.settings.versions
        serving = TritonServing(
            f"triton-{model.name}",
            TritonServingArgs(
                cluster=self.cluster,
                namespace=self.namespace,
                store=store,
                model=model.name,
                version=model.version,
                replicas=model.replicas,
                runtime=runtime,
                max_input_tokens=model.max_input_tokens,
                max_output_tokens=model.max_output_tokens,
                max_body_bytes=limits.max_body_bytes,
                drain_seconds=model.drain_seconds,
                frontend_image=own_image(registry, "frontend"),
                engine_image=own_image(registry, "engine"),
                rclone_image=versions.rclone_image,
                gateway_namespace=self.system,
                groups=groups,
            ),
        )
        # The LLM API's model exports no queue and no KV cache to pick by: there the gateway counts its own requests.
        picker = model.mode != "llmapi" and EndpointPicker(
            f"picker-{model.name}",
            EndpointPickerArgs(
                cluster=self.cluster,
                namespace=self.namespace,
                image=versions.endpoint_picker_image,
                pod_selector=serving.pod_selector,
                extension=self.extension,
            ),
        )
        ModelRoute(
            f"model-{model.name}",
            ModelRouteArgs(
                cluster=self.cluster,
                namespace=self.namespace,
                gateway=self.gateway,
                model=model.name,
                service=serving.service,
                picker_service=picker.service if picker else None,
                request_timeout_seconds=limits.request_timeout_seconds,
            ),
        )


def _token_issuer(settings: Settings) -> TokenIssuer | None:
    jwt = settings.gateway.jwt
    return jwt and TokenIssuer(
        issuer=jwt.issuer, jwks_uri=jwt.jwks_uri, audiences=jwt.audiences, tenant_claim=jwt.tenant_claim
    )
