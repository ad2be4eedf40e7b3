"""The versions of everything that others build, in one place. Exact pins: an upgrade is a reviewed change."""

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from components.chart_pin import Chart


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
    # NVIDIA's operators, from its catalogue.
    nvidia_charts: str = "https://helm.ngc.nvidia.com/nvidia"
    gpu_operator: str = "v26.7.0"
    network_operator: str = "26.4.1"
    network_operator_images: str = "network-operator-v26.4.1"
    doca_driver: str = "doca3.4.1-26.04-1.1.0.0-1"  # the NICs' driver, of the same release
    metallb_charts: str = "https://metallb.github.io/metallb"
    metallb: str = "0.16.1"
    # AWS' charts; EKS' add-ons and cluster-autoscaler's image follow the Kubernetes version (stacks/eks_versions.py).
    eks_charts: str = "https://aws.github.io/eks-charts"
    load_balancer_controller: str = "3.5.0"
    efa_device_plugin: str = "v0.5.30"
    autoscaler_charts: str = "https://kubernetes.github.io/autoscaler"
    cluster_autoscaler: str = "9.59.0"
    # Certificates from an ACME authority (gateway.tls.kind: acme).
    cert_manager_charts: str = "oci://quay.io/jetstack/charts/cert-manager"
    cert_manager: str = "v1.21.2"
    # Models on several nodes. The chart's CRD is not upgraded by Helm: docs/operate/upgrades.md.
    lws_charts: str = "oci://registry.k8s.io/lws/charts/lws"
    lws: str = "0.9.0"
    lws_image: str = "registry.k8s.io/lws/lws:v0.9.0"
    # Triton with TensorRT-LLM. 1.2 is the last line that builds and serves engines; 26.04 to 26.07 hold it
    # (triton-inference-server/server, docs/introduction/compatibility.md).
    triton_image: str = "nvcr.io/nvidia/tritonserver:26.07-trtllm-python-py3"
    tensorrt_llm: str = Field(default="1.2.1", pattern=r"^\d+\.\d+")
    # Copies a version from an object store into the pod.
    rclone_image: str = "docker.io/rclone/rclone:1.75.2"

    @property
    def gpu_operator_chart(self) -> Chart:
        """NVIDIA's GPU Operator."""
        return Chart(name="gpu-operator", version=self.gpu_operator, repository=self.nvidia_charts)

    @property
    def network_operator_chart(self) -> Chart:
        """NVIDIA's Network Operator."""
        return Chart(name="network-operator", version=self.network_operator, repository=self.nvidia_charts)

    @property
    def metallb_chart(self) -> Chart:
        """MetalLB."""
        return Chart(name="metallb", version=self.metallb, repository=self.metallb_charts)

    @property
    def load_balancer_controller_chart(self) -> Chart:
        """The AWS Load Balancer Controller."""
        return Chart(
            name="aws-load-balancer-controller", version=self.load_balancer_controller, repository=self.eks_charts
        )

    @property
    def efa_device_plugin_chart(self) -> Chart:
        """AWS' device plugin for the Elastic Fabric Adapter."""
        return Chart(name="aws-efa-k8s-device-plugin", version=self.efa_device_plugin, repository=self.eks_charts)

    @property
    def cluster_autoscaler_chart(self) -> Chart:
        """cluster-autoscaler."""
        return Chart(name="cluster-autoscaler", version=self.cluster_autoscaler, repository=self.autoscaler_charts)

    @property
    def cert_manager_chart(self) -> Chart:
        """cert-manager."""
        return Chart(name=self.cert_manager_charts, version=self.cert_manager)

    @property
    def lws_chart(self) -> Chart:
        """LeaderWorkerSet's controller."""
        return Chart(name=self.lws_charts, version=self.lws)
