"""The programs of the benchmarks."""

import socket
import time
from pathlib import Path

import pytest
from bench.responders import bare_responder, cold_responder, dns_answers, gross
from bench.running import build, policy_load

from tests.integration.greylisters import ask_policy
from tests.integration.servers import require

QUESTION = (
    b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x018\x011\x012\x03240\x03one\x07example\x00\x00\x01\x00\x01"
)
TRIPLET = {"client_address": "192.0.2.1", "sender": "a@example.com", "recipient": "b@example.org"}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("cc", "build-essential", as_root=False)
    folder = tmp_path_factory.mktemp("programs")
    build(folder)
    return folder


def test_the_load_takes_as_long_as_its_rate_requires(programs: Path) -> None:
    """The first request is due at once."""
    with bare_responder() as bare:
        load = policy_load(programs, bare.port, n=51, r=100)
    assert load.requests == 51
    assert load.seconds >= 0.5


def test_the_load_is_spread_over_all_ports(programs: Path) -> None:
    with bare_responder() as one, cold_responder(programs) as other:
        load = policy_load(programs, one.port, other.port, n=100, c=2)
    assert set(load.actions) == {"DUNNO", "DEFER_IF_PERMIT"}


def test_the_cold_responder_defers_a_triplet_once(tmp_path: Path) -> None:
    with cold_responder(tmp_path) as cold:
        answers = [ask_policy(cold.port, **TRIPLET) for _ in range(2)]
    assert answers == ["action=DEFER_IF_PERMIT greylisted", "action=DUNNO"]


def test_answers_of_the_resolver_take_as_long_as_they_should(programs: Path) -> None:
    with (
        dns_answers(programs, milliseconds=50) as resolver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        address, _, port = resolver.partition(":")
        client.connect((address, int(port)))
        begun = time.monotonic()
        client.send(QUESTION)
        assert client.recv(512).endswith(bytes((127, 0, 0, 2)))
        assert time.monotonic() - begun >= 0.05


def test_gross_greylists_a_stranger() -> None:
    require("grossd", "gross")
    with gross() as (server,):
        assert ask_policy(server.port, **TRIPLET) == "action=defer_if_permit Please try again later"
