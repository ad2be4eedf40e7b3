"""The versions of everything that others build, in one place. Exact pins: an upgrade is a reviewed change."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Versions(BaseModel):
    """Charts and images of third parties. A registry mirror is set by giving the whole reference."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    # Envoy Gateway's official chart, and the images it runs. Its controller is built for Envoy 1.39; 1.40 was tried.
    envoy_gateway_chart: str = "oci://docker.io/envoyproxy/gateway-helm"
    envoy_gateway: str = "v1.9.1"
    envoy_gateway_image: str = "docker.io/envoyproxy/gateway:v1.9.1"
    envoy_image: str = "docker.io/envoyproxy/envoy:distroless-v1.40.0"
    ratelimit_image: str = "docker.io/envoyproxy/ratelimit:3fb70258"
    redis_image: str = "docker.io/library/redis:7.0.15"
    # The last endpoint picker that the Gateway API Inference Extension itself shipped.
    endpoint_picker_image: str = "registry.k8s.io/gateway-api-inference-extension/epp:v1.1.0"
