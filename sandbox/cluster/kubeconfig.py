"""Kubeconfig files: who may speak to the API server as whom."""

import base64
import json
import os
from pathlib import Path


def render(server: str, pki: Path, user: str) -> str:
    """A kubeconfig for the client certificate `<user>.crt`, everything embedded. JSON, which is YAML too."""

    def embedded(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "llmops",
                    "cluster": {"server": server, "certificate-authority-data": embedded(pki / "ca.crt")},
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": embedded(pki / f"{user}.crt"),
                        "client-key-data": embedded(pki / f"{user}.key"),
                    },
                }
            ],
            "contexts": [{"name": "llmops", "context": {"cluster": "llmops", "user": user}}],
            "current-context": "llmops",
        },
        indent=1,
    )


def write(path: Path, text: str) -> bool:
    """Replace a file that only its owner may read; whether its content is new.

    An unchanged file is left alone: kube-proxy watches its own and ends when it is written.
    """
    if path.exists() and path.read_text() == text:
        return False
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)
    return True
