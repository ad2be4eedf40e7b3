"""The layers above a cluster, wired once for every Kubernetes target."""

from components.cluster import Cluster
from components.endpoint_picker import EndpointPicker, EndpointPickerArgs, InferenceExtension
from components.envoy_gateway import EnvoyGateway, EnvoyGatewayArgs
from components.front_door import FrontDoor, FrontDoorArgs, TenantAccess
from components.gateway import Gateway, GatewayArgs
from components.images import own_image
from components.model_route import ModelRoute, ModelRouteArgs
from components.model_store import ModelStore
from components.namespace import restricted_namespace
from components.public_door import PublicDoor, PublicDoorArgs
from components.redis import Redis, RedisArgs
from components.serving import TritonServing, TritonServingArgs
from components.tenants import TenantKeys, TenantKeysArgs
from stacks.settings import ServedModel, Settings, given_api_keys

SYSTEM_NAMESPACE = "envoy-gateway-system"


class Platform:
    """Gateway, tenants and serving on one cluster. `serve` comes last: it needs the model store."""

    def __init__(self, settings: Settings, cluster: Cluster) -> None:
        self.settings, self.cluster = settings, cluster
        versions, limits = settings.versions, settings.limits
        self.namespace = restricted_namespace(cluster, settings.namespace).metadata.apply(lambda m: str(m.name))
        self.system = restricted_namespace(cluster, SYSTEM_NAMESPACE).metadata.apply(lambda m: str(m.name))
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
            ),
        )
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
                given=given_api_keys(),
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
            ),
        )
        # `address` is what a DNS record of the public name leads to, `public_service` what a Route leads to.
        self.endpoint, self.address, self.public_service = door.endpoint, door.address, door.service
        self.api_keys = keys.keys

    def serve(self, store: ModelStore) -> None:
        """Serve every model of the settings from `store`."""
        for model in self.settings.models:
            self._serve_one(model, store)

    def _serve_one(self, model: ServedModel, store: ModelStore) -> None:
        registry, limits = self.settings.images.registry, self.settings.limits
        serving = TritonServing(
            f"triton-{model.name}",
            TritonServingArgs(
                cluster=self.cluster,
                namespace=self.namespace,
                store=store,
                model=model.name,
                version=model.version,
                replicas=model.replicas,
                max_input_tokens=model.max_input_tokens,
                max_output_tokens=model.max_output_tokens,
                max_body_bytes=limits.max_body_bytes,
                drain_seconds=model.drain_seconds,
                triton_image=own_image(registry, "triton-cpu"),
                frontend_image=own_image(registry, "frontend"),
                engine_image=own_image(registry, "engine"),
                cpu=model.resources.cpu,
                memory=model.resources.memory,
                memory_limit=model.resources.memory_limit,
                gateway_namespace=self.system,
            ),
        )
        picker = EndpointPicker(
            f"picker-{model.name}",
            EndpointPickerArgs(
                cluster=self.cluster,
                namespace=self.namespace,
                image=self.settings.versions.endpoint_picker_image,
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
                picker_service=picker.service,
                request_timeout_seconds=limits.request_timeout_seconds,
            ),
        )
