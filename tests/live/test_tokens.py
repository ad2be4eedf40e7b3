"""Tokens of an OpenID Connect provider beside API keys: the same tenants, models, limits, and no way round them."""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from components.images import own_image
from tests.live.issuer import AUDIENCE, Issuer
from tests.live.minute import fresh_minute
from tests.live.platform import REQUESTS, ROOT, Platform, wait_for
from tests.live.traffic import MODEL, Client, codes

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def issuer(platform: Platform) -> Iterator[Issuer]:
    """An issuer whose key the gateway has fetched."""
    made = Issuer()
    items = made.objects(own_image("localhost/llmops", "engine"))
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})

    def apply() -> str:
        done = subprocess.run(
            ["sandbox/kubectl", "apply", "-f", "-"],
            cwd=ROOT,
            env=platform.environment(),
            input=objects,
            text=True,
            check=False,
            capture_output=True,
        )
        return "" if done.returncode == 0 else done.stderr or "failed"

    wait_for(apply, lambda error: not error, 60)
    known = Client(platform.endpoint, made.token(tenant="team-a"))
    wait_for(lambda: known.complete(max_tokens=1).status_code, lambda code: code == 200, 120)
    yield made
    platform.kubectl("delete", "-n", "llm", "pod/issuer", "service/issuer", "configmap/issuer")


def test_a_token_is_as_good_as_the_tenants_key(platform: Platform, issuer: Issuer) -> None:
    client = Client(platform.endpoint, issuer.token(tenant="team-a"))
    answer = client.complete(max_tokens=3)
    assert answer.status_code == 200
    assert answer.json()["model"] == MODEL
    assert platform.client("team-a").complete(max_tokens=1).status_code == 200


def test_a_token_opens_its_tenants_models_only(platform: Platform, issuer: Issuer) -> None:
    client = Client(platform.endpoint, issuer.token(tenant="team-b"))
    assert client.complete(max_tokens=1).status_code == 200
    assert client.post("/v1/completions", {"model": "second", "prompt": "x"}).status_code == 403


def test_a_tenant_has_one_limit_whether_by_key_or_by_token(platform: Platform, issuer: Issuer) -> None:
    by_key, by_token = platform.client("by-both"), Client(platform.endpoint, issuer.token(tenant="by-both"))
    fresh_minute(20)
    answers = [client.complete(max_tokens=1) for _ in range(REQUESTS) for client in (by_key, by_token)]
    assert codes(answers) == {200: REQUESTS, 429: REQUESTS}


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "another"}, 403),  # a good token, for another service
        ({"iss": "https://another.test"}, 401),
        ({"exp": int(time.time()) - 3600}, 401),
    ],
    ids=["audience", "issuer", "expired"],
)
def test_a_token_for_somebody_else_or_of_yesterday_is_refused(
    platform: Platform, issuer: Issuer, claims: dict[str, object], code: int
) -> None:
    token = issuer.token(tenant="team-a", **claims)
    assert Client(platform.endpoint, token).complete(max_tokens=1).status_code == code


@pytest.mark.usefixtures("issuer")
def test_a_token_that_another_signed_is_refused(platform: Platform) -> None:
    assert Client(platform.endpoint, Issuer().token(tenant="team-a")).complete(max_tokens=1).status_code == 401


@pytest.mark.parametrize("claims", [{}, {"tenant": "nobody"}, {"tenant": ["team-a"]}], ids=["none", "unknown", "list"])
def test_a_token_of_no_tenant_gets_no_model(platform: Platform, issuer: Issuer, claims: dict[str, object]) -> None:
    assert Client(platform.endpoint, issuer.token(**claims)).complete(max_tokens=1).status_code == 403


def test_headers_of_the_client_do_not_change_who_a_token_is(platform: Platform, issuer: Issuer) -> None:
    client = Client(platform.endpoint, issuer.token(tenant="team-b"))
    body = {"model": "second", "prompt": "x"}
    spoofed = {"x-client-id": "team-a", "x-llmops-model": "second", "x-api-key": platform.keys["team-a"]}
    assert client.post("/v1/completions", body, **spoofed).status_code == 403
    unsigned = issuer.token(tenant="team-a", aud=AUDIENCE).rpartition(".")[0] + "."
    assert Client(platform.endpoint, unsigned).complete(max_tokens=1).status_code == 401
