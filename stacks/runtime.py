"""From a model's settings to what runs one replica of it on one cluster."""

import math

from components.cluster import Cluster
from components.triton import Runtime
from stacks.checks import replicas_on
from stacks.fit import fit, nodes_needed, weights_gib
from stacks.pools import pools_of
from stacks.schema.models import ServedModel
from stacks.settings import Settings

CPU_LOAD_SECONDS = 600
# Of a machine's CPUs and memory, by its GPUs that the pod takes: what is asked for, and where Triton is ended. The
# rest is for the system, the frontend, and what is copied or mapped while a model loads.
REQUESTED, LIMIT = 0.5, 0.8


def runtime_of(settings: Settings, model: ServedModel, cluster: Cluster, cpu_image: str) -> Runtime:
    """How `model` runs on `cluster`. The settings were checked: its pool is there, and it fits."""
    asked = model.resources
    if model.mode == "cpu":
        return Runtime(
            mode="cpu",
            pool=cluster.system,
            image=cpu_image,
            cpu=asked.cpu or "100m",
            memory=asked.memory or "384Mi",
            memory_limit=asked.memory_limit or "1Gi",
            load_seconds=CPU_LOAD_SECONDS,
        )
    assert model.pool is not None
    assert model.shape is not None
    facts = pools_of(settings, settings.targets[0])[model.pool]
    machine, found = facts.machine, fit(model, model.shape, facts.machine)
    share = found.gpus_per_node / machine.gpus
    others = [one for ones in replicas_on(settings, facts).values() for one in ones]
    copy = model.copy_gib or math.ceil(weights_gib(model.shape, model.precision) * 1.2) + 2
    return Runtime(
        mode=model.mode,
        pool=cluster.pools[model.pool],
        image=settings.versions.triton_image,
        cpu=asked.cpu or str(max(1, int(machine.cpus * share * REQUESTED))),
        memory=asked.memory or f"{max(1, int(machine.memory_gib * share * REQUESTED))}Gi",
        memory_limit=asked.memory_limit or f"{max(2, int(machine.memory_gib * share * LIMIT))}Gi",
        tensor=model.parallelism.tensor,
        pipeline=model.parallelism.pipeline,
        nodes=found.nodes,
        load_seconds=model.load_seconds,
        copy_gib=copy,
        spare=nodes_needed(machine, [*others, found]) <= facts.max_nodes,
    )
