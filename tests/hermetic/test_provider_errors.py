"""What a person is told when something is wrong."""

import re

import pytest

from tests.hermetic.project import Api, Project

SHORT_WAIT = 3  # seconds


def lines_with(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


def test_the_api_servers_own_words_name_the_object(project: Project, namespace: str) -> None:
    project.program(f"""
        k8s.core.v1.Service("bad", metadata={{"name": "bad", "namespace": "{namespace}"}},
            spec={{"ports": [{{"port": 70000}}]}}, opts=opts)
    """)
    said = project.run("preview", ok=False)
    assert f"Service {namespace}/bad" in said
    assert "must be between 1 and 65535" in said
    assert "Traceback" not in said


def test_an_unknown_field_is_refused_by_the_api_server(project: Project, namespace: str) -> None:
    project.program(f"""
        k8s.core.v1.Service("odd", metadata={{"name": "odd", "namespace": "{namespace}"}},
            spec={{"ports": [{{"port": 80}}], "sesionAffinity": "None"}}, opts=opts)
    """)
    said = project.run("preview", ok=False)
    assert "sesionAffinity" in said
    assert f"Service {namespace}/odd" in said
    assert "Traceback" not in said


def test_a_deployment_that_does_not_come_says_what_it_waited_for(project: Project, namespace: str) -> None:
    project.program(f"""
        k8s.apps.v1.Deployment("web", metadata={{"name": "web", "namespace": "{namespace}"}},
            spec={{"replicas": 2, "selector": {{"match_labels": {{"app": "web"}}}},
                  "template": {{"metadata": {{"labels": {{"app": "web"}}}},
                               "spec": {{"containers": [{{"name": "web", "image": "none"}}]}}}}}},
            opts=pulumi.ResourceOptions(provider=cluster,
                custom_timeouts=pulumi.CustomTimeouts(create="{SHORT_WAIT}s", update="{SHORT_WAIT}s")))
    """)
    said = project.up(ok=False)
    assert f"Deployment {namespace}/web is not ready after {SHORT_WAIT} s" in said
    assert "0 of 2 replicas" in said
    assert "no nodes available" in said  # the scheduler's own reason
    # The object is in the state, and the next update waits again instead of making another.
    assert "is not ready after" in project.up(ok=False)


def test_a_pod_that_admission_refuses_says_why(project: Project, cluster: Api, namespace: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}})
    project.program(f"""
        k8s.apps.v1.Deployment("web",
            metadata={{"name": "web", "namespace": "{namespace}",
                      "annotations": {{"pulumi.com/timeoutSeconds": "{SHORT_WAIT}"}}}},
            spec={{"selector": {{"match_labels": {{"app": "web"}}}},
                  "template": {{"metadata": {{"labels": {{"app": "web"}}}},
                               "spec": {{"containers": [{{"name": "web", "image": "none"}}]}}}}}}, opts=opts)
    """)
    assert "violates PodSecurity" in project.up(ok=False)


def test_a_type_without_a_rule_is_refused_with_one_sentence(project: Project, namespace: str) -> None:
    project.program("""
        random.RandomId("id", byte_length=4)
    """)
    said = project.run("preview", ok=False)
    assert "random:index/randomId:RandomId has no rule in the sandbox's stand-in" in said
    project.program(f"""
        k8s.core.v1.ConfigMapPatch("patch", metadata={{"name": "x", "namespace": "{namespace}"}}, opts=opts)
    """)
    said = project.run("preview", ok=False)
    assert "does that with Nodes only" in said
    assert "Traceback" not in said


def test_a_chart_without_a_rule_is_refused_by_name(project: Project, namespace: str) -> None:
    project.program(f"""
        k8s.helm.v3.Release("chart", chart="oci://example.com/nothing", version="1.0.0",
            namespace="{namespace}", opts=opts)
    """)
    said = project.run("preview", ok=False)
    assert "oci://example.com/nothing 1.0.0 has no rule" in said
    assert "oci://docker.io/envoyproxy/gateway-helm" in said


def test_a_wrong_kubeconfig_is_one_sentence(project: Project) -> None:
    project.program("""
        k8s.core.v1.Namespace("x", metadata={"name": "x"}, opts=opts)
    """)
    said = project.run("preview", ok=False, TEST_KUBECONFIG="clusters: [\n")
    assert "The kubeconfig is not YAML" in said
    assert "sandbox.kubeconfig" in said
    assert "Traceback" not in said


def test_a_silent_api_server_is_one_sentence_with_its_address_and_the_setting(project: Project, cluster: Api) -> None:
    address = "https://127.0.0.1:9"  # the discard port: nothing listens
    text = re.sub(r"https://[0-9.:]+", address, cluster.kubeconfig.read_text())
    project.program("""
        k8s.core.v1.Namespace("x", metadata={"name": "x"}, opts=opts)
    """)
    said = project.run("preview", ok=False, TEST_KUBECONFIG=text)
    assert f"{address} (context" in said
    assert "sandbox.kubeconfig" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ('raise pulumi.RunError("llmops:models: there is none")', "llmops:models: there is none"),
        ("import sys; sys.exit('no way')", "no way"),
    ],
)
def test_the_programs_own_errors_come_without_a_traceback(project: Project, program: str, sentence: str) -> None:
    project.program(program)
    said = project.run("preview", ok=False)
    assert lines_with(said, sentence)
    assert "Traceback" not in said


def test_an_unexpected_exception_shows_the_programs_traceback_and_not_ours(project: Project) -> None:
    project.program("[][1]")
    said = project.run("preview", ok=False)
    assert "IndexError" in said
    assert "__main__.py" in said
    assert "runpy" not in said
