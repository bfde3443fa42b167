"""Names `dyn:` in the list of clients, in a running bley with a DNS server."""

import asyncio
import re
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from bley.checks.followed_names import FollowedNames
from bley.core.exemptions import followed_name
from bley.core.exemptions.list_files import read_clients
from bley.core.mail import Request
from bley.dns.uncached import DnspythonResolver
from tests.dns_server import Delay, DnsServer, Rcode, Zone
from tests.integration.daemon.test_daemon import exchange
from tests.integration.running_bley import Bley, request_options
from tests.integration.test_workers import DUNNO, answering, wait_until

HOME = Request(
    protocol_state="RCPT",
    client_address="198.51.100.7",
    client_name="unknown",
    helo_name="nas",
    sender="jane@example.org",
    recipient="b@example.org",
)
ZONE: Zone = {
    "home.example.org": {"CNAME": ["jane.dyn.example"]},
    "jane.dyn.example": {"A": ["198.51.100.7"], "AAAA": ["2001:db8::7"]},
    "office.example.org": {"A": ["203.0.113.7"]},
}


def _asked(request: Request) -> dict[str, str]:
    return {name: value for name, value in request._asdict().items() if value and name.startswith(("client", "helo"))}


def _is_exempt(bley: Bley, address: str) -> bool:
    return exchange(bley.port, HOME._replace(client_address=address)) == DUNNO


def test_the_clients_of_a_name_are_exempt_and_a_reload_changes_the_names(tmp_path: Path) -> None:
    """The entry stands in the log; IPv6 counts too, and so does a client with a name of its provider."""
    clients = tmp_path / "whitelist_clients"
    clients.write_text("# at home\ndyn:Home.example.org  # Jane\n")
    with DnsServer(ZONE) as dns, Bley(tmp_path, resolver=dns.address) as bley:
        bley.wait_log(f"{clients}:2:dyn:Home.example.org: exempts 198.51.100.7, 2001:db8::7\n")
        assert _is_exempt(bley, "198.51.100.7")
        assert _is_exempt(bley, "2001:db8::7")
        assert exchange(bley.port, HOME._replace(client_name="dsl-7.provider.example")) == DUNNO
        assert not _is_exempt(bley, "203.0.113.7")
        bley.wait_log(f"reason=exempt-client, .*{clients}:2:dyn:Home.example.org")
        dns.update("jane.dyn.example", {"A": ["198.51.100.9"]})
        clients.write_text("dyn:home.example.org\ndyn:office.example.org\n")
        bley.reload()
        bley.wait_log(f"{clients}:2:dyn:office.example.org: exempts 203.0.113.7\n")
        bley.wait_log(f"{clients}:1:dyn:home.example.org: exempts 198.51.100.9, .*and no longer 198.51.100.7")
        assert _is_exempt(bley, "198.51.100.9")
        assert _is_exempt(bley, "203.0.113.7")
        clients.write_text("dyn:office.example.org\n")
        bley.reload()
        assert not _is_exempt(bley, "198.51.100.9")
        assert _is_exempt(bley, "203.0.113.7")


def test_the_addresses_stay_exempt_while_the_dns_is_down(tmp_path: Path) -> None:
    """A start without DNS does not wait for it; its mail is judged as usual."""
    tmp_path.joinpath("whitelist_clients").write_text("dyn:home.example.org\n")
    dns = DnsServer(ZONE)
    with dns:
        pass  # it has a port, at which nothing listens
    with Bley(tmp_path, resolver=dns.address, check_timeout="1s") as bley:
        assert not _is_exempt(bley, "198.51.100.7")
        bley.wait_log("dyn:home.example.org: does not resolve .*: exempts no client")
        with dns:
            bley.reload()
            bley.wait_log("dyn:home.example.org: resolves again: exempts 198.51.100.7, 2001:db8::7")
            assert _is_exempt(bley, "198.51.100.7")

        def is_warned() -> bool:
            """The first failure of a name is no news."""
            bley.reload()
            return "exempts 198.51.100.7, 2001:db8::7, until 24 hours after the last answer" in bley.log()

        wait_until(is_warned, "the name has failed twice")
        assert _is_exempt(bley, "198.51.100.7")


