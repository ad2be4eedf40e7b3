"""An API server that answers GETs from a table, and a kubeconfig for it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class FakeApi:
    """`objects` is path → what is there; 404 for the rest. `token`: what a request must bring."""

    def __init__(self, objects: dict[str, Any], token: str = "") -> None:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = api.objects.get(self.path)
                code = 200 if found is not None else 404
                if api.token and self.headers.get("Authorization") != f"Bearer {api.token}":
                    code = 401
                self.send_response(code)
                self.end_headers()
                self.wfile.write(json.dumps(found or {"code": code}).encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.objects, self.token = objects, token
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, **user: str) -> str:
        """For `kubectl --kubeconfig`, if there were objects to change."""
        return json.dumps(
            {
                "current-context": "dgx",
                "contexts": [{"name": "dgx", "context": {"cluster": "dgx", "user": "admin"}}],
                "clusters": [{"name": "dgx", "cluster": {"server": self.url}}],
                "users": [{"name": "admin", "user": user}],
            }
        )


def node(
    name: str,
    labels: dict[str, str] | None = None,
    gpus: int | None = 8,
    *,
    ready: bool = True,
    cordoned: bool = False,
) -> dict[str, Any]:
    """A DGX H100; `gpus` None: no GPU Operator has looked at it yet."""
    known = {"nvidia.com/gpu": str(gpus)} if gpus is not None else {}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {
            "allocatable": {"cpu": "224", **known},
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "nodeInfo": {"containerRuntimeVersion": "containerd://2.1.5"},
        },
    }


def cluster(*nodes: dict[str, Any], version: str = "v1.34.2") -> dict[str, Any]:
    """What a healthy cluster answers."""
    return {"/version": {"gitVersion": version}, "/api/v1/nodes": {"items": list(nodes)}}
