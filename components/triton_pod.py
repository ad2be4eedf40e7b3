"""The pods of a model: Triton with the OpenAI frontend beside it, on one node or as the leader of several."""

from typing import TYPE_CHECKING, Literal

import pulumi
from pulumi_kubernetes.core.v1 import (
    ContainerArgsDict,
    EnvVarArgsDict,
    LifecycleArgsDict,
    PodSpecArgsDict,
    TopologySpreadConstraintArgsDict,
    VolumeArgsDict,
    VolumeMountArgsDict,
)

from components.model_store import MODEL_PATH
from components.pods import RESTRICTED_CONTAINER, probe, restricted_pod
from components.store_sync import copier
from components.triton import (
    FRONTEND_PORT,
    GRPC_PORT,
    HTTP_PORT,
    METRICS_PORT,
    environment,
    ranks,
    resources,
    server,
    shared_memory,
)

if TYPE_CHECKING:
    from components.serving import TritonServingArgs

Role = Literal["whole", "leader", "worker"]  # of the pods of a replica
# The pod leaves the picker's and the gateway's view before it stops: endpoint updates arrive within about a second.
PRE_STOP_SECONDS = 5
# What Kubernetes waits beyond preStop and Triton's own exit timeout before it kills.
GRACE_MARGIN_SECONDS = 10
PRE_STOP: LifecycleArgsDict = {"pre_stop": {"sleep": {"seconds": PRE_STOP_SECONDS}}}
LAUNCHER_PATH, LAUNCHER_PORT, LAUNCHER_KEY = "/launcher", 2222, "key"


def pod(args: "TritonServingArgs", account: pulumi.Input[str], role: Role, group: str = "") -> PodSpecArgsDict:
    """A pod that serves, or that holds a part of what its leader serves; `group` names the launcher's objects."""
    runtime, store = args.runtime, args.store
    nodes = args.cluster.system if runtime.mode == "cpu" else runtime.pool
    model = store.mount(args.model, args.version)
    mounts: list[VolumeMountArgsDict] = [
        model,
        {"name": "tmp", "mount_path": "/tmp"},
        {"name": "shm", "mount_path": "/dev/shm"},
    ]
    volumes: list[VolumeArgsDict] = [
        store.volume(runtime.copy_gib),
        {"name": "tmp", "empty_dir": {"size_limit": "256Mi" if runtime.mode == "cpu" else "4Gi"}},
        {"name": "shm", "empty_dir": {"medium": "Memory", "size_limit": shared_memory(runtime)}},
    ]
    if group:
        mounts.append({"name": "launcher", "mount_path": LAUNCHER_PATH, "read_only": True})
        volumes.append({"name": "launcher", "config_map": {"name": group}})
    containers = [_worker(args, mounts, group) if role == "worker" else _triton(args, mounts, group)]
    if role != "worker":
        containers.append(_frontend(args, mounts[:2]))
    spec: PodSpecArgsDict = {
        "service_account_name": account,
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": restricted_pod(args.cluster),
        "termination_grace_period_seconds": PRE_STOP_SECONDS + args.drain_seconds + GRACE_MARGIN_SECONDS,
        "node_selector": nodes.node_selector,
        "tolerations": list(nodes.tolerations),
        "init_containers": [
            *([copier(store, args.rclone_image, args.model, args.version)] if store.synced else []),
            _verify(args, model),
        ],
        "containers": containers,
        "volumes": volumes,
    }
    if not group:
        spec["topology_spread_constraints"] = [_spread(args)]
    return spec


def _spread(args: "TritonServingArgs") -> TopologySpreadConstraintArgsDict:
    return {
        "max_skew": 1,
        "topology_key": "kubernetes.io/hostname",
        "when_unsatisfiable": "ScheduleAnyway",
        "label_selector": {"match_labels": args.labels},
    }


def _verify(args: "TritonServingArgs", model: VolumeMountArgsDict) -> ContainerArgsDict:
    """Every file against the manifest: a version that fails is never served."""
    return {
        "name": "verify",
        "image": args.engine_image,
        "args": ["verify", "--version-dir", MODEL_PATH],
        "security_context": RESTRICTED_CONTAINER,
        "resources": {
            "requests": {"cpu": "50m", "memory": "32Mi"},
            "limits": {"memory": "128Mi"},
        },
        "volume_mounts": [model],
    }


