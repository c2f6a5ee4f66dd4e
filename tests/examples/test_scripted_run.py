"""How the script of the orchestration example speaks with a server."""

from __future__ import annotations

import http.server
import threading
import urllib.error
from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.e2e.prefect_site import script


class Busy(http.server.BaseHTTPRequestHandler):
    """Answers with the statuses that it was told, one after the other; then with what it was sent."""

    statuses: ClassVar[list[int]] = []
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        """Answers."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        status = self.statuses.pop(0) if self.statuses else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body if status == 200 else b"")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def busy() -> Iterator[str]:
    Busy.statuses, Busy.asked = [], []
    server = http.server.HTTPServer(("127.0.0.1", 0), Busy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_locked_database_is_asked_again(busy: str) -> None:
    Busy.statuses = [503, 503]
    assert script.ask(busy, "/flow_runs/filter", {"limit": 1}) == {"limit": 1}
    assert Busy.asked == ["/api/flow_runs/filter"] * 3


def test_a_refusal_is_final(busy: str) -> None:
    Busy.statuses = [409]
    with pytest.raises(urllib.error.HTTPError, match="409"):
        script.ask(busy, "/flow_runs/filter", {})
    assert len(Busy.asked) == 1


def test_a_server_that_stays_locked_is_given_up(busy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "BUSY_SECONDS", 0.2)
    Busy.statuses = [503] * 100
    with pytest.raises(urllib.error.HTTPError, match="503"):
        script.ask(busy, "/flow_runs/filter", {})
    assert len(Busy.asked) >= 2
