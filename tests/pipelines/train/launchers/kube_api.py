"""As much of a Kubernetes API server as kubectl asks for RayJobs, over HTTP on loopback, and a stand-in for kubectl.

No operator is behind it: a test says what became of a job. Objects are held against `ray_schema` before they are taken.
"""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_PATH = re.compile(r"/apis/ray\.io/v1/namespaces/([^/]+)/rayjobs(?:/([^/]+))?")
_PODS = re.compile(r"/api/v1/namespaces/([^/]+)/pods(?:/([^/]+)(/log)?)?")
_RESOURCE = {
    "name": "rayjobs",
    "singularName": "rayjob",
    "namespaced": True,
    "kind": "RayJob",
    "verbs": ["create", "delete", "get", "list"],
}
_PODS_RESOURCE = {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"]}
_LOG_RESOURCE = {"name": "pods/log", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get"]}


@dataclass
class KubeApi:
    """The server's state: objects by (namespace, name), logs by the job's name, and what was asked."""

    check: Callable[[dict[str, Any]], None]
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    logs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    away: bool = False

    def start(self) -> str:
        """Serves until `stop`; returns the address."""
        api = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                code, answer = api.answer(self.command, self.path, body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "text/plain" if isinstance(answer, bytes) else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _serve  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        """Code and body of the answer to a request."""
        url = urllib.parse.urlsplit(target)
        self.asked.append(f"{method} {url.path}")
        if self.away:
            return 503, _status(503, "ServiceUnavailable", "the server is currently unable to handle the request")
        if found := _PATH.fullmatch(url.path):
            return self._rayjobs(method, found[1], found[2], body)
        if found := _PODS.fullmatch(url.path):
            return self._pods(urllib.parse.parse_qs(url.query), found[1], found[2], bool(found[3]))
        if found := re.fullmatch(
            "/api/v1/namespaces/([^/]+)", url.path
        ):  # kubectl asks, to tell a missing object from a missing namespace
            return 200, {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": found[1]}}
        return _discovery(url.path)

    def _rayjobs(self, method: str, namespace: str, name: str | None, body: bytes) -> tuple[int, Any]:
        if method == "POST":
            made = json.loads(body)
            try:
                self.check(made)
            except Exception as error:
                return 422, _status(422, "Invalid", f"RayJob is invalid: {error}")
            key = (namespace, made["metadata"]["name"])
            if key in self.objects:
                return 409, _status(409, "AlreadyExists", f'rayjobs.ray.io "{key[1]}" already exists')
            self.objects[key] = made
            return 201, made
        if (namespace, name) not in self.objects:
            return 404, _status(404, "NotFound", f'rayjobs.ray.io "{name}" not found')
        if method == "DELETE":
            del self.objects[namespace, name]
            return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return 200, self.objects[namespace, name]

    def _pods(self, query: dict[str, list[str]], namespace: str, name: str | None, log: bool) -> tuple[int, Any]:
        if log:
            return 200, self.logs[str(name).removesuffix("-pod")]
        jobs = [word.removeprefix("job-name=") for word in query.get("labelSelector", [])]
        pods = [_pod(job, namespace) for job in jobs if job in self.logs]
        if name is not None:
            return 200, _pod(name.removesuffix("-pod"), namespace)
        return 200, {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": pods}


def _pod(job: str, namespace: str) -> dict[str, Any]:
    metadata = {"name": f"{job}-pod", "namespace": namespace, "labels": {"job-name": job}}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": {"containers": [{"name": "ray-job-submitter", "image": "x:1"}]},
    }


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def _discovery(path: str) -> tuple[int, Any]:
    """What kubectl asks first: which kinds there are."""
    known: dict[str, Any] = {
        "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [{
            "name": "ray.io", "versions": [{"groupVersion": "ray.io/v1", "version": "v1"}],
            "preferredVersion": {"groupVersion": "ray.io/v1", "version": "v1"},
        }]},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [_PODS_RESOURCE, _LOG_RESOURCE]},
        "/apis/ray.io/v1": {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "ray.io/v1", "resources": [_RESOURCE]},
        "/openapi/v3": {"paths": {"apis/ray.io/v1": {"serverRelativeURL": "/openapi/v3/apis/ray.io/v1?hash=0"}}},
        "/openapi/v3/apis/ray.io/v1": {"openapi": "3.0.0", "info": {"title": "ray", "version": "v1"}, "paths": {
            "/apis/ray.io/v1/namespaces/{namespace}/rayjobs/{name}": {"patch": {
                "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": {"group": "ray.io", "version": "v1", "kind": "RayJob"},
            }},
        }},
    }  # fmt: skip
    return (
        (200, known[path])
        if path in known
        else (404, _status(404, "NotFound", "the server could not find the requested resource"))
    )


STAND_IN = """
import json, os, sys, urllib.error, urllib.request
words = [word for word in sys.argv[1:] if not word.startswith("--request-timeout")]
flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
plain = [word for word in words if not word.startswith("--")]
base = os.environ["KUBE_STAND_IN"]
jobs = f"{base}/apis/ray.io/v1/namespaces/{flags['namespace']}/rayjobs"
pods = f"{base}/api/v1/namespaces/{flags['namespace']}/pods"
def ask(method, url, data=None):
    with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method)) as answer:
        return answer.read()
try:
    if plain[0] == "create":
        ask("POST", jobs, sys.stdin.buffer.read())
    elif plain[0] == "get":
        sys.stdout.buffer.write(ask("GET", f"{jobs}/{plain[2]}"))
    elif plain[0] == "delete":
        ask("DELETE", f"{jobs}/{plain[2]}")
    elif plain[0] == "logs":
        found = json.loads(ask("GET", f"{pods}?labelSelector={flags['selector']}"))["items"]
        for pod in found:
            sys.stdout.buffer.write(ask("GET", f"{pods}/{pod['metadata']['name']}/log"))
except urllib.error.HTTPError as error:
    said = json.loads(error.read())
    sys.exit(f"Error from server ({said['reason']}): {said['message']}")
"""
"""kubectl's part that the launcher uses; its errors read as the real one's do."""
