"""Relations to earlier mail, on real servers: one node learns them, and another one lets mail pass by them."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from bley.ports import utc_now
from tests.dns_server import DnsServer, Zone
from tests.integration.database_server import wait_until
from tests.integration.running_bley import Bley, request_options
from tests.integration.stores import Servers

ZONE: Zone = {"pool.example": {"TXT": ["v=spf1 ip4:203.0.113.0/24 ip4:198.51.100.0/24 -all"]}}
ORIGIN = {"client_address": "203.0.113.7", "client_name": "mx.example.net", "helo_name": "friend"}
"""A server with a verified name, that is deferred for its HELO."""
DEFERRED, PASSED = "action=DEFER_IF_PERMIT greylisted, try again later", "action=DUNNO"


def _mail(number: int, domain: str, **changes: str) -> dict[str, str]:
    return {**ORIGIN, "sender": f"a{number}@{domain}", "recipient": f"b{number}@example.org", **changes}


class Nodes:
    """Two nodes on one database, of which the first one learns."""

    def __init__(self, folder: Path, url: str, dns: DnsServer) -> None:
        settings = {"database": url, "resolver": dns.address, "use_spf": "1", "auto_known": "1"}
        for name in ("one", "two"):
            folder.joinpath(name).mkdir()
        self.one, self.two = (Bley(folder / name, **settings) for name in ("one", "two"))

    def wait_for(self, status: str) -> None:
        """Wait until the store has a relation of this kind."""
        wait_until(lambda: f'"status": "{status}"' in self.two.run("export"), f"{status} is written")

    def age(self, folder: Path) -> None:
        """Let the pairs have begun two days before."""
        file = folder / "records"
        exported = self.one.run("export")
        earlier = (utc_now() - timedelta(days=2)).isoformat()
        file.write_text(re.sub(r'"first_seen": "[^"]*"', f'"first_seen": "{earlier}"', exported))
        self.one.run("import", file)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mariadb", "redis"])
def test_one_node_learns_and_another_lets_mail_pass(servers: Servers, tmp_path: Path, engine: str) -> None:
    url = f"sqlite:///{tmp_path}/bley.db" if engine == "sqlite" else servers.new_url(engine)
    with DnsServer(ZONE) as dns:
        nodes = Nodes(tmp_path, url, dns)
        with nodes.one as one, nodes.two as two:
            _correspondent(nodes)
            assert one.ask(**_mail(1, "example.com")) == DEFERRED
            pool = _mail(2, "pool.example", client_name="unknown")
            assert one.ask(**pool) == DEFERRED
            one.end_waits()
            assert one.ask(**_mail(1, "example.com")).startswith("action=PREPEND")
            nodes.wait_for("pair")
            _client(nodes)
            _pair(nodes, tmp_path)
            _pool(nodes, pool)
        why = two.run("why", "a3@other.example")  # after its stop, so that all decisions are stored
    assert "1 deferral of example.net came back" in why
    reasons = [decision["reason"] for decision in two.decisions()]
    assert [reason for reason in reasons if reason != "new"] == [
        "correspondent", "known-client", "known-pair", "known-by-spf"
    ]  # fmt: skip


def _correspondent(nodes: Nodes) -> None:
    """A user writes, and the answer passes at once; it does for no other user."""
    written = {"client_address": "192.0.2.9", "helo_name": "laptop", "sasl_username": "bob"}
    assert nodes.one.ask(**written, sender="b0@example.org", recipient="a0@example.edu") == PASSED
    nodes.wait_for("correspondent")
    answer = _mail(0, "example.edu", client_address="198.51.100.200", client_name="unknown")
    explained = nodes.two.run("explain", *request_options(**answer | {"sender": "A0+x@Example.edu"}))
    assert "<b0@example.org> wrote to <a0@example.edu>, last on " in explained
    assert nodes.two.ask(**answer) == PASSED
    assert nodes.two.ask(**answer | {"recipient": "c@example.org"}) == DEFERRED


def _client(nodes: Nodes) -> None:
    """With `auto_known = 1`, one deferral that came back makes all mail of the origin pass."""
    nodes.wait_for("client")
    assert nodes.two.ask(**_mail(3, "other.example")) == PASSED


def _pair(nodes: Nodes, folder: Path) -> None:
    """Another host of the origin passes with mail of the domain, on another day."""
    nodes.age(folder)
    other_host = _mail(4, "example.com", client_address="198.51.100.4", client_name="mx2.example.net")
    assert nodes.two.ask(**other_host) == PASSED
    explained = nodes.two.run("explain", *request_options(**other_host | {"recipient": "d@example.org"}))
    assert "mail of example.com came from example.net and passed, first on " in explained


def _pool(nodes: Nodes, pool: dict[str, str]) -> None:
    """Mail that waited passes from another client that SPF permits as well."""
    nodes.two.end_waits()
    assert nodes.two.ask(**pool | {"client_address": "198.51.100.77"}) == PASSED
