"""The sandbox's cluster on this very machine: it comes up, serves, survives being killed, and goes away clean."""

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.images import own_image
from sandbox import images, paths
from sandbox.cluster import cgroups, handle, inspection, process
from sandbox.cluster.errors import ClusterError
from sandbox.progress import SILENT
from tests.live.cluster import INSTANCE, TestedCluster, gone, until

pytestmark = pytest.mark.live

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: IMAGE
        command: [python3, -u, -m, http.server, "8080"]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30081}]}
"""


@pytest.fixture(scope="module")
def tested() -> Iterator[TestedCluster]:
    one = TestedCluster()
    one.stop()
    one.start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def web(tested: TestedCluster) -> TestedCluster:
    images.ensure(["engine"], INSTANCE, SILENT)
    tested.kubectl("apply", "-f", "-", feed=WEB.replace("IMAGE", own_image("localhost/llmops", "engine")))
    tested.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    return tested


def fetch(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except OSError:
        return 0


def in_pod(tested: TestedCluster, code: str) -> str:
    return tested.kubectl("exec", "deployment/web", "--", "python3", "-c", code).strip()


def test_a_built_cluster_is_ready_within_thirty_seconds(tested: TestedCluster) -> None:
    tested.stop()
    assert tested.start() < 30
    until(lambda: inspection.status(INSTANCE).ready, what="every component ready")


def test_starting_again_does_nothing_and_is_quick(tested: TestedCluster) -> None:
    before = tested.identity()
    assert tested.start() < 3
    assert tested.identity() == before


def test_logs_of_a_pod_can_be_read(web: TestedCluster) -> None:
    url = f"http://{handle.find(INSTANCE).addresses.node}:30081/"
    until(lambda: fetch(url) == 200, what="the web server behind its node port")
    until(lambda: "GET /" in web.kubectl("logs", "deployment/web"), what="the request in the log")


def test_a_command_runs_in_a_pod(web: TestedCluster) -> None:
    assert in_pod(web, "import os; print(os.getuid())") == "65532"


def test_a_port_is_forwarded(web: TestedCluster) -> None:
    command = web.command("port-forward", "deployment/web", ":8080")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout is not None
        address = forward.stdout.readline().split()[2]
        assert fetch(f"http://{address}/") == 200
        forward.terminate()


def test_pods_services_and_node_ports_are_reached_from_the_host(web: TestedCluster) -> None:
    pod = web.kubectl("get", "pod", "-l", "app=web", "-o", "jsonpath={.items[0].status.podIP}")
    service = web.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    node = handle.find(INSTANCE).addresses.node
    for address in (f"{pod}:8080", service, f"{node}:30081"):
        until(lambda address=address: fetch(f"http://{address}/") == 200, what=address)


def test_names_of_services_resolve_in_pods(web: TestedCluster) -> None:
    web.kubectl("rollout", "status", "deployment/coredns", "--namespace=kube-system", "--timeout=60s")
    code = "import urllib.request as r; print(r.urlopen('http://web.default.svc.cluster.local').status)"
    assert in_pod(web, code) == "200"


def test_a_pod_reaches_nothing_outside(web: TestedCluster) -> None:
    code = "import socket\ntry: socket.create_connection(('192.0.2.1', 80), 3)\nexcept OSError as e: print(e.errno)"
    assert in_pod(web, code) == "101"  # network is unreachable


def test_the_kubelet_answers_nobody_without_a_certificate(tested: TestedCluster) -> None:
    code = f"https://{handle.find(INSTANCE).addresses.node}:10250/pods"
    shown = subprocess.run(
        ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", code], capture_output=True, text=True, check=False
    )
    assert shown.stdout == "401"


def test_the_hosts_kernel_settings_stay_as_they_were(tested: TestedCluster) -> None:
    # The kubelet sets this to 10 on the machines it owns; here it was given a file of its own to write to.
    inside = Path(f"/proc/{tested.identity().pid}/root/run/llmops/sysctl/kernel.panic").read_text().strip()
    assert inside == "10"
    assert Path("/proc/sys/kernel/panic").read_text().strip() != inside


def test_a_component_that_dies_is_started_again(tested: TestedCluster) -> None:
    files = handle.find(INSTANCE).files
    states = process.components(files)
    inner = inspection.by_inner_pid(tested.identity().namespace)
    os.kill(inner[states["kube-scheduler"]["pid"]], signal.SIGKILL)

    def again() -> bool:
        now = process.components(files)["kube-scheduler"]
        return now["ready"] and now["restarts"] > states["kube-scheduler"]["restarts"]

    until(again, what="the scheduler again")
    assert "kube-scheduler ended (signal 9)" in (files.logs / "supervisor.log").read_text()


def test_the_kernel_takes_everything_with_a_killed_supervisor_and_a_start_recovers(web: TestedCluster) -> None:
    seen = web.leftovers()
    assert any(line.startswith("process") and "http.server" in line for line in seen)
    assert any(line.startswith("interface") for line in seen)
    identity = web.identity()
    os.kill(identity.pid, signal.SIGKILL)
    until(lambda: gone(identity.pid) and gone(identity.parent), what="the supervisor's end")

    def only_groups() -> bool:
        return all(line.startswith("control group") for line in web.leftovers())

    until(only_groups, 10, "processes, interfaces and routes gone")
    web.start()
    assert web.identity() != identity
    web.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    until(lambda: fetch(f"http://{handle.find(INSTANCE).addresses.node}:30081/") == 200, what="the web server")


def test_a_deleted_state_directory_does_not_keep_the_cluster_alive(tested: TestedCluster) -> None:
    identity = tested.identity()
    shutil.rmtree(paths.cluster_dir(INSTANCE), ignore_errors=True)  # what runs still writes there
    tested.stop()
    assert gone(identity.pid)
    assert tested.leftovers() == []
    tested.start()


def test_the_detector_sees_a_leftover_of_each_kind(tested: TestedCluster) -> None:
    tested.stop()
    assert tested.leftovers() == []
    interface = handle.find(INSTANCE).addresses.interface
    mounted = paths.cluster_dir(INSTANCE) / "left"
    mounted.mkdir(parents=True)
    group = cgroups.hierarchies()[0] / cgroups.name(INSTANCE)
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        group.mkdir()
        (group / "cgroup.procs").write_text(str(sleeper.pid))
        subprocess.run(["mount", "-t", "tmpfs", "left", str(mounted)], check=True)
        subprocess.run(["ip", "link", "add", interface, "type", "bridge"], check=True)
        subprocess.run(["ip", "address", "add", "dev", interface, subnet_of_the_host()], check=True)
        subprocess.run(["ip", "link", "set", interface, "up"], check=True)
        subprocess.run(["nft", "add", "table", "ip", "kube-proxy"], check=True)
        kinds = {line.split()[0] for line in tested.leftovers()}
        assert kinds == {"process", "mount", "interface", "route", "nft", "control"}
    finally:
        sleeper.kill()
        sleeper.wait()
        subprocess.run(["nft", "delete", "table", "ip", "kube-proxy"], check=False)
        subprocess.run(["ip", "link", "delete", interface], check=False)
        subprocess.run(["umount", str(mounted)], check=False)
        cgroups.remove(INSTANCE)
        tested.stop()
    assert tested.leftovers() == []


def subnet_of_the_host() -> str:
    addresses = handle.find(INSTANCE).addresses
    return f"{addresses.host}/30"


def test_a_control_plane_alone_is_ready_within_fifteen_seconds_and_grows_a_node(tested: TestedCluster) -> None:
    tested.stop()
    assert tested.start("control-plane") < 15
    before = tested.identity()
    assert json.loads(tested.kubectl("get", "nodes", "-o", "json"))["items"] == []
    tested.start("node")
    assert tested.identity() == before
    assert "llmops" in tested.kubectl("get", "nodes")


def test_a_foreign_network_on_its_subnet_is_one_sentence(tested: TestedCluster) -> None:
    tested.start()
    tested.stop()
    addresses = handle.find(INSTANCE).addresses
    subprocess.run(["ip", "link", "add", "foreign0", "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", f"{addresses.host}/24", "dev", "foreign0"], check=True)
        subprocess.run(["ip", "link", "set", "foreign0", "up"], check=True)
        with pytest.raises(ClusterError, match=r"foreign0.*LLMOPS_INSTANCE"):
            tested.start()
    finally:
        subprocess.run(["ip", "link", "delete", "foreign0"], check=True)


def test_stopping_leaves_nothing(tested: TestedCluster) -> None:
    tested.start()
    assert tested.leftovers() != []
    tested.stop()
    assert tested.leftovers() == []
    assert not paths.cluster_dir(INSTANCE).exists()
