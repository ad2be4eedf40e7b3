"""Start, stop and look at one instance's cluster."""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox.cluster import addresses as subnets
from sandbox.cluster import cgroups, components, dns, files, host, kubeconfig, pki, process
from sandbox.cluster.addresses import Addresses
from sandbox.cluster.api import Api
from sandbox.cluster.components import Level
from sandbox.cluster.errors import ClusterError
from sandbox.cluster.plan import CONTAINERD_SOCKET, Plan, read
from sandbox.cluster.process import Files, Identity
from sandbox.cluster.programs import program
from sandbox.cluster.supervisor import LOCK_FD
from sandbox.paths import REPOSITORY, cache_root, cluster_dir, containerd_root, state_root
from sandbox.progress import Progress

READY_WITHIN = 90.0  # seconds; on two idle cores it takes about ten
MOUNTPOINTS = "mountpoints"  # in the state directory: which directories of the host `start` made
FREE_BYTES = 512 << 20  # less than this and etcd or containerd stops in the middle


@dataclass(frozen=True)
class Cluster:
    """An instance's cluster, running or not."""

    instance: str
    addresses: Addresses

    @property
    def directory(self) -> Path:
        """Its own files."""
        return cluster_dir(self.instance)

    @property
    def files(self) -> Files:
        """Those by which it is controlled."""
        return Files(self.directory)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.directory / "kubeconfig"

    @property
    def api(self) -> Api:
        """The API server as administrator."""
        return Api(components.server(self.addresses), self.directory / "pki")

    def running(self) -> Identity | None:
        """The supervisor, if it lives."""
        return process.running(self.files)

    def socket(self) -> Path:
        """containerd's socket as a path of the host. Raises ClusterError when the cluster is stopped."""
        identity = self.running()
        if identity is None:
            raise ClusterError(
                f"The cluster of instance '{self.instance}' is not running: start it with 'make up' or "
                "'python -m sandbox.cluster start'."
            )
        # Through the process, because the socket lies in the cluster's own mount namespace.
        return Path(f"/proc/{identity.pid}/root{CONTAINERD_SOCKET}")


def find(instance: str) -> Cluster:
    """The cluster of an instance; its subnets are chosen at the first call."""
    return Cluster(instance, subnets.allocate(instance, subnets.host_routes()))


