"""Access to the web server of a running bley by password, TLS and reverse proxy; and `bley web-password`."""

import base64
import http.client
import os
import pty
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.integration.running_bley import BLEY, WAIT_SECONDS, Bley
from tests.integration.servers import require
from tests.integration.warm_start import run_bley

PASSWORD, NEW_PASSWORD = "correct horse", "battery staple"


def make_password(file: Path, password: str = PASSWORD, status: int = 0) -> str:
    """Run `bley web-password` with the password on standard input, and return its output."""
    ran = run_bley(["web-password", file], input=f"{password}\n".encode())
    said = (ran.stdout + ran.stderr).decode()
    assert ran.returncode == status, said
    return said


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"bley:{password}".encode()).decode()}


def own_address() -> str:
    """Return an address of this machine that is not a loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            pytest.skip("this machine has no network but the loopback")
        address: str = probe.getsockname()[0]
        return address


def port_of(bley: Bley) -> int:
    return int(bley.wait_log(r"metrics at https?://[^/]+:(\d+)/")[1])


def ask(
    port: int,
    path: str = "/lists",
    source: str = "127.0.0.1",
    context: ssl.SSLContext | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> http.client.HTTPResponse:
    """Return the response to one request from the address `source`."""
    from_there = (source, 0)
    peer = (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=WAIT_SECONDS, source_address=from_there, context=context)
        if context
        else http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS, source_address=from_there)
    )
    try:
        peer.request("GET", path, headers=dict(headers))
        answer = peer.getresponse()
        answer.read()
        return answer
    finally:
        peer.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_beyond_loopback_the_password_is_required(tmp_path: Path, workers: int) -> None:
    """On this machine as well; `bley lists` can read the hash; a reload applies a new one."""
    make_password(tmp_path / "web")
    settings = {"web_listen": "0.0.0.0:0", "web_password_file": "web", "web_hosts": "bley.example.org"}
    with Bley(tmp_path, workers=workers, **settings) as bley:
        port = port_of(bley)
        assert re.search("bley.conf:\\d+: web_listen: the password is sent over the network", bley.log())
        for source in ("127.0.0.1", own_address()):
            refused = ask(port, source=source)
            assert (refused.status, refused.headers["WWW-Authenticate"][:5]) == (401, "Basic")
            assert ask(port, "/metrics", source).status == 401
            assert ask(port, source=source, headers=basic(PASSWORD)).status == 200
            assert ask(port, source=source, headers=basic(PASSWORD) | {"Host": "bley.example.org"}).status == 200
            assert ask(port, source=source, headers=basic(PASSWORD) | {"Host": "evil.example"}).status == 403
        assert ask(port, headers=basic(NEW_PASSWORD)).status == 401
        bley.wait_log(r"web_listen: 1 wrong password since the last such warning, the latest from 127\.0\.0\.1")
        bley.write_settings(web_listen=f"0.0.0.0:{port}")
        bley.run("lists")

        make_password(tmp_path / "web", NEW_PASSWORD)
        bley.write_settings(web_listen="0.0.0.0:0")
        bley.reload()
        assert ask(port, headers=basic(NEW_PASSWORD)).status == 200
        assert ask(port, headers=basic(PASSWORD)).status == 401
        assert PASSWORD not in bley.log()

        bley.write_settings(web_listen="127.0.0.1:0", web_password_file="")
        bley.reload()
        assert "web_listen has changed: takes effect after a restart" in bley.log()
        assert ask(port).status == 200
        assert ask(port, source=own_address()).status == 403, "an open socket is not open to all peers"


@pytest.mark.parametrize(
    ("workers", "settings", "fault"),
    [
        (
            1,
            {"web_listen": "0.0.0.0:0"},
            "web_listen = 0.0.0.0:0: is not a loopback address: it needs web_password_file",
        ),
        (1, {"web_password_file": "nowhere"}, "nowhere cannot be read: No such file or directory; `bley web-password"),
        (1, {"web_listen": "127.0.0.1:0", "web_tls_cert": "nowhere"}, "web_tls_cert: {folder}/nowhere cannot be read"),
        (
            2,
            {"web_listen": "127.0.0.1:0", "web_tls_cert": "bley.conf"},
            "web_tls_cert: {folder}/bley.conf cannot be used: it must hold a certificate and its key, in PEM form",
        ),
    ],
)
def test_settings_that_would_give_access_to_all_prevent_the_start(
    tmp_path: Path, workers: int, settings: dict[str, str], fault: str
) -> None:
    told = Bley(tmp_path, workers=workers, **settings).run("serve", status=2)
    assert fault.format(folder=tmp_path) in told
    assert "Traceback" not in told


# -- TLS ------------------------------------------------------------------------------------------


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Create a self-signed certificate for bley.example.org, and its key."""
    require("openssl", "openssl", as_root=False)
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    names = ("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:bley.example.org,IP:127.0.0.1")
    files = ("-out", certificate, "-keyout", key)
    subprocess.run(["openssl", "req", "-x509", *kind, *names, *files], check=True, capture_output=True)
    return certificate, key


