"""What happens to every tenant's request at the public door: authentication, admission, limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components.cluster import Cluster
from components.custom import (
    ENVOY_GATEWAY_API,
    GATEWAY_API,
    TENANT_HEADER,
    TOKEN_TENANT_HEADER,
    custom,
    listener_target,
    route_target,
)
from components.gateway import INNER_PORT, PUBLIC, Gateway

SCRIPT = Path(__file__).with_name("edge.lua")
# OpenAI's default for completions; the frontend uses the same.
DEFAULT_MAX_TOKENS = 16
KEY_HEADERS = ["Authorization", "x-api-key"]
# A JSON Web Token: its first part is the base64 of a JSON object. Keys of ours have no dots.
TOKEN = r"Bearer eyJ[-\w]*\.[-\w]+\.[-\w]*"


@dataclass(frozen=True, kw_only=True)
class TenantAccess:
    """What one tenant may do: models, requests a minute, tokens a minute."""

    name: str
    models: tuple[str, ...]
    requests_per_minute: int
    tokens_per_minute: int


@dataclass(frozen=True, kw_only=True)
class TokenIssuer:
    """Whose tokens (JWT, RFC 7519) are accepted beside keys; `tenant_claim` names the tenant in them."""

    issuer: str
    jwks_uri: str
    audiences: tuple[str, ...]
    tenant_claim: str


@dataclass(frozen=True, kw_only=True)
class FrontDoorArgs:
    """`models` is model → most output tokens of one request; `keys_secret` names the tenants' Secret."""

    cluster: Cluster
    namespace: pulumi.Input[str]
    system_namespace: pulumi.Input[str]
    gateway: Gateway
    keys_secret: pulumi.Input[str]
    tenants: tuple[TenantAccess, ...]
    models: dict[str, int]
    bytes_per_token: float
    request_timeout_seconds: int
    tokens: TokenIssuer | None = None


class FrontDoor(pulumi.ComponentResource):
    """The public route and its policies; with `tokens`, a second route for requests that bring one instead of a key.

    Two routes because a SecurityPolicy asks for everything that it names: a key and a token. The second has its own
    policy for who it is; what the tenant may do and how much stays the listener's, counted in the same buckets.
    """

    def __init__(self, name: str, args: FrontDoorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:FrontDoor", name, {}, opts)
        # The policies belong to the listener and are accepted before the route opens it: nobody gets in without them.
        policies = [
            self._policy("SecurityPolicy", f"{name}-keys", args, self._authentication(args)),
            self._policy("EnvoyExtensionPolicy", f"{name}-admission", args, self._admission(args)),
            self._policy("BackendTrafficPolicy", f"{name}-limits", args, self._limits(args)),
        ]
        self._route(name, args, {}, policies)
        if args.tokens:
            self._accept_tokens(f"{name}-token", args, args.tokens, policies)
        self.register_outputs({})

    def _route(
        self, name: str, args: FrontDoorArgs, more: dict[str, Any], behind: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        """A public route to the inner listener; `more` is what its rule has besides."""
        match: dict[str, Any] = {"path": {"type": "PathPrefix", "value": "/v1"}}
        rule: dict[str, Any] = {
            "matches": [match | more.pop("match", {})],
            "backendRefs": [
                {"name": args.gateway.inner_service, "namespace": args.system_namespace, "port": INNER_PORT}
            ],
            "timeouts": {"request": f"{args.request_timeout_seconds}s"},
            **more,
        }
        return custom(
            GATEWAY_API,
            "HTTPRoute",
            name,
            namespace=args.namespace,
            resource_name=f"{name}-route",
            spec={"parentRefs": [{"name": args.gateway.gateway_name, "sectionName": PUBLIC}], "rules": [rule]},
            opts=args.cluster.child(self, depends_on=list(behind)),
        )

    def _accept_tokens(
        self, name: str, args: FrontDoorArgs, tokens: TokenIssuer, behind: Sequence[pulumi.Resource]
    ) -> None:
        # Until its own policy is there the listener's holds, which takes keys only: never is the route open.
        route = self._route(
            name,
            args,
            {
                "match": {"headers": [{"name": "Authorization", "type": "RegularExpression", "value": TOKEN}]},
                # As with keys, the token goes no further than the gateway; Envoy Gateway itself would send it on.
                "filters": [
                    {
                        "type": "RequestHeaderModifier",
                        "requestHeaderModifier": {"remove": KEY_HEADERS},
                    }
                ],
            },
            behind,
        )
        provider = {
            "name": "tokens",
            "issuer": tokens.issuer,
            "audiences": list(tokens.audiences),
            "remoteJWKS": {"uri": tokens.jwks_uri},
            "claimToHeaders": [{"claim": tokens.tenant_claim, "header": TOKEN_TENANT_HEADER}],
            "extractFrom": {"headers": [{"name": "Authorization", "valuePrefix": "Bearer "}]},
        }
        custom(
            ENVOY_GATEWAY_API,
            "SecurityPolicy",
            name,
            namespace=args.namespace,
            spec={"targetRefs": route_target(name), "jwt": {"providers": [provider]}},
            opts=args.cluster.child(self, depends_on=[route]),
        )

    def _policy(self, kind: str, name: str, args: FrontDoorArgs, spec: dict[str, Any]) -> pulumi.Resource:
        return custom(
            ENVOY_GATEWAY_API,
            kind,
            name,
            namespace=args.namespace,
            spec={"targetRefs": listener_target(args.gateway.gateway_name, PUBLIC), **spec},
            opts=args.cluster.child(self, depends_on=[args.gateway]),
        )

    def _authentication(self, args: FrontDoorArgs) -> dict[str, Any]:
        return {
            "apiKeyAuth": {
                "credentialRefs": [{"name": args.keys_secret}],
                "extractFrom": [{"headers": KEY_HEADERS}],
                "forwardClientIDHeader": TENANT_HEADER,
                "sanitize": True,  # the key goes no further than the gateway
            }
        }

    def _admission(self, args: FrontDoorArgs) -> dict[str, Any]:
        context = {
            "tenants": {t.name: dict.fromkeys(t.models, True) for t in args.tenants},
            "models": args.models,
            "order": ",".join(sorted(args.models)),
            "default_max_tokens": DEFAULT_MAX_TOKENS,
            "bytes_per_token": args.bytes_per_token,
        }
        return {"lua": [{"type": "Inline", "inline": SCRIPT.read_text(), "filterContext": context}]}

    def _limits(self, args: FrontDoorArgs) -> dict[str, Any]:
        rules: list[dict[str, Any]] = []
        # A tenant's budget is one, whether it comes with its key or with a token; unshared, each route has its own.
        shared = {"shared": True} if args.tokens else {}
        for tenant in args.tenants:
            who = [{"headers": [{"name": TENANT_HEADER, "type": "Exact", "value": tenant.name}]}]
            rules.append(
                {
                    "clientSelectors": who,
                    "limit": {"requests": tenant.requests_per_minute, "unit": "Minute"},
                    **shared,
                }
            )
            # Charged before the answer, with the most that it can cost: a charge that follows the answer lets
            # concurrent requests overspend, and lets a client that hangs up pay nothing.
            rules.append(
                {
                    "clientSelectors": who,
                    "limit": {"requests": tenant.tokens_per_minute, "unit": "Minute"},
                    "cost": {
                        "request": {
                            "from": "Metadata",
                            "metadata": {"namespace": "llmops", "key": "reserved_tokens"},
                        }
                    },
                    **shared,
                }
            )
        return {"rateLimit": {"type": "Global", "global": {"rules": rules}}}
