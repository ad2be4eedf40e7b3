"""An OpenID Connect provider for tests: a key of its own, served inside the cluster, and tokens that it signs."""

import base64
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ISSUER, AUDIENCE = "https://issuer.test", "llm"
JWKS_URI = "http://issuer.llm.svc.cluster.local:8080/keys.json"
SETTINGS = {"issuer": ISSUER, "jwksUri": JWKS_URI, "audiences": [AUDIENCE]}


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Issuer:
    """One RSA key and what it signs."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self) -> str:
        """The public key, as JSON Web Key Set."""
        numbers = self.key.public_key().public_numbers()
        n, e = (_base64(i.to_bytes((i.bit_length() + 7) // 8, "big")) for i in (numbers.n, numbers.e))
        return json.dumps({"keys": [{"kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256", "n": n, "e": e}]})

    def token(self, **claims: Any) -> str:
        """A token (JWT) that is good for five minutes unless the claims say otherwise."""
        said = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 300, **claims}
        head = {"alg": "RS256", "kid": "one", "typ": "JWT"}
        body = ".".join(_base64(json.dumps(part).encode()) for part in (head, said))
        return f"{body}.{_base64(self.key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def objects(self, image: str) -> list[dict[str, Any]]:
        """What serves the public key in the cluster; `image` is any that has Python."""
        meta = {"name": "issuer", "namespace": "llm", "labels": {"app": "issuer"}}
        container = {
            "name": "issuer",
            "image": image,
            "command": ["python3", "-m", "http.server", "8080", "--directory", "/keys"],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumeMounts": [{"name": "keys", "mountPath": "/keys"}],
        }
        pod = {"containers": [container], "volumes": [{"name": "keys", "configMap": {"name": "issuer"}}]}
        service = {"selector": {"app": "issuer"}, "ports": [{"port": 8080}]}
        return [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"keys.json": self.jwks()}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {**pod, "terminationGracePeriodSeconds": 1}},
            {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
        ]