def _triton(args: "TritonServingArgs", mounts: list[VolumeMountArgsDict], group: str) -> ContainerArgsDict:
    runtime = args.runtime
    command = server(runtime, args.drain_seconds)
    env = environment(runtime)
    if group:
        command = [*launcher("lead"), *ranks(runtime, args.drain_seconds)]
        env += _group_environment(args, group)
    # A model of many GiB is looked at every ten seconds, one of a few MiB every second.
    period = 1 if runtime.mode == "cpu" else 10
    return {
        "name": "triton",
        "image": runtime.image,
        "args": command,
        "env": env,
        "ports": [
            {"name": "http", "container_port": HTTP_PORT},
            {"name": "grpc", "container_port": GRPC_PORT},
            {"name": "metrics", "container_port": METRICS_PORT},
        ],
        "security_context": RESTRICTED_CONTAINER,
        "resources": resources(runtime, synced=args.store.synced),
        "startup_probe": probe(
            "/v2/health/ready", HTTP_PORT, period=period, failures=-(-runtime.load_seconds // period)
        ),
        "readiness_probe": probe("/v2/health/ready", HTTP_PORT, period=2, failures=2),
        "liveness_probe": probe("/v2/health/live", HTTP_PORT, period=10, failures=3, timeout=5),
        "lifecycle": PRE_STOP,
        "volume_mounts": mounts,
    }


def _worker(args: "TritonServingArgs", mounts: list[VolumeMountArgsDict], group: str) -> ContainerArgsDict:
    """A node's GPUs, at the leader's command."""
    return {
        "name": "triton",
        "image": args.runtime.image,
        "args": launcher("work"),
        "env": [*environment(args.runtime), *_group_environment(args, group)],
        "ports": [{"name": "launcher", "container_port": LAUNCHER_PORT}],
        "security_context": RESTRICTED_CONTAINER,
        "resources": resources(args.runtime, synced=args.store.synced),
        "readiness_probe": {"tcp_socket": {"port": LAUNCHER_PORT}, "period_seconds": 5},
        "lifecycle": PRE_STOP,
        "volume_mounts": mounts,
    }


def launcher(verb: str) -> list[str]:
    """The argument vector of components/group_launcher.py in a pod."""
    return ["python3", f"{LAUNCHER_PATH}/group_launcher.py", verb]


def _group_environment(args: "TritonServingArgs", group: str) -> list[EnvVarArgsDict]:
    runtime = args.runtime
    values = {
        "GROUP_NODES": runtime.nodes,
        "GROUP_SLOTS": runtime.gpus_per_node,
        "GROUP_WAIT": runtime.load_seconds,
        "GROUP_DRAIN": args.drain_seconds,
    }
    return [
        {"name": "GROUP_KEY", "value_from": {"secret_key_ref": {"name": group, "key": LAUNCHER_KEY}}},
        *({"name": name, "value": str(value)} for name, value in values.items()),
    ]


def _frontend(args: "TritonServingArgs", mounts: list[VolumeMountArgsDict]) -> ContainerArgsDict:
    return {
        "name": "frontend",
        "image": args.frontend_image,
        "env": [
            {"name": "TRITON_URL", "value": f"http://127.0.0.1:{HTTP_PORT}"},
            {"name": "MODEL_NAME", "value": args.model},
            {"name": "MODEL_VERSION", "value": args.version},
            # A CPU model speaks as an engine does; the LLM API's model has tensors of its own.
            {"name": "ENGINE_MODE", "value": "llmapi" if args.runtime.mode == "llmapi" else "engine"},
            {"name": "TOKENIZER_DIR", "value": f"{MODEL_PATH}/tokenizer"},
            {"name": "MAX_INPUT_TOKENS", "value": str(args.max_input_tokens)},
            {"name": "MAX_OUTPUT_TOKENS", "value": str(args.max_output_tokens)},
            {"name": "MAX_BODY_BYTES", "value": str(args.max_body_bytes)},
            {"name": "DRAIN_SECONDS", "value": str(args.drain_seconds)},
            {"name": "PORT", "value": str(FRONTEND_PORT)},
            {
                "name": "POD_NAME",
                "value_from": {"field_ref": {"field_path": "metadata.name"}},
            },
        ],
        "ports": [{"name": "openai", "container_port": FRONTEND_PORT}],
        "security_context": RESTRICTED_CONTAINER,
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"memory": "256Mi"},
        },
        "startup_probe": probe("/health/live", FRONTEND_PORT, period=1, failures=60),
        "readiness_probe": probe("/health/ready", FRONTEND_PORT, period=2, failures=2),
        "liveness_probe": probe("/health/live", FRONTEND_PORT, period=10, failures=3, timeout=5),
        "lifecycle": PRE_STOP,
        "volume_mounts": mounts,
    }
