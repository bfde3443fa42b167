"""A bley with its dashboard, and the sessions that it is asked about."""

import gzip
import http.client
import json
import socket
from pathlib import Path

from bley.core.mail import Request
from bley.core.wire import encode_request
from tests.integration.browser import Browser
from tests.integration.running_bley import WAIT_SECONDS, Bley

SESSIONS = Path(__file__).parents[2] / "data/sessions.jsonl.gz"
ATTRIBUTES = ("client_address", "client_name", "helo_name", "sender", "recipient")


def sessions() -> list[Request]:
    with gzip.open(SESSIONS, "rt", encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    return [Request("RCPT", **{name: each[name] for name in ATTRIBUTES}) for each in documents]


def ask(port: int, requests: list[Request]) -> None:
    for request in requests:
        assert answer(port, request).startswith(b"action=")


def answer(port: int, request: Request) -> bytes:
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as peer:
        peer.sendall(encode_request(request))
        return peer.recv(4096)


class Site:
    """A bley's dashboard."""

    def __init__(self, bley: Bley) -> None:
        self.place = bley.wait_log(r"dashboard at http://([^/]+)/")[1]

    def url(self, path: str) -> str:
        return f"http://{self.place}{path}"

    def fetch(self, path: str) -> tuple[int, str]:
        peer = http.client.HTTPConnection(self.place, timeout=WAIT_SECONDS)
        peer.request("GET", path)
        response = peer.getresponse()
        text = response.read().decode()
        peer.close()
        return response.status, text


def overflow(browser: Browser) -> int:
    """Return by how many pixels the page is too wide."""
    wide: int = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wide


PATHS = [
    "/",
    "/?range=365d",
    "/search",
    "/search?q=uwaterloo.ca",
    "/search?q=nobody.example",
    "/decision/1",
    "/nothing",
]