def start(instance: str, level: Level, progress: Progress) -> Path:
    """Bring the cluster up to `level` and return the administrator's kubeconfig. Does nothing when it is up.

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
        plan = _plan(cluster, level)
        if changed or cluster.addresses.interface not in host.links():
            _halt(cluster)  # what runs was told otherwise, or its cable was pulled
        _adopt_or_stop(cluster, plan)
        if cluster.running() is None:
            with progress.step(f"Start the cluster of instance '{instance}'"):
                _spawn(cluster, plan)
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
    """What the supervisor is to run. A node that runs already stays, whatever level is asked for."""
    directory, addresses = cluster.directory, cluster.addresses
    store = containerd_root(cluster.instance)
    wanted = components.control_plane(addresses, directory, program)
    running = read(cluster.files.plan) if cluster.running() else None
    if level == "node" or (running and any(one.name == "kubelet" for one in running.components)):
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


def _spawn(cluster: Cluster, plan: Plan) -> None:
    """Clear what a killed cluster left, then start the supervisor in namespaces of its own."""
    control = cluster.files
    _clear(cluster)
    lock = process.wait_for_lock(control.alive)
    if lock is None:
        raise ClusterError(f"{control.alive} is locked by another process: run 'make down' and try again.")
    parent = 0
    try:
        control.identity.unlink(missing_ok=True)
        cgroups.create(cluster.instance)
        _mountpoints(plan)
        plan.write(control.plan)
        control.status.unlink(missing_ok=True)
        for log in control.logs.glob("*.log"):
            log.replace(log.with_suffix(".log.1"))
        parent = _unshare(cluster, lock)
        pid = _wait_for_child(cluster, parent)
        Identity(pid, parent, process.namespace(pid)).write(control.identity)
        host.connect(cluster.addresses, pid)
    except BaseException as error:
        if parent:  # an interrupted start leaves nothing half plugged in
            process.kill(parent)
            process.reap(parent)
        cgroups.remove(cluster.instance)
        if isinstance(error, OSError):
            raise ClusterError(f"The cluster could not be started: {error}; run 'make doctor'.") from None
        raise
    finally:
        os.close(lock)


def _mountpoints(plan: Plan) -> None:
    """The cluster's own directories are mounted over the host's, so the host must have some; remember which it had."""
    made = state_root() / MOUNTPOINTS
    for where in [where for _, where in plan.binds] + plan.tmpfs:
        if not Path(where).is_dir():
            Path(where).mkdir(parents=True)
            with open(made, "a") as record:
                record.write(where + "\n")


def _remove_mountpoints() -> None:
    """Remove the empty directories made for mounting, unless another cluster has something mounted there."""
    made = state_root() / MOUNTPOINTS
    if made.exists() and not process.supervisors():
        for where in made.read_text().split():
            with contextlib.suppress(OSError):
                Path(where).rmdir()
        made.unlink()


def _unshare(cluster: Cluster, lock: int) -> int:
    argv = [str(program("unshare")), "--pid", "--mount", "--net", "--ipc", "--uts", "--propagation", "private"]
    argv += ["--fork", "--kill-child", "--mount-proc", sys.executable, "-S", "-m", "sandbox.cluster.supervisor"]
    log = str(cluster.files.logs / "supervisor.log")
    return os.posix_spawn(
        argv[0],
        [*argv, cluster.instance, str(cluster.files.plan)],
        {"PATH": components.PATH, "HOME": "/root", "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, lock, LOCK_FD),
        ],
        setsid=True,
    )


def _wait_for_child(cluster: Cluster, parent: int) -> int:
    deadline = time.monotonic() + 10
    own = process.namespace(os.getpid())
    while time.monotonic() < deadline:
        pid = process.child_of(parent)
        if pid is not None and process.namespace(pid) not in (0, own):
            return pid
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(parent, os.WNOHANG)[0] == parent:
                break
        time.sleep(0.005)  # a fork announces itself to nobody
    raise ClusterError(
        "The kernel refused new namespaces for the cluster "
        f"({_last_lines(cluster, 'supervisor', 1) or 'no answer'}): run as root outside of a restricted container."
    )


def _last_lines(cluster: Cluster, name: str, count: int) -> str:
    try:
        lines = (cluster.files.logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-count:])


def _until(cluster: Cluster, what: str, done: Callable[[], bool], deadline: float) -> None:
    """Poll until `done`; raises ClusterError with the log of the component that is to blame."""
    while not done():
        if cluster.running() is None:
            said = _last_lines(cluster, "supervisor", 3)
            raise ClusterError(f"The cluster's supervisor ended while {what} was waited for. It said:\n{said}")
        states = process.components(cluster.files)
        broken = next((name for name, state in states.items() if state["restarts"] >= 6), None)
        if broken or time.monotonic() > deadline:
            waiting = broken or next((name for name, state in states.items() if not state["ready"]), "kubelet")
            reason = "keeps ending" if broken else f"is not ready after {READY_WITHIN:.0f} s"
            raise ClusterError(
                f"{what} did not come up: {waiting} {reason}. Its log {cluster.files.logs / (waiting + '.log')} ends "
                f"with:\n{_last_lines(cluster, waiting, 5)}\nTo start afresh: make down, then make up."
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
    if level == "node":
        if api.get(dns.DEPLOYMENT) is None:
            for path, manifest in dns.objects(cluster.addresses):
                api.apply(path, manifest)
        if not _node_ready(api):
            with progress.step("Wait for the node"):
                _until(cluster, "The node", lambda: _node_ready(api), deadline)


def _load_images(cluster: Cluster, progress: Progress, deadline: float) -> None:
    from sandbox import images  # it needs the running cluster itself

    def answers() -> bool:
        return process.components(cluster.files).get("containerd", {}).get("ready", False)

    if not answers():
        with progress.step("Wait for containerd"):
            _until(cluster, "containerd", answers, deadline)
    images.ensure(["pause", "coredns"], cluster.instance, progress)


def _node_ready(api: Api) -> bool:
    node = api.get(f"/api/v1/nodes/{pki.NODE}")
    conditions = node["status"].get("conditions", []) if node else []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _clear(cluster: Cluster) -> None:
    """Whatever the kernel does not take away by itself."""
    host.disconnect(cluster.addresses)
    if left := cgroups.remove(cluster.instance):
        raise ClusterError(f"The control group {left[0]} cannot be removed: a process is still in it (see 'ps').")


def _halt(cluster: Cluster) -> None:
    identity = cluster.running()
    if identity is not None:
        process.end(identity)
    # One whose state directory was deleted under it holds no lock that could be found.
    for pid in process.supervisors(str(cluster.files.plan)):
        process.kill(pid)
    _clear(cluster)


def stop(instance: str, progress: Progress, delete: bool = False) -> None:
    """End the cluster and remove every trace of it from the host. `delete` forgets its state (etcd, PKI) as well.

    The images stay in the cache either way.
    """
    with process.only_one(cluster_dir(instance).with_suffix(".lock")):
        cluster = find(instance)
        with progress.step(f"Stop the cluster of instance '{instance}'"):
            _halt(cluster)
            _remove_mountpoints()
        if delete:
            shutil.rmtree(cluster.directory, ignore_errors=True)
            subnets.release(instance)