def shown_by(port: int, certificate: Path) -> bool:
    """Return whether bley serves this certificate."""
    try:
        return ask(port, context=ssl.create_default_context(cafile=certificate), headers=basic(PASSWORD)).status == 200
    except ssl.SSLCertVerificationError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_tls_with_a_certificate_that_a_reload_replaces(tmp_path: Path, workers: int) -> None:
    make_password(tmp_path / "web")
    certificate, key = make_certificate(tmp_path, "first")
    other, other_key = make_certificate(tmp_path, "second")
    tls = {"web_tls_cert": "first.pem", "web_tls_key": "first.key"}
    with Bley(tmp_path, workers=workers, web_listen="0.0.0.0:0", web_password_file="web", **tls) as bley:
        port = port_of(bley)
        assert "metrics at https://" in bley.log()
        assert "sent over the network" not in bley.log()
        assert shown_by(port, certificate)
        assert not shown_by(port, other)
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            ask(port)
        bley.write_settings(web_listen=f"0.0.0.0:{port}")
        bley.run("lists")

        other.replace(certificate)
        bley.reload()
        assert "cannot be used: the key belongs to another certificate: the old one stays" in bley.log()
        assert "not reloaded: the old settings stay" in bley.log()
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(port, context=ssl.create_default_context(cafile=certificate))
        other_key.replace(key)
        bley.reload()
        assert shown_by(port, certificate)
        assert "Traceback" not in bley.log()


# -- A reverse proxy ------------------------------------------------------------------------------

PROXY = "127.0.0.9"


class _Forwarding(BaseHTTPRequestHandler):
    """A proxy that checks the password itself, and forwards requests with their Host header."""

    bley_port = 0

    def do_GET(self) -> None:
        if self.headers["Authorization"] != basic(PASSWORD)["Authorization"]:
            self.send_error(401)
            return
        forwarded = {"Host": self.headers["Host"], "X-Forwarded-For": self.client_address[0]}
        self.send_response(ask(self.bley_port, self.path, source=PROXY, headers=forwarded).status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def proxy() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Forwarding) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(WAIT_SECONDS)


@pytest.mark.parametrize("workers", [1, 2])
def test_only_the_reverse_proxy_is_answered(tmp_path: Path, proxy: ThreadingHTTPServer, workers: int) -> None:
    settings = {"web_listen": "0.0.0.0:0", "web_proxy": PROXY, "web_hosts": "bley.example.org"}
    with Bley(tmp_path, workers=workers, **settings) as bley:
        _Forwarding.bley_port = port = port_of(bley)
        assert "sent over the network" not in bley.log()
        by_name = {"Host": "bley.example.org"}
        assert ask(proxy.server_port, headers=by_name).status == 401
        assert ask(proxy.server_port, headers=by_name | basic(PASSWORD)).status == 200
        assert ask(proxy.server_port, headers=basic(PASSWORD) | {"Host": "evil.example"}).status == 403

        assert ask(port, "/", headers=by_name).status == 403
        assert ask(port, "/", source=PROXY, headers=by_name).status in (200, 404)
        assert ask(port, source=own_address(), headers={"X-Forwarded-For": PROXY}).status == 403
        bley.write_settings(web_listen=f"0.0.0.0:{port}")
        bley.run("lists")


# -- bley web-password ----------------------------------------------------------------------------


def test_the_hash_is_written_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "web"
    assert f"web_password_file = {file}" in make_password(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"scrypt:ln=15,r=8,p=1:[\w+/=]+:[\w+/=]+\n", file.read_text())


def test_it_can_be_printed(tmp_path: Path) -> None:
    assert make_password(Path("-")).startswith("scrypt:ln=15,r=8,p=1:")


def test_a_short_password_and_a_missing_folder_are_errors(tmp_path: Path) -> None:
    assert "at least 8 characters" in make_password(tmp_path / "web", "short", status=1)
    assert "at least 8 characters" in make_password(tmp_path / "web", "", status=1)
    assert "cannot be written: No such file" in make_password(tmp_path / "nowhere" / "web", status=1)
    assert not list(tmp_path.iterdir())


def test_a_terminal_prompts_twice_and_does_not_show_it(tmp_path: Path) -> None:
    file = tmp_path / "web"
    master, slave = pty.openpty()
    # In a session of its own the command has no other terminal.
    command = subprocess.Popen(
        [*BLEY, "web-password", file], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    shown = b""
    for prompt in (b"Password: ", b"Repeat the password: "):
        while not shown.endswith(prompt):
            shown += os.read(master, 1024)
        os.write(master, f"{PASSWORD}\n".encode())
    assert command.wait(WAIT_SECONDS) == 0
    shown += os.read(master, 4096)
    os.close(master)
    assert PASSWORD.encode() not in shown
    assert file.read_text().startswith("scrypt:")
