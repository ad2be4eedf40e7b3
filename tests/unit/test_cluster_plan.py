"""What the supervisor is given: the components, their order, their files."""

import dataclasses
import json
from pathlib import Path

import pytest

from sandbox.cluster import cgroups, components, dns, files, kubeconfig, residue, sweep
from sandbox.cluster.addresses import Addresses
from sandbox.cluster.plan import Component, Plan, Probe, read

ADDRESSES = Addresses(3)
WHERE = Path("/state/cluster")


def program(name: str) -> Path:
    return Path("/bin", name)


def everything() -> list[Component]:
    return components.control_plane(ADDRESSES, WHERE, program) + components.node(
        ADDRESSES, WHERE, Path("/cache"), program
    )


def pretended() -> list[Component]:
    return components.control_plane(ADDRESSES, WHERE, program, fake=True) + components.fake_nodes(
        ADDRESSES, WHERE, program
    )


def plan(listed: list[Component]) -> Plan:
    return Plan("i", "llmops", "10.246.3.2/30", "/l", "/s", "/ca", "/admin", [["/a", "/b"]], ["/run"], listed)


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    written = plan(everything())
    written.write(tmp_path / "plan.json")
    assert read(tmp_path / "plan.json") == written


@pytest.mark.parametrize("text", ["", "{", "{}", '{"components": [{}]}'])
def test_a_torn_plan_is_no_plan(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    assert read(tmp_path / "plan.json") is None


def test_a_control_plane_grows_into_a_node_without_a_restart() -> None:
    assert plan(components.control_plane(ADDRESSES, WHERE, program)).grows_into(plan(everything()))


def test_a_changed_flag_needs_a_restart() -> None:
    old = everything()
    new = [dataclasses.replace(old[0], argv=[*old[0].argv, "--new"]), *old[1:]]
    assert not plan(old).grows_into(plan(new))


def test_another_python_for_what_ran_once_needs_none() -> None:
    new = [dataclasses.replace(one, argv=["/other", *one.argv[1:]]) if one.oneshot else one for one in everything()]
    assert plan(everything()).grows_into(plan(new))


@pytest.mark.parametrize("listed", [everything(), pretended()], ids=["node", "fake-nodes"])
def test_components_need_only_what_comes_before_them(listed: list[Component]) -> None:
    seen: set[str] = set()
    for component in listed:
        assert set(component.needs) <= seen, component.name
        seen.add(component.name)


def test_every_component_tells_when_it_is_ready() -> None:
    listed = everything() + pretended()
    assert [one.name for one in listed if one.ready == Probe() and not one.oneshot] == []


def test_kwok_plays_no_node_that_is_not_marked_for_it() -> None:
    kwok = next(one for one in pretended() if one.name == "kwok")
    assert "--manage-all-nodes=false" in kwok.argv
    assert "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake" in kwok.argv


def test_where_no_pod_runs_no_webhook_is_asked() -> None:
    flag = "--disable-admission-plugins=MutatingAdmissionWebhook,ValidatingAdmissionWebhook"
    assert [
        flag in next(one for one in listed if one.name == "kube-apiserver").argv
        for listed in (everything(), pretended())
    ] == [False, True]


def test_nobody_is_anonymous() -> None:
    api = next(one for one in everything() if one.name == "kube-apiserver")
    assert "--anonymous-auth=false" in api.argv
    assert "--authorization-mode=Node,RBAC" in api.argv
    kubelet = json.loads(files.kubelet(ADDRESSES, WHERE, "g"))
    assert kubelet["authentication"]["anonymous"]["enabled"] is False
    assert kubelet["authorization"] == {"mode": "Webhook"}


def test_the_kubelet_keeps_to_its_own_control_group() -> None:
    assert json.loads(files.kubelet(ADDRESSES, WHERE, cgroups.name("x")))["cgroupRoot"] == "/llmops-x"


def test_containerd_is_swept_without_the_kubelets_plugin() -> None:
    rendered = files.render(ADDRESSES, WHERE, Path("/cache"), "g", "llmops")
    assert "io.containerd.grpc.v1.cri" not in rendered["containerd.toml"].splitlines()[3]
    assert "io.containerd.grpc.v1.cri" in rendered["containerd-sweep.toml"].splitlines()[3]


def test_pods_ask_the_clusters_name_service_alone() -> None:
    assert files.render(ADDRESSES, WHERE, Path("/c"), "g", "n")["resolv.conf"] == "nameserver 10.245.3.10\n"
    assert "forward" not in dns.COREFILE


def test_objects_are_applied_at_paths_that_name_them() -> None:
    for path, manifest in dns.objects(ADDRESSES):
        assert path.endswith("/" + manifest["metadata"]["name"])


def test_only_snapshots_of_containers_are_swept() -> None:
    listing = "KEY PARENT KIND\nlayer  Committed\nc1 layer Active\nv1 layer View\n"
    assert sweep.unused_snapshots(listing) == ["v1", "c1"]


def test_a_file_is_written_only_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    assert kubeconfig.write(path, "a")
    inode = path.stat().st_ino
    assert not kubeconfig.write(path, "a")
    assert path.stat().st_ino == inode
    assert kubeconfig.write(path, "b")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_version_1_machine_gets_a_group_per_controller(tmp_path: Path) -> None:
    for controller in ("cpu", "cpuset", "memory"):
        (tmp_path / controller).mkdir()
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    group = tmp_path / "cpuset" / "llmops-x"
    group.mkdir()
    (group / "cpuset.cpus").write_text("\n")
    cgroups.create("x", tmp_path)
    assert cgroups.existing("x", tmp_path) == [tmp_path / c / "llmops-x" for c in ("cpu", "cpuset", "memory")]
    assert (group / "cpuset.cpus").read_text() == "0-1\n"
    (group / "cpuset.cpus").unlink()
    assert cgroups.remove("x", 0, tmp_path) == []


def test_a_version_2_machine_gets_one_group_with_its_controllers(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "llmops-x"):
        path.mkdir(exist_ok=True)
        (path / "cgroup.controllers").write_text("cpu memory pids rdma\n")
    cgroups.create("x", tmp_path)
    assert cgroups.existing("x", tmp_path) == [tmp_path / "llmops-x"]
    assert (tmp_path / "llmops-x" / "cgroup.subtree_control").read_text() == "+pids"  # each written by itself


def test_a_group_that_cannot_be_removed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "memory" / "llmops-x").mkdir(parents=True)
    (tmp_path / "memory" / "llmops-x" / "busy").write_text("")
    assert cgroups.remove("x", 0, tmp_path) == [tmp_path / "memory" / "llmops-x"]


def test_a_mount_below_the_instances_directories_is_seen() -> None:
    info = "1 2 0:3 / /proc rw - proc proc rw\n4 5 0:6 / /state/cluster/kubelet/pods/x rw - tmpfs tmpfs rw\n"
    assert residue.mounts(info, [Path("/state/cluster"), Path("/cache")]) == ["mount /state/cluster/kubelet/pods/x"]
