"""The layers above a cluster of GPUs, built against Pulumi's mocks: pools, stores, groups, certificates, tokens."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest

from components.cluster import Cluster, Pool
from components.model_store import POD_IDENTITY, ModelStore
from stacks.platform import Platform
from stacks.settings import parse
from tests.unit.cluster_settings import model, spanning, stack
from tests.unit.recorder import Recorder, run

GPU = Pool(
    node_selector={"llmops.dev/pool": "gpu"},
    tolerations=({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},),
    gpus=8,
    fabric={"vpc.amazonaws.com/efa": 32},
    topology="topology.kubernetes.io/zone",
)
SYSTEM = Pool(node_selector={"llmops.dev/pool": "system"}, tolerations=({"key": "system", "operator": "Exists"},))
REMOTE = ":s3,provider=AWS,env_auth=true,region=eu-central-1:bucket/models"


@pytest.fixture
def recorder() -> Recorder:
    secrets = {"llmops:tlsCertificate": "CERTIFICATE", "llmops:tlsKey": "KEY"}
    pulumi.runtime.set_all_config(secrets, list(secrets))
    return Recorder.install("test")


def build(values: dict[str, Any], *, synced: bool = True, **cluster: Any) -> dict[str, Any]:
    """The platform on a cluster with the pool `gpu`; its outputs."""
    settings = parse(values)
    outputs: dict[str, Any] = {}

    def program() -> None:
        made = Cluster(
            name="test",
            provider=k8s.Provider("test", kubeconfig="{}"),
            system=SYSTEM,
            pools={"gpu": GPU},
            **cluster,
        )
        platform = Platform(settings, made)
        platform.serve(
            ModelStore(
                remote=pulumi.Output.from_input(REMOTE),
                service_account=pulumi.Output.from_input("model-reader"),
                credentials=POD_IDENTITY,
            )
            if synced
            else ModelStore(claim_name=pulumi.Output.from_input("models"))
        )
        for name in ("endpoint", "address", "public_service"):
            getattr(platform, name).apply(lambda value, name=name: outputs.update({name: value}))

    run(program)
    return outputs


def pod_of(recorder: Recorder) -> dict[str, Any]:
    return recorder.of("Deployment")["triton-llama-server"]["spec"]["template"]["spec"]


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in [*pod.get("initContainers", []), *pod["containers"]] if c["name"] == name)


def environment(of: dict[str, Any]) -> dict[str, str]:
    return {e["name"]: e.get("value", "") for e in of["env"]}


def test_an_engine_runs_on_its_pools_gpus_in_nvidias_container(recorder: Recorder) -> None:
    values = stack("dgx", models=[model(parallelism={"tensor": 4})])
    build(values, synced=False)
    pod = pod_of(recorder)
    triton = container(pod, "triton")
    assert triton["image"] == "nvcr.io/nvidia/tritonserver:26.07-trtllm-python-py3"
    assert triton["resources"]["limits"]["nvidia.com/gpu"] == "4"
    # Half of the machine's share for 4 of 8 GPUs, and four fifths as the limit: a DGX H100 has 224 CPUs and 2 TiB.
    assert triton["resources"]["requests"] == {"cpu": "56", "memory": "512Gi"}
    assert triton["resources"]["limits"]["memory"] == "819Gi"
    assert pod["nodeSelector"] == {"llmops.dev/pool": "gpu"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert environment(triton)["TRTLLM_ORCHESTRATOR"] == "1"
    assert "vpc.amazonaws.com/efa" not in triton["resources"]["limits"]


def test_what_tensorrt_llm_writes_goes_to_scratch_space(recorder: Recorder) -> None:
    build(stack("dgx"), synced=False)
    pod = pod_of(recorder)
    triton = container(pod, "triton")
    assert triton["securityContext"]["readOnlyRootFilesystem"]
    places = {k: v for k, v in environment(triton).items() if k.endswith(("HOME", "_DIR", "_BASE"))}
    assert places
    assert all(value.startswith("/tmp") for value in places.values()), places
    assert {"name": "tmp", "mountPath": "/tmp"} in triton["volumeMounts"]
    shm = next(v["emptyDir"] for v in pod["volumes"] if v["name"] == "shm")
    assert shm == {"medium": "Memory", "sizeLimit": "3Gi"}


def test_a_checkpoint_completes_its_own_configuration_and_has_no_picker(recorder: Recorder) -> None:
    build(stack("dgx", models=[model(mode="llmapi")]), synced=False)
    triton = container(pod_of(recorder), "triton")
    assert "--disable-auto-complete-config" not in triton["args"]
    assert environment(triton)["LLM_CONFIG_PATH"] == "/model/repository/tensorrt_llm/1/model.yaml"
    assert environment(container(pod_of(recorder), "frontend"))["ENGINE_MODE"] == "llmapi"
    assert not recorder.of("InferencePool")
    assert (
        "endpointOverride" not in recorder.of("BackendTrafficPolicy")["model-llama-balancing"]["spec"]["loadBalancer"]
    )


def test_loading_may_take_as_long_as_the_settings_say(recorder: Recorder) -> None:
    build(stack("dgx", models=[model(loadSeconds=3605)]), synced=False)
    startup = container(pod_of(recorder), "triton")["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 3605
    assert recorder.of("Deployment")["triton-llama-server"]["spec"]["progressDeadlineSeconds"] > 3605


@pytest.mark.parametrize(("replicas", "rolling"), [(1, (0, 1)), (16, (1, 0))])
def test_an_update_makes_room_first_only_where_the_pool_is_full(
    recorder: Recorder, replicas: int, rolling: tuple[int, int]
) -> None:
    build(stack("dgx", models=[model(replicas=replicas)]), synced=False)
    found = recorder.of("Deployment")["triton-llama-server"]["spec"]["strategy"]["rollingUpdate"]
    assert (found["maxUnavailable"], found["maxSurge"]) == rolling


def test_a_synced_version_is_copied_then_verified_then_served(recorder: Recorder) -> None:
    build(stack("eks"))
    pod = pod_of(recorder)
    assert [c["name"] for c in pod["initContainers"]] == ["sync", "verify"]
    sync = container(pod, "sync")
    assert sync["args"][:3] == ["copy", f"{REMOTE}/llama/1", "/model"]
    writers = [
        c["name"]
        for c in [*pod["initContainers"], *pod["containers"]]
        for m in c["volumeMounts"]
        if m["name"] == "model-store" and not m.get("readOnly")
    ]
    assert writers == ["sync"]
    assert pod["serviceAccountName"] == "model-reader"
    volume = next(v["emptyDir"] for v in pod["volumes"] if v["name"] == "model-store")
    assert volume == {"sizeLimit": "20Gi"}  # 1.2 × 15 GiB of weights, and 2 more
    assert container(pod, "triton")["resources"]["requests"]["ephemeral-storage"] == "20Gi"


def test_a_synced_pod_reaches_names_public_tls_and_its_identity_only(recorder: Recorder) -> None:
    build(stack("eks"))
    egress = recorder.of("NetworkPolicy")["triton-llama-network"]["spec"]["egress"]
    assert [sorted({p["port"] for p in rule["ports"]}) for rule in egress] == [[53], [443], [80]]
    assert "10.0.0.0/8" in egress[1]["to"][0]["ipBlock"]["except"]
    assert egress[2]["to"] == [{"ipBlock": {"cidr": "169.254.170.23/32"}}]


def test_a_mounted_version_lets_nothing_out(recorder: Recorder) -> None:
    build(stack("dgx"), synced=False)
    assert recorder.of("NetworkPolicy")["triton-llama-network"]["spec"]["egress"] == []


def test_everything_that_is_no_model_runs_on_the_system_pool(recorder: Recorder) -> None:
    build(stack("dgx"), synced=False)
    for name in ("ratelimit-redis-server", "picker-llama-server"):
        pod = recorder.of("Deployment")[name]["spec"]["template"]["spec"]
        assert pod["nodeSelector"] == SYSTEM.node_selector, name
    envoy = recorder.of("EnvoyProxy")["llm-proxy"]["spec"]["provider"]["kubernetes"]["envoyDeployment"]
    assert envoy["pod"]["nodeSelector"] == SYSTEM.node_selector
    values = recorder.of("Release")["envoy-gateway-chart"]["values"]
    assert values["deployment"]["pod"]["nodeSelector"] == SYSTEM.node_selector
    assert values["certgen"]["job"]["nodeSelector"] == SYSTEM.node_selector
    limiter = values["config"]["envoyGateway"]["provider"]["kubernetes"]["rateLimitDeployment"]["pod"]
    assert limiter["tolerations"] == [{"key": "system", "operator": "Exists"}]


def test_a_model_on_several_nodes_is_a_leader_worker_set(recorder: Recorder) -> None:
    build(spanning())
    groups = recorder.of("LeaderWorkerSet")["triton-llama-groups"]
    spec = groups["spec"]
    assert (spec["replicas"], spec["leaderWorkerTemplate"]["size"]) == (2, 2)
    assert groups["metadata"]["annotations"] == {
        "leaderworkerset.sigs.k8s.io/exclusive-topology": "topology.kubernetes.io/zone"
    }
    assert "triton-llama-server" not in recorder.of("Deployment")
    template = spec["leaderWorkerTemplate"]
    leader, worker = template["leaderTemplate"]["spec"], template["workerTemplate"]["spec"]
    assert [c["name"] for c in leader["containers"]] == ["triton", "frontend"]
    assert [c["name"] for c in worker["containers"]] == ["triton"]
    for pod in (leader, worker):
        limits = pod["containers"][0]["resources"]["limits"]
        assert (limits["nvidia.com/gpu"], limits["vpc.amazonaws.com/efa"]) == ("8", "32")
        assert [c["name"] for c in pod["initContainers"]] == ["sync", "verify"]
        assert pod["nodeSelector"] == GPU.node_selector
        assert pod["securityContext"]["runAsNonRoot"]
        key = next(e for e in pod["containers"][0]["env"] if e["name"] == "GROUP_KEY")
        assert key["valueFrom"] == {"secretKeyRef": {"name": "triton-llama-launcher", "key": "key"}}
    launched = leader["containers"][0]["args"]
    assert launched[:3] == ["python3", "/launcher/group_launcher.py", "lead"]
    assert launched.count("tritonserver") == 16  # leader mode: a rank a GPU
    assert launched.count("--allow-http=false") == 15  # and one that answers


def test_only_leaders_answer_and_their_group_talks_freely(recorder: Recorder) -> None:
    build(spanning())
    selector = recorder.of("Service")["triton-llama-service"]["spec"]["selector"]
    assert selector["leaderworkerset.sigs.k8s.io/worker-index"] == "0"
    assert recorder.of("InferencePool")["picker-llama-pool"]["spec"]["selector"]["matchLabels"] == selector
    whole = {k: v for k, v in selector.items() if "worker-index" not in k}
    assert recorder.of("PodDisruptionBudget")["triton-llama-budget"]["spec"]["selector"]["matchLabels"] == whole
    network = recorder.of("NetworkPolicy")["triton-llama-network"]["spec"]
    assert network["ingress"][-1] == {"from": [{"podSelector": {"matchLabels": whole}}]}
    assert network["egress"][-1] == {"to": [{"podSelector": {"matchLabels": whole}}]}
    assert not recorder.of("Role").keys() - {"picker-llama-role"}  # the launcher needs no right in the cluster


def test_the_load_balancer_keeps_addresses_and_refuses_other_networks(recorder: Recorder) -> None:
    values = stack("eks", gateway={"replicas": 2, "allowedSources": ["203.0.113.0/24"]})
    outputs = build(values, load_balancer_class="service.k8s.aws/nlb", service_annotations={"a": "b"})
    door = recorder.of("Service")["llm-public-service"]
    assert door["metadata"]["annotations"] == {"a": "b"}
    spec = door["spec"]
    assert (spec["type"], spec["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    assert spec["loadBalancerClass"] == "service.k8s.aws/nlb"
    assert spec["loadBalancerSourceRanges"] == ["203.0.113.0/24"]
    proxy = recorder.of("EnvoyProxy")["llm-proxy"]["spec"]
    assert proxy["provider"]["kubernetes"]["envoyService"] == {"type": "ClusterIP"}
    assert proxy["shutdown"]["minDrainDuration"] == "30s"
    assert proxy["provider"]["kubernetes"]["envoyPDB"] == {"maxUnavailable": 1}
    assert outputs["endpoint"] == "http://lb.example.com"


def tls(kind: str, **more: Any) -> dict[str, Any]:
    return {"hostname": "llm.example.com", "tls": {"kind": kind, **more}}


def listeners(recorder: Recorder) -> dict[str, dict[str, Any]]:
    return {x["name"]: x for x in recorder.of("Gateway")["llm-listeners"]["spec"]["listeners"]}


def test_a_given_certificate_ends_tls_at_the_gateway(recorder: Recorder) -> None:
    outputs = build(stack("eks", gateway=tls("given")))
    secret = recorder.of("Secret")["llm-certificate-secret"]
    assert secret["type"] == "kubernetes.io/tls"
    public = listeners(recorder)["public"]
    assert (public["protocol"], public["port"]) == ("HTTPS", 443)
    assert public["tls"]["certificateRefs"] == [{"name": "llm-certificate"}]
    assert recorder.of("ClientTrafficPolicy")["llm-clients"]["spec"]["tls"]["minVersion"] == "1.2"
    redirect = recorder.of("HTTPRoute")["llm-public-redirect"]["spec"]
    assert redirect["parentRefs"][0]["sectionName"] == "plain"
    assert redirect["rules"][0]["filters"][0]["requestRedirect"]["scheme"] == "https"
    ports = {
        p["name"]: (p["port"], p["targetPort"]) for p in recorder.of("Service")["llm-public-service"]["spec"]["ports"]
    }
    assert ports == {"https": (443, 10443), "http": (80, 10080)}
    assert outputs["endpoint"] == "https://llm.example.com"


def test_acme_asks_through_the_plain_listener(recorder: Recorder) -> None:
    build(stack("eks", gateway=tls("acme", email="ops@example.com")))
    chart = recorder.of("Release")["cert-manager-chart"]
    assert (chart["chart"], chart["version"]) == ("oci://quay.io/jetstack/charts/cert-manager", "v1.21.2")
    acme = recorder.of("Issuer")["llm-acme-issuer"]["spec"]["acme"]
    assert acme["solvers"][0]["http01"]["gatewayHTTPRoute"]["parentRefs"][0]["sectionName"] == "plain"
    certificate = recorder.of("Certificate")["llm-acme-certificate"]["spec"]
    assert certificate["dnsNames"] == ["llm.example.com"]
    assert listeners(recorder)["public"]["tls"]["certificateRefs"] == [{"name": certificate["secretName"]}]


def test_tls_at_the_clouds_load_balancer_leaves_plain_http_behind_it(recorder: Recorder) -> None:
    outputs = build(stack("eks", gateway=tls("cloud", certificate="arn:aws:acm:…")))
    assert listeners(recorder)["public"] == {"name": "public", "protocol": "HTTP", "port": 443}
    assert outputs["endpoint"] == "https://llm.example.com"


JWT = {"issuer": "https://id.example.com", "jwksUri": "https://id.example.com/keys", "audiences": ["llm"]}


def test_a_token_has_a_route_of_its_own_and_the_tenants_one_budget(recorder: Recorder) -> None:
    build(stack("eks", gateway={"jwt": JWT}))
    routes = recorder.of("HTTPRoute")
    rule = routes["edge-token-route"]["spec"]["rules"][0]
    assert rule["matches"][0]["headers"][0]["name"] == "Authorization"
    assert rule["filters"][0]["requestHeaderModifier"]["remove"] == ["Authorization", "x-api-key"]
    assert rule["backendRefs"] == routes["edge-route"]["spec"]["rules"][0]["backendRefs"]
    policy = recorder.of("SecurityPolicy")["edge-token"]["spec"]
    assert policy["targetRefs"][0]["name"] == "edge-token"
    provider = policy["jwt"]["providers"][0]
    assert provider["claimToHeaders"] == [{"claim": "tenant", "header": "x-llmops-token-tenant"}]
    assert (provider["issuer"], provider["audiences"]) == ("https://id.example.com", ["llm"])
    rules = recorder.of("BackendTrafficPolicy")["edge-limits"]["spec"]["rateLimit"]["global"]["rules"]
    assert all(r["shared"] for r in rules)
    early = recorder.of("ClientTrafficPolicy")["llm-clients"]["spec"]["headers"]["earlyRequestHeaders"]["remove"]
    assert {"x-client-id", "x-llmops-token-tenant"} <= set(early)  # a client cannot bring what the token says


def test_without_an_issuer_there_is_one_way_in(recorder: Recorder) -> None:
    build(stack("eks"))
    assert set(recorder.of("SecurityPolicy")) == {"edge-keys"}
