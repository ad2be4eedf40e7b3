"""Start, stop and look at one instance's cluster."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.cluster import addresses as subnets
from sandbox.cluster import cgroups, components, dns, files, host, kubeconfig, launch, pki, process, stages
from sandbox.cluster.api import Api
from sandbox.cluster.components import Balancer, Level
from sandbox.cluster.errors import ClusterError
from sandbox.cluster.handle import Cluster, find
from sandbox.cluster.plan import Plan, read
from sandbox.cluster.programs import program
from sandbox.paths import cache_root, cluster_dir, containerd_root
from sandbox.progress import Progress
from sandbox.toolchain import module_dir

READY_WITHIN = 90.0  # seconds; on two idle cores it takes about ten
FREE_BYTES = 512 << 20  # less than this and etcd or containerd stops in the middle


def start(instance: str, level: Level, progress: Progress, balancer: Balancer = "address") -> Path:
    """Bring the cluster up to `level` and return the administrator's kubeconfig. Does nothing when it is up.

    `balancer` is what LoadBalancer Services of a cluster with fake nodes get.

    Raises ClusterError with one sentence when this machine or something in the way prevents it.
    """
    if os.geteuid() != 0:
        raise ClusterError(
            "The sandbox's cluster needs root, because it makes network and process namespaces: run as root, or set "
            "sandbox.kubeconfig in the stack's settings to a cluster of your own."
        )
    program("ip")
    with process.only_one(cluster_dir(instance).with_suffix(".lock")):
        cluster = find(instance)
        if cluster.running() is None:
            _check_machine(cluster)
        changed = _write_files(cluster)
        if level == "fake-nodes":
            text = stages.render(module_dir(stages.KWOK), balancer)
            changed = kubeconfig.write(cluster.directory / "kwok.yaml", text) or changed
        plan = _plan(cluster, level)
        if changed or cluster.addresses.interface not in host.links():
            _halt(cluster)  # what runs was told otherwise, or its cable was pulled
        _adopt_or_stop(cluster, plan)
        if cluster.running() is None:
            with progress.step(f"Start the cluster of instance '{instance}'"):
                launch.spawn(cluster, plan)
        _await(cluster, level, progress)
    return cluster.kubeconfig


def _check_machine(cluster: Cluster) -> None:
    subnets.check_free(cluster.addresses, subnets.host_routes(), cluster.instance)
    for directory, variable in ((cluster.directory, "LLMOPS_STATE"), (cache_root(), "LLMOPS_CACHE")):
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ClusterError(
                f"{directory} cannot be made ({error.strerror}): set {variable} to a directory that can be written."
            ) from None
        if shutil.disk_usage(directory).free < FREE_BYTES:
            raise ClusterError(
                f"Less than {FREE_BYTES >> 20} MiB are free in {directory}: free some space, or set {variable} to a "
                "directory on another disk."
            )


def _write_files(cluster: Cluster) -> bool:
    """Certificates, kubeconfigs and the components' configuration; whether anything is new."""
    directory, addresses = cluster.directory, cluster.addresses
    store = containerd_root(cluster.instance)
    for needed in (directory, cluster.files.logs, directory / "cni", store):
        needed.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    pki.ensure(directory / "pki", addresses)
    server = components.server(addresses)
    texts = {f"{name}.kubeconfig": kubeconfig.render(server, directory / "pki", name) for name in components.CLIENTS}
    texts["kubeconfig"] = kubeconfig.render(server, directory / "pki", "admin")
    texts |= files.render(addresses, directory, store, cgroups.name(cluster.instance), pki.NODE)
    changed = [name for name, text in texts.items() if kubeconfig.write(directory / name, text)]
    return bool(changed)


def _plan(cluster: Cluster, level: Level) -> Plan:
    """What the supervisor is to run. What runs already stays, whatever level is asked for."""
    directory, addresses = cluster.directory, cluster.addresses
    store = containerd_root(cluster.instance)
    running = read(cluster.files.plan) if cluster.running() else None
    names = {one.name for one in running.components} if running else set[str]()
    fake = level == "fake-nodes" or "kwok" in names
    wanted = components.control_plane(addresses, directory, program, fake=fake)
    if fake:
        wanted += components.fake_nodes(addresses, directory, program)
    if level == "node" or "kubelet" in names:
        wanted += components.node(addresses, directory, store, program)
    return Plan(
        instance=cluster.instance,
        node=pki.NODE,
        address=f"{addresses.node}/30",
        logs=str(cluster.files.logs),
        status=str(cluster.files.status),
        ca=str(directory / "pki" / "ca.crt"),
        admin=str(directory / "pki" / "admin"),
        # The kubelet's and the log directories are where charts and tools expect them, but our own.
        binds=[
            [str(directory / "kubelet"), "/var/lib/kubelet"],
            [str(directory / "varlog"), "/var/log"],
        ],
        tmpfs=["/run", "/var/lib/cni"],
        components=wanted,
    )


