"""Updates that are interrupted, politely or not, and go on with the next one."""

import os
import signal
import subprocess

import pytest

from tests.hermetic.project import Api, Project, wait_for


def slow_program(namespace: str) -> str:
    """Two quick objects, then one that waits for what only the test can give it."""
    return f"""
        first = k8s.core.v1.ConfigMap("first", metadata={{"name": "first", "namespace": "{namespace}"}},
            data={{"a": "1"}}, opts=opts)
        k8s.core.v1.PersistentVolumeClaim("slow", metadata={{"name": "slow", "namespace": "{namespace}"}},
            spec={{"access_modes": ["ReadWriteOnce"], "volume_name": "{namespace}-disk", "storage_class_name": "",
                  "resources": {{"requests": {{"storage": "1Mi"}}}}}},
            opts=pulumi.ResourceOptions(provider=cluster, depends_on=[first]))
    """


@pytest.fixture
def waiting(project: Project, cluster: Api, namespace: str) -> "subprocess.Popen[str]":
    """An update that waits for its volume."""
    project.program(slow_program(namespace))
    running = project.start("up", "--yes", "--skip-preview")
    claim = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/slow"
    wait_for(lambda: cluster.get(claim), "the claim")
    return running


def give_disk(cluster: Api, namespace: str) -> None:
    cluster.post(
        "/api/v1/persistentvolumes",
        {
            "metadata": {"name": f"{namespace}-disk"},
            "spec": {
                "capacity": {"storage": "1Mi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/nowhere"},
                "claimRef": {"namespace": namespace, "name": "slow"},
            },
        },
    )


def descendants(pid: int) -> list[int]:
    """A process and everything it started."""
    found = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(p): int(q) for p, q in (line.split() for line in found.splitlines())}
    family = [pid]
    for one in family:
        family += [child for child, parent in parents.items() if parent == one]
    return family


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def finish(project: Project, cluster: Api, namespace: str) -> str:
    give_disk(cluster, namespace)
    said = project.up()
    assert {r["id"] for r in project.resources() if "core" in r["type"]} == {f"{namespace}/first", f"{namespace}/slow"}
    assert "unchanged" in project.up()
    project.run("destroy", "--yes", "--skip-preview")
    cluster.delete(f"/api/v1/persistentvolumes/{namespace}-disk")
    return said


def test_an_interrupt_ends_the_update_and_the_next_one_goes_on(
    waiting: "subprocess.Popen[str]", project: Project, cluster: Api, namespace: str
) -> None:
    family = descendants(waiting.pid)
    waiting.send_signal(signal.SIGINT)
    said, _ = waiting.communicate(timeout=30)
    assert waiting.returncode != 0
    assert "Traceback" not in said
    assert "KeyboardInterrupt" not in said
    wait_for(lambda: not any(map(alive, family)), "the end of every process", 10)
    finish(project, cluster, namespace)


def test_an_interrupt_to_the_whole_group_counts_once(project: Project, cluster: Api, namespace: str) -> None:
    project.program(slow_program(namespace))
    running = subprocess.Popen(
        project.command("up", "--yes", "--skip-preview", "--non-interactive"),
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: cluster.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/slow"), "the claim")
    os.killpg(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=30)
    assert "interrupted while waiting" in said  # the provider was asked, and answered: nothing was cut off
    assert "Traceback" not in said
    finish(project, cluster, namespace)


def test_a_killed_update_is_resumed_by_the_next_one(
    waiting: "subprocess.Popen[str]", project: Project, cluster: Api, namespace: str
) -> None:
    for pid in reversed(descendants(waiting.pid)):
        os.kill(pid, signal.SIGKILL)
    waiting.communicate(timeout=30)
    said = finish(project, cluster, namespace)
    assert "was killed" in said
    assert "done over again" in said
    assert "pending operations" not in said


def test_nothing_lingers_when_the_wrapper_alone_is_killed(
    waiting: "subprocess.Popen[str]", project: Project, cluster: Api, namespace: str
) -> None:
    family = descendants(waiting.pid)
    waiting.kill()
    wait_for(lambda: not any(map(alive, family)), "the end of every process", 30)
    waiting.communicate(timeout=30)
    finish(project, cluster, namespace)


def test_a_lock_of_a_living_update_is_respected(
    waiting: "subprocess.Popen[str]", project: Project, cluster: Api, namespace: str
) -> None:
    assert "currently locked" in project.up(ok=False)
    give_disk(cluster, namespace)
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    project.run("destroy", "--yes", "--skip-preview")
    cluster.delete(f"/api/v1/persistentvolumes/{namespace}-disk")
