"""How Triton is started for each serving mode: its arguments, its environment, what it asks of its node.

Sources: triton-inference-server/tensorrtllm_backend 1.2 (docs/model_config.md, docs/multi-node support, scripts/
launch_triton_server.py) and NVIDIA/TensorRT-LLM (tensorrt_llm/llmapi/trtllm-llmapi-launch).
"""

from dataclasses import dataclass
from typing import Literal

from pulumi_kubernetes.core.v1 import EnvVarArgsDict, ResourceRequirementsArgsDict

from components.cluster import Pool
from components.model_store import MODEL_PATH

Mode = Literal["cpu", "engine", "llmapi"]
FRONTEND_PORT, HTTP_PORT, GRPC_PORT, METRICS_PORT = 9000, 8000, 8001, 8002
REPOSITORY = f"{MODEL_PATH}/repository"
SCRATCH = "/tmp"


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What runs one replica: the mode, its nodes and GPUs, and the limits of its container.

    `cpu`, `memory` and `memory_limit` are of one pod, in Kubernetes quantities. `load_seconds`: the longest that
    Triton may take until it is ready. `copy_gib`: the most that a synced version takes in the pod.
    `spare`: there is room for one more replica, so an update may start the new one before the old one leaves.
    """

    mode: Mode
    pool: Pool
    image: str
    cpu: str
    memory: str
    memory_limit: str
    tensor: int = 1
    pipeline: int = 1
    nodes: int = 1
    load_seconds: int = 600
    copy_gib: int = 1
    spare: bool = True

    @property
    def gpus(self) -> int:
        """Of one replica."""
        return 0 if self.mode == "cpu" else self.tensor * self.pipeline

    @property
    def gpus_per_node(self) -> int:
        """What one pod asks for."""
        return self.gpus // self.nodes


def server(runtime: Runtime, drain_seconds: int, rank: int = 0) -> list[str]:
    """Triton's own argument vector; `rank` is its place among those that share one engine."""
    vector = ["tritonserver", f"--model-repository={REPOSITORY}", f"--exit-timeout-secs={drain_seconds}"]
    if runtime.mode != "llmapi":
        # The LLM API's model reads its batch size and streaming from model.yaml while its configuration is completed.
        vector.append("--disable-auto-complete-config")
    if runtime.mode == "cpu":
        vector.append("--allow-gpu-metrics=false")
    else:
        vector.append(f"--backend-config=python,shm-region-prefix-name=rank{rank}_")
    if rank:
        # Only the engine itself, and no door: the first rank answers for all.
        vector += ["--model-control-mode=explicit", "--load-model=tensorrt_llm"]
        return [*vector, "--allow-http=false", "--allow-grpc=false", "--allow-metrics=false"]
    return [*vector, "--metrics-interval-ms=500"]


def ranks(runtime: Runtime, drain_seconds: int) -> list[str]:
    """mpirun's program list for a replica on several nodes: one rank a GPU.

    An engine runs in leader mode: every rank is a Triton that holds its part. The LLM API has its own launcher, which
    runs the command at the first rank and workers at the others.
    """
    if runtime.mode == "llmapi":
        return ["-n", str(runtime.gpus), "trtllm-llmapi-launch", *server(runtime, drain_seconds)]
    vector: list[str] = []
    for rank in range(runtime.gpus):
        vector += [*([":"] if rank else []), "-n", "1", *server(runtime, drain_seconds, rank)]
    return vector


def environment(runtime: Runtime) -> list[EnvVarArgsDict]:
    """What TensorRT-LLM needs of a root file system that is read-only and a user without a name or home."""
    if runtime.mode == "cpu":
        return []
    cache = f"{SCRATCH}/cache"
    values = {
        "HOME": SCRATCH,
        "USER": "triton",  # torch asks for the user's name, and an unknown uid has none
        "XDG_CACHE_HOME": cache,
        "HF_HOME": f"{cache}/huggingface",
        "HF_HUB_OFFLINE": "1",  # everything is in the version; nothing goes out
        "TRITON_CACHE_DIR": f"{cache}/triton",  # the language's, not the server's
        "TORCHINDUCTOR_CACHE_DIR": f"{cache}/inductor",
        "FLASHINFER_WORKSPACE_BASE": cache,
    }
    if runtime.mode == "engine" and runtime.gpus > 1 and runtime.nodes == 1:
        # One process that answers, and spawns a worker a GPU: Kubernetes' signals reach it without an mpirun between.
        values["TRTLLM_ORCHESTRATOR"] = "1"
    if runtime.mode == "llmapi":
        values["LLM_CONFIG_PATH"] = f"{REPOSITORY}/tensorrt_llm/1/model.yaml"
    return [{"name": name, "value": value} for name, value in values.items()]


def resources(runtime: Runtime, *, synced: bool) -> ResourceRequirementsArgsDict:
    """The container's requests and limits. GPUs and fabric devices are limits; Kubernetes requests as many."""
    requests = {"cpu": runtime.cpu, "memory": runtime.memory}
    limits = {"memory": runtime.memory_limit}
    if synced:
        requests["ephemeral-storage"] = f"{runtime.copy_gib}Gi"
    if runtime.gpus:
        limits[runtime.pool.gpu_resource] = str(runtime.gpus_per_node)
    if runtime.nodes > 1:
        limits |= {device: str(count) for device, count in runtime.pool.fabric.items()}
    return {"requests": requests, "limits": limits}


def shared_memory(runtime: Runtime) -> str:
    """The size of /dev/shm: Triton's tensors between processes, and NCCL's buffers between GPUs of a node."""
    return "256Mi" if runtime.mode == "cpu" else f"{2 + runtime.gpus_per_node}Gi"
