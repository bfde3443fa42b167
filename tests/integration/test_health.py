"""`/healthz` and `/readyz` of a running bley of one worker and of two, while store, DNS or workers fail."""

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.free_ports import free_port
from tests.integration.daemon.test_daemon import BAD, DEFERRED, exchange
from tests.integration.running_bley import WAIT_SECONDS, Bley
from tests.integration.test_lists import fetch
from tests.integration.test_workers import wait_until, workers

OK = (200, "ok\n")
NOBODY = (503, "no worker answers\n")
NO_STORE = (503, "store: unavailable; on_store_error decides how requests are answered\n")
NO_DNS = (503, "dns: gives no usable answer; checks that need it count 0\n")

both = pytest.mark.parametrize("number_of_workers", [1, 2])


@pytest.fixture
def bley(tmp_path: Path) -> Iterator[Bley]:
    """Start bley with two workers."""
    with Bley(tmp_path, workers=2, web_listen="127.0.0.1:0") as bley:
        yield bley


def seconds_of(bley: Bley, path: str) -> float:
    """Return how long this page takes to respond that all is well."""
    begun = time.monotonic()
    assert fetch(bley, path) == OK
    return time.monotonic() - begun


@both
def test_all_is_well(tmp_path: Path, number_of_workers: int) -> None:
    with Bley(tmp_path, workers=number_of_workers, web_listen="127.0.0.1:0") as bley:
        assert fetch(bley, "/healthz") == fetch(bley, "/readyz") == fetch(bley, "/readyz", "192.0.2.1:1338") == OK
        assert fetch(bley, "/metrics", "192.0.2.1:1338")[0] == 403


@both
def test_without_its_store_bley_is_alive_but_not_ready(tmp_path: Path, number_of_workers: int) -> None:
    """Mail passes meanwhile; bley is ready again when the store is back."""
    place = tmp_path / "store"
    settings = {"dbpath": place, "workers": number_of_workers, "web_listen": "127.0.0.1:0", "on_store_error": "pass"}
    with Bley(tmp_path, **settings) as bley:
        assert fetch(bley, "/readyz") == NO_STORE
        assert fetch(bley, "/healthz") == OK
        assert "bley_store_down 1.0" in fetch(bley, "/metrics")[1]
        assert exchange(bley.port, BAD) == b"action=DUNNO\n\n"
        place.mkdir()
        wait_until(lambda: fetch(bley, "/readyz") == OK, "it is not ready")
        assert exchange(bley.port, BAD._replace(sender="other@example.com")) == DEFERRED


@both
def test_without_dns_bley_is_alive_but_not_ready(tmp_path: Path, number_of_workers: int) -> None:
    """The first test of a list detects it, before any mail."""
    settings = {"workers": number_of_workers, "web_listen": "127.0.0.1:0", "dnsbls": "bl.example"}
    with Bley(tmp_path, resolver=f"127.0.0.1:{free_port()}", check_timeout="0.5s", **settings) as bley:
        wait_until(lambda: fetch(bley, "/readyz") == NO_DNS, "it is ready")
        assert fetch(bley, "/healthz") == OK


def test_one_worker_that_hangs_does_not_fail_liveness(bley: Bley) -> None:
    """/healthz does not wait for it."""
    first, second = workers(bley)
    os.kill(first, signal.SIGSTOP)
    waited = seconds_of(bley, "/readyz")
    assert min(seconds_of(bley, "/healthz") for _ in range(3)) < waited / 2
    os.kill(second, signal.SIGSTOP)
    assert fetch(bley, "/healthz") == fetch(bley, "/readyz") == NOBODY
    for pid in (first, second):
        os.kill(pid, signal.SIGCONT)
    assert fetch(bley, "/healthz") == fetch(bley, "/readyz") == OK


def test_a_worker_that_is_replaced_does_not_fail_liveness(bley: Bley) -> None:
    os.kill(workers(bley)[0], signal.SIGKILL)
    while not re.search(r"worker \d \(pid \d+\) is ready", bley.log()):
        assert fetch(bley, "/healthz") == OK


def test_supervisors_need_no_http_library(bley: Bley) -> None:
    """Small probes send HTTP/1.0 without a Host header."""
    place = bley.wait_log(r"metrics at http://([^/]+)/")[1]
    host, _, port = place.rpartition(":")
    with socket.create_connection((host, int(port)), WAIT_SECONDS) as peer:
        peer.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: peer.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nok\n")
