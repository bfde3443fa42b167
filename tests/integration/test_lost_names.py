"""A real Postfix whose resolver dies and comes back, while a known sender, a retry and a stranger come.

Postfix looks up its clients itself: in its chroot it has a resolver of its own, which bley shares or does not.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.dns_server import DnsServer, Zone
from tests.integration.postfix import Postfix
from tests.integration.running_bley import Bley
from tests.integration.servers import Reply, SmtpSession, reachable_folder

_RESOLVER = ("127.53.0.1", 53)
"""The port that the C library knows, at an address of the loopback where no resolver of the machine listens."""

_HOSTS = {20: "mx.known.example", 21: "mx.retries.example", 22: "mx.stranger.example"}
_NO_NAME = 23

_ZONE: Zone = {
    **{f"{number}.0.0.127.in-addr.arpa": {"PTR": [name]} for number, name in _HOSTS.items()},
    **{name: {"A": [f"127.0.0.{number}"]} for number, name in _HOSTS.items()},
}


class _MortalResolver:
    """The resolver of Postfix. A dead one refuses at once, so that no test depends on a time-out."""

    def __init__(self, stack: ExitStack) -> None:
        self._server = DnsServer(_ZONE, ttl=0, at=_RESOLVER)
        self._life = stack.enter_context(ExitStack())
        self.address = f"{_RESOLVER[0]}:{_RESOLVER[1]}"

    def live(self) -> None:
        self._life.enter_context(self._server)

    def die(self) -> None:
        self._life.close()


@pytest.fixture
def resolver() -> Iterator[_MortalResolver]:
    with ExitStack() as stack:
        resolver = _MortalResolver(stack)
        try:
            resolver.live()
        except PermissionError:
            pytest.skip("only root can listen at port 53")
        yield resolver


class _World:
    """Postfix and bley, which are started together."""

    def __init__(self, stack: ExitStack, resolver: str) -> None:
        settings = {
            "resolver": resolver,
            "trusted_networks": "",
            "dnsbls": "",
            "dnswls": "",
            "use_spf": "0",
            "check_names": "1",
            "cache_valid": "0",
            "check_timeout": "2s",
            "greylist_period": "1s",
            "greylist_penalty": "0",
            "ipv4_prefix": "32",
        }
        self.sessions = 0
        folder = stack.enter_context(reachable_folder())
        self.bley = stack.enter_context(Bley(folder, **settings))
        main_cf = {"smtpd_peername_lookup": "yes"}
        self.postfix = Postfix(f"inet:127.0.0.1:{self.bley.port}", main_cf=main_cf, has_chroot=True)
        stack.enter_context(self.postfix)
        etc = self.postfix.queue / "etc"
        etc.mkdir()
        (etc / "resolv.conf").write_text(f"nameserver {_RESOLVER[0]}\noptions timeout:30 attempts:1\n")
        (etc / "nsswitch.conf").write_text("hosts: dns\n")

    def send(self, number: int, helo: str) -> Reply:
        """Return the reply to RCPT TO of a session of the host 127.0.0.NUMBER."""
        self.sessions += 1
        connection = socket.create_connection(("127.0.0.1", self.postfix.port), source_address=(f"127.0.0.{number}", 0))
        with SmtpSession(connection) as smtp:
            smtp.expect(250, f"EHLO {helo}")
            smtp.mail("a@sender.example")
            return smtp.rcpt("b@example.org")

    def decision(self) -> dict[str, str]:
        """Return the fields of the log line about the last session."""
        return self.bley.decisions(self.sessions)[-1]


def _reason_and_name(decision: dict[str, str]) -> tuple[str, str]:
    return decision["reason"], decision["client_name"]


def _wait_until_silent(world: _World) -> None:
    """Clients of which bley knows nothing make it notice that no DNS server answers."""
    for number in range(100, 105):
        world.send(number, f"mx{number}.other.example")
    world.bley.wait_log("DNS: no answer")


def test_its_resolver_dies_and_comes_back(resolver: _MortalResolver) -> None:
    """While no name can be found, the known stay known, a retry has waited, and no name is no evidence."""
    with ExitStack() as stack:
        world = _World(stack, resolver.address)
        assert world.send(20, _HOSTS[20]).code == 250
        assert _reason_and_name(world.decision()) == ("clean", _HOSTS[20])
        assert world.send(21, "friend").code == 450
        assert world.send(_NO_NAME, "friend").code == 450
        assert _reason_and_name(world.decision()) == ("new", "unknown")

        resolver.die()
        _wait_until_silent(world)
        assert world.send(20, _HOSTS[20]).code == 250
        assert _reason_and_name(world.decision()) == ("known", "unknown")
        assert world.send(21, "friend").code == 250
        assert _reason_and_name(world.decision()) == ("waited", "unknown")
        assert world.send(22, "friend").code == 250
        assert _reason_and_name(world.decision()) == ("clean", "unknown")
        assert world.decision()["helo"] == "?"

        resolver.live()
        world.bley.wait_log("DNS: answers again")
        for number, helo in ((20, _HOSTS[20]), (21, "friend"), (22, "friend")):
            assert world.send(number, helo).code == 250
            assert _reason_and_name(world.decision()) == ("known", _HOSTS[number])


def test_only_its_own_resolver_dies(resolver: _MortalResolver) -> None:
    """bley finds the names that Postfix could not find, and judges by them."""
    with ExitStack() as stack:
        own = stack.enter_context(DnsServer(_ZONE, ttl=0))
        world = _World(stack, own.address)
        assert world.send(21, "friend").code == 450
        resolver.die()
        assert world.send(22, _HOSTS[22]).code == 250
        assert _reason_and_name(world.decision()) == ("clean", "unknown")
        assert world.send(_NO_NAME, "friend").code == 450
        time.sleep(1)
        assert world.send(21, "friend").code == 250
        assert _reason_and_name(world.decision()) == ("waited", "unknown")
        resolver.live()
        assert world.send(22, _HOSTS[22]).code == 250
        assert _reason_and_name(world.decision()) == ("known", _HOSTS[22])