def _adopt_or_stop(cluster: Cluster, plan: Plan) -> None:
    """Tell a running supervisor about new components; stop it when what runs has changed."""
    identity = cluster.running()
    if identity is None:
        return
    old = read(cluster.files.plan)
    if old is None or not old.grows_into(plan):
        _halt(cluster)
    elif len(plan.components) > len(old.components):
        plan.write(cluster.files.plan)
        os.kill(identity.pid, signal.SIGHUP)


def _until(cluster: Cluster, what: str, done: Callable[[], bool], deadline: float) -> None:
    """Poll until `done`; raises ClusterError with the log of the component that is to blame."""
    while not done():
        if cluster.running() is None:
            said = cluster.last_lines("supervisor", 3)
            raise ClusterError(f"The cluster's supervisor ended while {what} was waited for. It said:\n{said}")
        states = process.components(cluster.files)
        broken = next((name for name, state in states.items() if state["restarts"] >= 6), None)
        if broken or time.monotonic() > deadline:
            waiting = broken or next((name for name, state in states.items() if not state["ready"]), "kubelet")
            reason = "keeps ending" if broken else f"is not ready after {READY_WITHIN:.0f} s"
            raise ClusterError(
                f"{what} did not come up: {waiting} {reason}. Its log {cluster.files.logs / (waiting + '.log')} ends "
                f"with:\n{cluster.last_lines(waiting, 5)}\nTo start afresh: make down, then make up."
            )
        time.sleep(0.05)  # the API server announces its readiness to nobody


def _await(cluster: Cluster, level: Level, progress: Progress) -> None:
    deadline = time.monotonic() + READY_WITHIN
    api = cluster.api
    if level == "node":
        _load_images(cluster, progress, deadline)
    if not api.ready():
        with progress.step("Wait for the API server"):
            _until(cluster, "The API server", api.ready, deadline)
    if level == "fake-nodes" and not _answers(cluster, "kwok"):
        with progress.step("Wait for kwok"):
            _until(cluster, "kwok", lambda: _answers(cluster, "kwok"), deadline)
    if level == "node":
        if api.get(dns.DEPLOYMENT) is None:
            for path, manifest in dns.objects(cluster.addresses):
                api.apply(path, manifest)
        if not _node_ready(api):
            with progress.step("Wait for the node"):
                _until(cluster, "The node", lambda: _node_ready(api), deadline)


def _load_images(cluster: Cluster, progress: Progress, deadline: float) -> None:
    from sandbox import images  # it needs the running cluster itself

    if not _answers(cluster, "containerd"):
        with progress.step("Wait for containerd"):
            _until(cluster, "containerd", lambda: _answers(cluster, "containerd"), deadline)
    images.ensure(["pause", "coredns"], cluster.instance, progress)


def _answers(cluster: Cluster, component: str) -> bool:
    return process.components(cluster.files).get(component, {}).get("ready", False)


def _node_ready(api: Api) -> bool:
    node = api.get(f"/api/v1/nodes/{pki.NODE}")
    conditions = node["status"].get("conditions", []) if node else []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _halt(cluster: Cluster) -> None:
    identity = cluster.running()
    if identity is not None:
        process.end(identity)
    # One whose state directory was deleted under it holds no lock that could be found.
    for pid in process.supervisors(str(cluster.files.plan)):
        process.kill(pid)
    launch.clear(cluster)


def stop(instance: str, progress: Progress, delete: bool = False) -> None:
    """End the cluster and remove every trace of it from the host. `delete` forgets its state (etcd, PKI) as well.

    The images stay in the cache either way.
    """
    with process.only_one(cluster_dir(instance).with_suffix(".lock")):
        cluster = find(instance)
        with progress.step(f"Stop the cluster of instance '{instance}'"):
            _halt(cluster)
            launch.remove_mountpoints()
        if delete:
            shutil.rmtree(cluster.directory, ignore_errors=True)
            subnets.release(instance)
