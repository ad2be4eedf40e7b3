"""Secrets stay secret in the state, in the output, and on the way to the cluster."""

import base64

from tests.hermetic.project import Api, Project

WORD = "correct-horse-battery"


def test_no_secret_is_in_clear_in_the_state_or_in_the_output(project: Project, cluster: Api, namespace: str) -> None:
    project.program(f"""
        word = random.RandomPassword("word", length=30, special=False)
        k8s.core.v1.Secret("keys", metadata={{"name": "keys", "namespace": "{namespace}"}},
            string_data={{"made": word.result, "given": "{WORD}"}}, opts=opts)
        k8s.core.v1.ConfigMap("settings", metadata={{"name": "settings", "namespace": "{namespace}"}},
            data={{"open": "yes", "hidden": pulumi.Output.secret("{WORD}-2")}}, opts=opts)
        pulumi.export("word", word.result)
    """)
    said = project.run("preview", "--diff") + project.up() + project.run("refresh", "--yes", "--diff")
    word = project.output("word")
    assert len(word) == 30
    assert WORD not in said
    assert word not in said
    state = project.state_text()
    for clear in (word, WORD, f"{WORD}-2"):
        assert clear not in state
        assert base64.b64encode(clear.encode()).decode() not in state
    assert "client-key-data" not in state  # the kubeconfig
    live = cluster.get(f"/api/v1/namespaces/{namespace}/secrets/keys") or {}
    assert base64.b64decode(live["data"]["made"]).decode() == word
    assert "5 unchanged" in project.up()  # also after a refresh


def test_a_key_that_leaves_string_data_leaves_the_secret(project: Project, cluster: Api, namespace: str) -> None:
    project.program(f"""
        settled = k8s.Provider("settled", kubeconfig=given, cluster_identifier="t", enable_secret_mutable=True)
        keys = {{"a": "1", "b": "2"}} if os.environ.get("BOTH") else {{"a": "1"}}
        k8s.core.v1.Secret("keys", metadata={{"name": "keys", "namespace": "{namespace}"}},
            string_data=keys, opts=pulumi.ResourceOptions(provider=settled))
    """)
    path = f"/api/v1/namespaces/{namespace}/secrets/keys"
    project.up(BOTH="1")
    before = (cluster.get(path) or {})["metadata"]["uid"]
    assert "1 updated" in project.up()
    live = cluster.get(path) or {}
    assert list(live["data"]) == ["a"]
    assert live["metadata"]["uid"] == before


def test_a_password_stays_until_its_keepers_change(project: Project) -> None:
    project.program("""
        word = random.RandomPassword("word", length=20, keepers={"version": os.environ.get("V", "1")})
        pulumi.export("word", word.result)
    """)
    project.up()
    first = project.output("word")
    project.up()
    assert project.output("word") == first
    assert "1 replaced" in project.up(V="2")
    assert project.output("word") != first


def test_the_checked_in_stack_file_stays_clean(project: Project) -> None:
    project.program('pulumi.export("a", 1)')
    file = project.folder / "Pulumi.dev.yaml"
    before = file.read_text()
    project.up()
    project.run("config")
    project.run("destroy", "--yes", "--skip-preview")
    assert file.read_text() == before
    passphrase = project.state / "hermetic" / "passphrase"
    assert passphrase.stat().st_mode & 0o077 == 0


def test_removing_a_stack_keeps_its_checked_in_file(project: Project) -> None:
    project.program('pulumi.export("a", 1)')
    project.up()
    project.run("destroy", "--yes", "--skip-preview")
    project.run("stack", "rm", "--yes")
    assert (project.folder / "Pulumi.dev.yaml").exists()
    assert "2 created" in project.up()
