"""The running bley is asked, and nobody else."""

import json
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bley.commands.web_client import WebError, fetch_lists, fetch_page
from bley.settings.file import Configuration, load
from bley.settings.settings import Settings
from tests.unit.web.test_password_gate import cheap_hash


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append(dict(self.headers))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(server.answer)

    def log_message(self, *_: object) -> None:
        """In the log of tests nobody looks for it."""


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Mapping[str, str]] = []
        self.answer = b"[]"

    def handle_error(self, *_: object) -> None:
        """A client that ends the connection before it asks is what some tests are about."""


@pytest.fixture
def server() -> Iterator[_Server]:
    server = _Server()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _configuration(server: _Server, **settings: object) -> Configuration:
    """Of a bley that listens there, with a password."""
    texts = {"web_listen": f"127.0.0.1:{server.server_port}"} | {key: str(value) for key, value in settings.items()}
    return replace(load(), settings=Settings.model_validate(texts), web_password=cheap_hash("secret"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an issuer, and with `one` and `other`, certificates of that issuer with it behind them."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]

    def make(name: str, *options: str) -> None:
        command = [
            "openssl",
            "req",
            "-x509",
            *key,
            "-subj",
            f"/CN={name}",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.pem",
        ]
        subprocess.run([*command, *options], cwd=folder, check=True, capture_output=True)

    make("issuer")
    for name in ("one", "other"):
        make(name, "-CA", "issuer.pem", "-CAkey", "issuer.key")
        chain = (folder / f"{name}.pem").read_text() + (folder / "issuer.pem").read_text()
        (folder / f"{name}.pem").write_text(f"words before it\n{chain}")
    return folder


def _speak_tls(server: _Server, certificates: Path, name: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)


class TestCertificate:
    def test_the_holder_of_the_very_certificate_is_asked(self, server: _Server, certificates: Path) -> None:
        _speak_tls(server, certificates, "one")
        assert fetch_page(_configuration(server, web_tls_cert=certificates / "one.pem"), "/lists") == b"[]"
        assert server.asked[0]["Authorization"] == f"Bearer {cheap_hash('secret').proof}"

    @pytest.mark.parametrize("name", ["other", "issuer"])
    def test_another_one_of_the_issuer_is_sent_nothing(self, server: _Server, certificates: Path, name: str) -> None:
        """Nor is bley itself with its old one, of which nobody could tell."""
        _speak_tls(server, certificates, name)
        file = certificates / "one.pem"
        with pytest.raises(WebError) as caught:
            fetch_page(_configuration(server, web_tls_cert=file), "/lists")
        assert str(caught.value) == (
            f"the certificate of web_listen is not the one in {file}: if that was renewed, reload bley"
        )
        assert not server.asked

    def test_a_file_that_has_none(self, server: _Server, tmp_path: Path) -> None:
        file = tmp_path / "cert.pem"
        for content, why in ((None, "cannot be read: No such file"), (b"\xff" * 99, "has no PEM certificate")):
            if content:
                file.write_bytes(content)
            with pytest.raises(WebError, match=why):
                fetch_page(_configuration(server, web_tls_cert=file), "/lists")


@pytest.mark.parametrize("answer", ["", "no JSON", "{}", "[1]", '[{"name": "x"}]', "null", "[" * 100_000])
def test_what_is_not_bley_is_said(server: _Server, answer: str) -> None:
    server.answer = answer.encode()
    with pytest.raises(WebError, match=r"belongs to another program: its answer has no lists"):
        fetch_lists(_configuration(server))


def test_reports_are_passed_on(server: _Server) -> None:
    server.answer = json.dumps([]).encode()
    assert fetch_lists(_configuration(server)) == []
