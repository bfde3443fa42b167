"""A resolver that alters answers is blamed, once, and no list: real daemon, real DNS server."""

import re
from pathlib import Path

import pytest

from tests.dns_server import DnsServer, Zone
from tests.integration.running_bley import Bley, request_options
from tests.integration.test_dns_failures import Strangers
from tests.integration.test_lists import LISTED, V4, at_web_place, entries, fetch, on

LISTS = {"dnsbls": "zen.spamhaus.org=127.0.0.[2..11], bl.spamcop.net", "dnswls": "list.dnswl.org"}
ZONES = ("zen.spamhaus.org", "bl.spamcop.net", "list.dnswl.org")

HEALTHY: Zone = {
    **entries("zen.spamhaus.org", V4, "::ffff:7f00:2"),
    **entries("bl.spamcop.net"),
    "2.0.0.127.list.dnswl.org": {"A": ["127.0.10.0"]},
}


def resolver_lines(bley: Bley) -> list[str]:
    """Return the log lines about the DNS."""
    return re.findall(r"DNS: .*", bley.log())


@pytest.mark.parametrize("address", ["203.0.113.99", "0.0.0.0", "127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("keeps_entries", [True, False], ids=["NXDOMAIN only", "every name"])
def test_resolver_that_rewrites_is_blamed_and_lists_nobody(tmp_path: Path, address: str, keeps_entries: bool) -> None:
    """With two workers too, once. After it is mended, the lists count again."""
    zone = {"*": {"A": [address]}, **(HEALTHY if keeps_entries else {})}
    with DnsServer(zone) as dns, Bley(tmp_path, **on(dns, **LISTS, workers=2, use_spf=0)) as bley:
        bley.wait_log("DNS: the resolver")
        strangers = Strangers(bley)
        assert strangers.comes() == strangers.mail(V4) == "pass clean"
        (line,) = resolver_lines(bley)
        assert line.startswith(f"DNS: the resolver {dns.address} answers {address} for names that do not exist; ")
        assert all(zone in line for zone in ZONES)
        assert "set aside" not in bley.log()
        explained = bley.run("explain", *request_options(client_address="192.0.2.7", recipient="c@example.org"))
        assert "zen.spamhaus.org not queried: since" in explained
        assert f"the resolver {dns.address} answers {address} for names that do not exist" in explained
        at_web_place(bley)
        assert "bley_dns_altered 1.0" in fetch(bley, "/metrics")[1]
        assert "the resolver alters the answers of DNS lists" in fetch(bley, "/")[1]
        assert bley.run("lists", status=1).count("for names that do not exist; use a resolver of your own") == 1
        dns.set_zone(HEALTHY)
        bley.reload()
        bley.wait_log("answers right again")
        assert Strangers(bley).mail("192.0.2.8") == "pass clean"
        assert len(resolver_lines(bley)) == 2
        assert "well again" not in bley.log()


def test_resolver_that_begins_to_rewrite_is_blamed_at_the_next_stranger(tmp_path: Path) -> None:
    with DnsServer(HEALTHY) as dns, Bley(tmp_path, **on(dns, **LISTS, use_spf=0)) as bley:
        assert Strangers(bley).mail(V4) == "defer dnsbl"
        dns.set_zone({"*": {"A": ["203.0.113.99"]}})
        assert Strangers(bley).mail("192.0.2.8") == "pass clean"
        bley.wait_log("DNS: the resolver")
        assert len(resolver_lines(bley)) == 1
        assert "parked" not in bley.log()


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (["0.0.0.0"], "it answers 0.0.0.0 for them"),
        (["127.0.0.1"], "it answers 127.0.0.1 for them"),
        ([], "it does not find their test entries"),
    ],
)
def test_resolver_that_filters_lists_is_blamed(tmp_path: Path, answer: list[str], what: str) -> None:
    zone = {name: entry for name, entry in HEALTHY.items() if name.endswith("list.dnswl.org")}
    zone |= {f"*.{name}": {"A": answer} for name in ZONES[:2] if answer}
    with DnsServer(zone) as dns, Bley(tmp_path, **on(dns, **LISTS)) as bley:
        bley.wait_log("DNS: the resolver")
        (line,) = resolver_lines(bley)
        assert line.startswith(f"DNS: the resolver {dns.address} filters DNS lists: {what}")
        assert "zen.spamhaus.org, bl.spamcop.net count 0" in line
        assert "list.dnswl.org" not in line
        explained = bley.run("explain", *request_options(client_address="192.0.2.7", recipient="c@example.org"))
        assert explained.count(f"the resolver {dns.address} filters DNS lists: {what}") == 2
        assert "list.dnswl.org does not list it" in explained
        assert "remove it" not in bley.log()


def test_one_parked_list_is_to_blame_itself(tmp_path: Path) -> None:
    zone = {**HEALTHY, "*.bl.example": {"A": ["203.0.113.99"]}}
    with DnsServer(zone) as dns, Bley(tmp_path, **on(dns, dnsbls="bl.example, zen.spamhaus.org")) as bley:
        bley.wait_log("bl.example is set aside: it answers 203.0.113.99, .* its domain is parked; remove it from")
        assert Strangers(bley).mail(V4) == "defer dnsbl"
        assert resolver_lines(bley) == []


def test_list_without_test_entries_lists_nobody_while_the_resolver_rewrites(tmp_path: Path) -> None:
    """Only a random name shows that its answers are invented."""
    lists = "hostkarma.junkemailfilter.com=127.0.0.2"
    with DnsServer({"*": LISTED}) as dns, Bley(tmp_path, **on(dns, dnsbls=lists, use_spf=0)) as bley:
        assert Strangers(bley).comes() == "pass clean"
        bley.wait_log("DNS: the resolver .* answers 127.0.0.2 for names that do not exist")