def test_each_worker_follows_the_names_and_one_of_them_logs(tmp_path: Path) -> None:
    tmp_path.joinpath("whitelist_clients").write_text("dyn:home.example.org\n")
    with DnsServer(ZONE) as dns, Bley(tmp_path, resolver=dns.address, workers=2) as bley:

        def is_exempt_everywhere() -> bool:
            asked = [exchange(bley.port, HOME._replace(client_address="2001:db8::7")) for _ in range(8)]
            return asked == 8 * [DUNNO] and len(answering(bley)) == 2

        wait_until(is_exempt_everywhere, "both workers exempt it")
        dns.update("jane.dyn.example", {"A": ["198.51.100.9"]})
        bley.reload()
        wait_until(lambda: all(_is_exempt(bley, "198.51.100.9") for _ in range(16)), "both know the new address")
        assert len(re.findall("exempts 198.51.100.7, 2001:db8::7\n", bley.log())) == 1


def test_the_commands_name_an_entry_that_does_not_resolve(tmp_path: Path) -> None:
    """With a warning: bley would serve."""
    clients = tmp_path / "whitelist_clients"
    clients.write_text("dyn:home.example.org\ndyn:hmoe.example.org\ndyn:slow.example.org\n")
    zone = {**ZONE, "slow.example.org": Rcode("SERVFAIL")}
    with DnsServer(zone) as dns:
        bley = Bley(tmp_path, resolver=dns.address)
        checked = bley.run("check-config")
        assert f"warning: {clients}:2:dyn:hmoe.example.org: does not resolve: it has no address\n" in checked
        assert f"warning: {clients}:3:dyn:slow.example.org: does not resolve: A: SERVFAIL\n" in checked
        assert "dyn:home" not in checked
        assert f"{clients}:2:dyn:hmoe" in bley.run("doctor", status=2)
        exempt = bley.run("explain", *request_options(**_asked(HOME), sender="a@b.example", recipient="c@d.example"))
        assert f"exempt-client ({clients}:1:dyn:home.example.org)" in exempt
        other = _asked(HOME._replace(client_address="192.0.2.1"))
        judged = bley.run("explain", *request_options(**other, sender="a@b.example", recipient="c@d.example"))
        assert f"no; {clients}:2:dyn:hmoe.example.org: does not resolve: it has no address; 1 more like this" in judged


def test_of_many_names_that_do_not_resolve_ten_are_shown(tmp_path: Path) -> None:
    names = "".join(f"dyn:h{number}.example.org\n" for number in range(12))
    with DnsServer(ZONE) as dns:
        bley = Bley(tmp_path, {"whitelist_clients": names}, resolver=dns.address)
        checked = bley.run("check-config")
    assert checked.count("does not resolve: it has no address") == 10
    assert "warning: 2 more names dyn: do not resolve\n" in checked


async def test_a_changed_address_is_followed_by_the_ttl(monkeypatch: pytest.MonkeyPatch) -> None:
    """And kept while the server is silent, and while it answers late."""
    monkeypatch.setattr(followed_name, "_LEAST_SECONDS", 0.05)
    clients = read_clients([("clients", "dyn:home.example.org")])

    async def until(*exempt: str) -> None:
        async with asyncio.timeout(60):
            wanted = {(address.version, int(address)) for address in map(ip_address, exempt)}
            while clients.resolved.keys() != wanted:  # noqa: ASYNC110 (there is no event)
                await asyncio.sleep(0.01)

    followed = FollowedNames()
    with DnsServer(ZONE, ttl=0) as dns:
        followed.switch(clients, DnspythonResolver([dns.address], timedelta(seconds=5)))
        await until("198.51.100.7", "2001:db8::7")
        dns.update("jane.dyn.example", {"A": ["198.51.100.8"], "AAAA": ["2001:db8::8"]})
        await until("198.51.100.8", "2001:db8::8")
        dns.update("jane.dyn.example", Delay(0.2, {"A": ["198.51.100.9"]}))
        await until("198.51.100.9")
        dns.update("jane.dyn.example", Rcode("SERVFAIL"))
        dns.forget_questions()
        async with asyncio.timeout(60):
            while len(dns.questions) < 6:  # noqa: ASYNC110 (the server is in a thread)
                await asyncio.sleep(0.01)
        await until("198.51.100.9")
        dns.update("jane.dyn.example", {})
        await until()
    await followed.close()
