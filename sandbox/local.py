"""The sandbox under the local stack: toolchain, cluster, images and models, as far as the settings need them."""

from sandbox import cluster, images, models, paths, toolchain
from sandbox.progress import Progress
from stacks.settings import Settings

FEATURES = ("engine", "control-plane", "node", "images", "charts", "gateway", "serving")
CLUSTER_IMAGES = ("pause", "coredns")
IMAGES = ("gateway", "envoy", "ratelimit", "epp", "redis", "frontend", "engine", "triton-cpu")


def prepare(settings: Settings, progress: Progress) -> None:
    """Everything that `pulumi up` of the local stack finds ready: a running node with images, published models."""
    toolchain.ensure(FEATURES, progress)
    images.build([*CLUSTER_IMAGES, *IMAGES], progress)
    cluster.start("node", progress)
    images.load(IMAGES, progress)
    models.publish(settings.models, progress)


def environment() -> dict[str, str]:
    """What the program of the local stack is told by the sandbox."""
    return {
        "LLMOPS_KUBECONFIG": str(paths.kubeconfig()),
        "LLMOPS_MODEL_STORE": str(paths.models_dir()),
    }
