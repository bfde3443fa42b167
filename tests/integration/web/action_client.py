"""An operator who acts on the dashboard of a running bley, without a browser."""

import html
import http.client
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlencode

from tests.integration.running_bley import WAIT_SECONDS, Bley
from tests.integration.test_web_access import PASSWORD, basic, port_of

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
_FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Page:
    """A response, and the form on its page."""

    status: int
    location: str
    text: str
    path: str

    @property
    def words(self) -> str:
        """The text without markup."""
        main = re.search(r"<main.*?</main>", self.text, re.DOTALL)
        return html.unescape(" ".join(re.sub(r"<wbr>|<[^>]+>", "", main[0] if main else self.text).split()))

    @property
    def fields(self) -> dict[str, str]:
        """The hidden fields of the form."""
        return {html.unescape(name): html.unescape(value) for name, value in _HIDDEN.findall(self.text)}

    @property
    def has_form(self) -> bool:
        return '<form class="act"' in self.text


class Operator:
    """Requests pages of this bley and sends their forms."""

    def __init__(self, bley: Bley) -> None:
        self.place = f"127.0.0.1:{port_of(bley)}"

    def request(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] = _NO_HEADERS
    ) -> Page:
        peer = http.client.HTTPConnection(self.place, timeout=WAIT_SECONDS)
        peer.request(method, path, body, {"Accept": "text/html", **basic(PASSWORD), **headers})
        answer = peer.getresponse()
        page = Page(answer.status, answer.headers.get("Location", ""), answer.read().decode(), path)
        peer.close()
        return page

    def get(self, path: str) -> Page:
        return self.request("GET", path)

    def send(self, page: Page, headers: Mapping[str, str] = _NO_HEADERS, /, **typed: str) -> Page:
        """Send the form of the page."""
        path = page.path.partition("?")[0]
        return self.request("POST", path, urlencode(page.fields | typed), {**_FORM_TYPE, **headers})

    def send_and_leave(self, page: Page, missing: int = 0) -> None:
        """Send the form of the page without so many bytes of its end, and disconnect."""
        body = urlencode(page.fields).encode()
        headers = {"Host": self.place, **basic(PASSWORD), **_FORM_TYPE, "Content-Length": len(body)}
        lines = [
            f"POST {page.path.partition('?')[0]} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        host, _, port = self.place.partition(":")
        with socket.create_connection((host, int(port)), WAIT_SECONDS) as peer:
            peer.sendall("\r\n".join([*lines, "", ""]).encode() + body[: len(body) - missing])
            time.sleep(0.3)  # bley polls each quarter of a second whether the client is there

    def act(self, path: str, **typed: str) -> str:
        """Open the page, send its form and return the notice of the page that follows."""
        page = self.get(path)
        assert page.has_form, page.words
        sent = self.send(page, {}, **typed)
        assert sent.status == 303, sent.words
        [notice] = re.findall(
            r'<div class="notice done" role="status">(.*?)</div>', self.get(sent.location).text, re.DOTALL
        )
        return Page(200, "", notice, path).words
