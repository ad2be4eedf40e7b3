"""Objects through their whole life, on the real engine and a real API server."""

import json

import pytest

from tests.hermetic.project import Api, Project


def config_map(namespace: str, name: str = "settings") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}"


@pytest.fixture
def two_objects(project: Project, namespace: str) -> Project:
    project.program(f"""
        k8s.core.v1.ConfigMap("plain", metadata={{"namespace": "{namespace}"}},
                              data={{"a": os.environ.get("A", "1")}}, opts=opts)
        k8s.apps.v1.Deployment(
            "web",
            metadata={{"name": "web", "namespace": "{namespace}", "annotations": {{"pulumi.com/skipAwait": "true"}}}},
            spec={{
                "replicas": int(os.environ.get("REPLICAS", "1")),
                "selector": {{"match_labels": {{"app": os.environ.get("LABEL", "web")}}}},
                "template": {{
                    "metadata": {{"labels": {{"app": os.environ.get("LABEL", "web")}}}},
                    "spec": {{"containers": [{{
                        "name": "web", "image": "none",
                        "resources": {{"requests": {{"cpu": os.environ.get("CPU", "1000m")}}}},
                    }}]}},
                }},
            }},
            opts=opts,
        )
    """)
    return project


def test_a_second_up_changes_nothing_and_destroy_leaves_nothing(
    two_objects: Project, cluster: Api, namespace: str
) -> None:
    assert "created" in two_objects.up()
    assert "unchanged" in (again := two_objects.up())
    assert "updated" not in again
    assert "created" not in again
    two_objects.run("destroy", "--yes", "--skip-preview")
    assert two_objects.resources() == []
    assert cluster.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web") is None
    found = cluster.get(f"/api/v1/namespaces/{namespace}/configmaps") or {}
    assert [c["metadata"]["name"] for c in found["items"]] in ([], ["kube-root-ca.crt"])


def test_an_object_without_a_name_gets_one_and_keeps_it(two_objects: Project) -> None:
    two_objects.up()
    (before,) = [r["id"] for r in two_objects.resources() if "ConfigMap" in r["type"]]
    two_objects.up(REPLICAS="2")
    (after,) = [r["id"] for r in two_objects.resources() if "ConfigMap" in r["type"]]
    assert before == after
    assert before.rpartition("/")[2].startswith("plain-")


def test_a_changed_field_updates_one_object(two_objects: Project, cluster: Api, namespace: str) -> None:
    two_objects.up()
    said = two_objects.up(REPLICAS="3")
    assert "1 updated" in said
    live = cluster.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web") or {}
    assert live["spec"]["replicas"] == 3


def test_another_spelling_of_the_same_quantity_is_no_change(two_objects: Project) -> None:
    two_objects.up(CPU="1000m")
    assert "updated" not in two_objects.up(CPU="1")


def test_an_immutable_field_replaces_the_object(two_objects: Project, cluster: Api, namespace: str) -> None:
    two_objects.up()
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
    before = (cluster.get(path) or {})["metadata"]["uid"]
    preview = two_objects.run("preview", "--json", LABEL="other")
    steps = {step["urn"].rpartition("::")[2]: step["op"] for step in json.loads(preview[preview.index("{") :])["steps"]}
    assert steps["web"] == "replace"
    assert "1 replaced" in two_objects.up(LABEL="other")
    assert (cluster.get(path) or {})["metadata"]["uid"] != before


def test_refresh_sees_a_hand_edit_and_up_takes_it_back(project: Project, cluster: Api, namespace: str) -> None:
    project.program(f"""
        k8s.core.v1.Service("front", metadata={{"name": "front", "namespace": "{namespace}",
            "annotations": {{"pulumi.com/skipAwait": "true"}}, "labels": {{"tier": "front"}}}},
            spec={{"selector": {{"app": "web"}}, "ports": [{{"port": 80, "target_port": 8080}}]}}, opts=opts)
    """)
    project.up()
    assert "unchanged" in project.run("refresh", "--yes", "--skip-preview")
    path = f"/api/v1/namespaces/{namespace}/services/front"
    cluster.patch(path, {"metadata": {"labels": {"tier": "edited"}}})
    assert "1 updated" in project.run("refresh", "--yes", "--skip-preview")
    assert "1 updated" in project.up()
    assert (cluster.get(path) or {})["metadata"]["labels"]["tier"] == "front"


def test_an_object_deleted_by_hand_comes_back_after_a_refresh(
    two_objects: Project, cluster: Api, namespace: str
) -> None:
    two_objects.up()
    cluster.delete(f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
    said = two_objects.up("--refresh")
    assert "1 created" in said


def test_an_existing_object_is_imported_without_a_change(project: Project, cluster: Api, namespace: str) -> None:
    cluster.post(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "settings"}, "data": {"a": "1"}})
    project.program(f"""
        k8s.core.v1.ConfigMap("settings", metadata={{"name": "settings", "namespace": "{namespace}"}},
            data={{"a": "1"}},
            opts=pulumi.ResourceOptions(provider=cluster, import_="{namespace}/settings"))
    """)
    assert "1 imported" in project.up()
    assert "unchanged" in project.up()


def test_somebody_elses_object_is_not_taken_over(project: Project, cluster: Api, namespace: str) -> None:
    cluster.post(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "settings"}, "data": {"a": "1"}})
    project.program(f"""
        k8s.core.v1.ConfigMap("settings", metadata={{"name": "settings", "namespace": "{namespace}"}},
            data={{"a": "2"}}, opts=opts)
    """)
    said = project.up(ok=False)
    assert f"ConfigMap {namespace}/settings already exists" in said
    assert "pulumi import" in said
    assert (cluster.get(config_map(namespace)) or {})["data"] == {"a": "1"}


def test_a_namespace_and_a_kind_that_this_update_makes_can_be_previewed(project: Project, namespace: str) -> None:
    name = f"{namespace}-own"
    group = f"{namespace}.example.com"
    project.program(f"""
        space = k8s.core.v1.Namespace("space", metadata={{"name": "{name}"}}, opts=opts)
        kind = k8s.apiextensions.v1.CustomResourceDefinition("kind",
            metadata={{"name": "lamps.{group}"}},
            spec={{"group": "{group}", "scope": "Namespaced",
                  "names": {{"kind": "Lamp", "plural": "lamps", "singular": "lamp"}},
                  "versions": [{{"name": "v1", "served": True, "storage": True, "schema": {{"open_apiv3_schema": {{
                      "type": "object", "properties": {{"spec": {{"type": "object",
                          "properties": {{"watts": {{"type": "integer"}}}}}}}}}}}}}}]}}, opts=opts)
        k8s.apiextensions.CustomResource("lamp", api_version="{group}/v1", kind="Lamp",
            metadata={{"name": "desk", "namespace": space.metadata.name}}, spec={{"watts": 5}},
            opts=pulumi.ResourceOptions(provider=cluster, depends_on=[kind]))
    """)
    assert "5 to create" in project.run("preview")
    assert "5 to create" in project.run("preview")  # with the imports remembered from the first
    project.up()
    assert "unchanged" in project.up()
    project.run("destroy", "--yes", "--skip-preview")
    assert project.resources() == []
