"""Queries to DNS lists, their number, and the use of their texts: real daemon, real DNS server."""

import http.client
import re
import socket
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from bley.core.dnslists.lists import query_name
from bley.core.mail import Request
from bley.core.wire import encode_request
from tests.dns_server import SILENT, Delay, DnsServer, Entry, Zone
from tests.integration.database_server import wait_until
from tests.integration.running_bley import WAIT_SECONDS, Bley, request_options
from tests.integration.test_dns_failures import Strangers

LISTED: Entry = {"A": ["127.0.0.2"]}
V4, V6 = "192.0.2.1", "2001:db8::1"


def name_of(address: str, zone: str) -> str:
    """Return the query name of this client: reversed octets or nibbles before the zone (RFC 5782 2.1, 2.4)."""
    return query_name(ip_address(address), zone)


def entries(zone: str, *addresses: str, **records: list[str]) -> dict[str, Entry]:
    """Return the entries of a healthy list with these addresses."""
    listings = {name_of(address, zone): {"A": ["127.0.0.2"], **records} for address in addresses}
    return {name_of("127.0.0.2", zone): LISTED, **listings}


def on(dns: DnsServer, **settings: object) -> dict[str, str]:
    """Return settings with this server."""
    texts = {key: str(value) for key, value in settings.items()}
    return {"resolver": dns.address, "check_timeout": "5s", "web_listen": "127.0.0.1:0"} | texts


def fetch(bley: Bley, path: str, host: str | None = None) -> tuple[int, str]:
    """Return status and text of a page at web_listen, requested under the name `host`."""
    place = bley.wait_log(r"metrics at http://([^/]+)/")[1]
    peer = http.client.HTTPConnection(place, timeout=WAIT_SECONDS)
    peer.request("GET", path, headers={"Host": place if host is None else host})
    response = peer.getresponse()
    text = response.read().decode()
    peer.close()
    return response.status, text


def at_web_place(bley: Bley) -> None:
    """Write the port that web_listen got into the settings, for `bley lists`."""
    bley.write_settings(web_listen=bley.wait_log(r"metrics at http://([^/]+)/")[1])


# -- Which list is asked, and how often -----------------------------------------------------------


def test_a_list_that_is_known_to_be_dead_is_named_at_start_and_never_asked(tmp_path: Path) -> None:
    zone: Zone = {"*.ahbl.org": LISTED, **entries("good.example", V4)}
    with DnsServer(zone) as dns, Bley(tmp_path, **on(dns, dnsbls="dnsbl.ahbl.org good.example")) as bley:
        assert Strangers(bley).mail("192.0.2.9") == "pass clean"
        assert Strangers(bley).mail(V4) == "defer dnsbl"
        said = re.findall(rf"{bley.file}:\d+: (dnsbls: .*)", bley.log())
        bley.reload()
    assert not [name for name, _ in dns.questions if name.endswith("ahbl.org")]
    (warning,) = said
    assert warning.startswith("dnsbls: dnsbl.ahbl.org has been dead since 2015-01-01: it lists every address since")
    assert warning.endswith("; it is not queried: use zen.spamhaus.org instead")
    assert "set aside" not in bley.log()


V6_TEST = "::ffff:7f00:2"


@pytest.mark.parametrize(
    ("zone", "addresses", "served"),
    [
        ("bl.example", [V4, V6, V6_TEST], [V4, V6]),
        ("bl.example", [V4, V6], [V4]),  # no test entry tells that it has IPv6
        ("bl.spameatingmonkey.net", [V4, V6, V6_TEST], [V4]),  # known to have none
        ("bl.ipv6.spameatingmonkey.net", [V4, V6, V6_TEST], [V6]),
    ],
    ids=["both", "without IPv6 entries", "known as IPv4 only", "known as IPv6 only"],
)
def test_a_list_is_asked_about_the_addresses_that_it_has(
    tmp_path: Path, zone: str, addresses: list[str], served: list[str]
) -> None:
    with DnsServer(entries(zone, *addresses)) as dns, Bley(tmp_path, **on(dns, dnsbls=zone)) as bley:
        strangers = Strangers(bley)
        strangers.mail("192.0.2.200")  # answered when the list is tested
        became = {address: strangers.mail(address) for address in (V4, V6)}
        assert became == {address: "defer dnsbl" if address in served else "pass clean" for address in (V4, V6)}
        asked = [address for address in (V4, V6) if (name_of(address, zone), "A") in dns.questions]
        assert asked == served
        assert "set aside" not in bley.log()


def test_the_ipv6_half_of_a_list_may_be_ill_alone(tmp_path: Path) -> None:
    zone = entries("bl.example", V4, V6, V6_TEST, "::ffff:7f00:1")
    with DnsServer(zone) as dns, Bley(tmp_path, **on(dns, dnsbls="bl.example")) as bley:
        bley.wait_log("bl.example for IPv6 clients is set aside: it lists ::ffff:7f00:1")
        assert Strangers(bley).mail(V4) == "defer dnsbl"
        assert Strangers(bley).mail(V6) == "pass clean"
        at_web_place(bley)
        assert "well, for IPv6 ill" in bley.run("lists", status=1)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [("127.0.0.1", "pass trusted"), ("127.0.0.2", "defer dnsbl"), ("127.0.0.3", "pass clean")],
    ids=["white", "black", "yellow"],
)
def test_all_entries_of_a_zone_in_both_settings_cost_one_question(tmp_path: Path, code: str, verdict: str) -> None:
    zone = "hostkarma.junkemailfilter.com"
    settings = {
        "dnsbls": f"{zone}=127.0.0.2*2 {zone}=127.0.0.4 {zone}=127.0.0.[5..9]*-1",
        "dnswls": f"{zone}=127.0.0.1 {zone}=127.0.0.5",
    }
    with DnsServer({name_of(V4, zone): {"A": [code]}}) as dns, Bley(tmp_path, **on(dns, **settings)) as bley:
        assert Strangers(bley).mail(V4) == verdict
        assert dns.questions.count((name_of(V4, zone), "A")) == 1


def test_a_list_in_both_settings_answers_once(tmp_path: Path) -> None:
    settings = {"dnsbls": "bl.example=127.0.0.2", "dnswls": "bl.example=127.0.0.5"}
    with DnsServer(entries("bl.example", V4)) as dns, Bley(tmp_path, **on(dns, **settings)) as bley:
        assert Strangers(bley).mail(V4) == "defer dnsbl"
        assert 'bley_list_answers_total{answer="listed",list="bl.example"} 1.0\n' in fetch(bley, "/metrics")[1]


MOST_PACKETS = 7
"""Packets of one query without an answer: 6 tries of c-ares, and one of dnspython."""


def test_twenty_requests_about_one_client_at_the_same_time_are_one_query(tmp_path: Path) -> None:
    """It is repeated until its answer comes, when all 20 wait for it.

    The list itself shares the query. What the resolver shares is in tests/unit/dns/test_resolver.py.
    """
    name = name_of(V4, "bl.example")
    zone = {**entries("bl.example"), name: SILENT}
    with DnsServer(zone) as dns, Bley(tmp_path, **on(dns, dnsbls="bl.example", check_timeout="50s")) as bley:
        peers = [socket.create_connection(("127.0.0.1", bley.port), WAIT_SECONDS) for _ in range(20)]
        for number, peer in enumerate(peers):
            peer.sendall(encode_request(Request(client_address=V4, recipient=f"x{number}@example.org")))
        wait_until(lambda: running_tasks(bley) >= 20, "all are asked")
        wait_for_question(dns, name, "A")
        dns.update(name, LISTED)
        for peer in peers:
            assert peer.recv(4096).startswith(b"action=DEFER_IF_PERMIT")
            peer.close()
    assert dns.questions.count((name, "A")) <= MOST_PACKETS
    assert len(bley.decisions()) == 20


def running_tasks(bley: Bley) -> int:
    found = re.search(r'^bley_running{what="tasks"} (\d+)', fetch(bley, "/metrics")[1], re.MULTILINE)
    assert found
    return int(found[1])


# -- The list's own words -------------------------------------------------------------------------


def test_the_words_of_a_list_are_asked_for_deferred_mail_only(tmp_path: Path) -> None:
    clients = {"deferred": "192.0.2.1", "trusted": "192.0.2.2", "bad HELO": "192.0.2.3", "clean": "192.0.2.4"}
    blocked = entries("bl.example", clients["deferred"], clients["trusted"], TXT=["see http://bl.example/"])
    allowed = entries("wl.example", clients["trusted"], TXT=["a good one"])
    with (
        DnsServer({**blocked, **allowed}) as dns,
        Bley(tmp_path, **on(dns, dnsbls="bl.example", dnswls="wl.example")) as bley,
    ):
        strangers = Strangers(bley)
        assert strangers.mail(clients["trusted"]) == "pass trusted"
        assert strangers.mail(clients["clean"]) == "pass clean"
        assert strangers.mail(clients["bad HELO"], helo="friend") == "defer helo"
        assert strangers.mail(clients["deferred"]) == "defer dnsbl"
        bley.wait_log(r"listed_by=bl.example, client_address=192.0.2.1, list_says=see http://bl.example/\n")
        assert [name for name, rrtype in dns.questions if rrtype == "TXT"] == [name_of("192.0.2.1", "bl.example")]
    assert bley.log().count("listed_by=") == 1


def test_a_deferral_does_not_wait_for_the_words(tmp_path: Path) -> None:
    name = name_of(V4, "bl.example")
    zone = {**entries("bl.example"), name: Delay(0.2, {"A": ["127.0.0.2"], "TXT": ["too late"]})}
    with DnsServer(zone) as dns, Bley(tmp_path, **on(dns, dnsbls="bl.example", check_timeout="50s")) as bley:
        with socket.create_connection(("127.0.0.1", bley.port), WAIT_SECONDS) as peer:
            peer.sendall(encode_request(Request(client_address=V4, recipient="b@example.org")))
            wait_for_question(dns, name, "A")
            dns.silence()  # TXT gets no answer any more; what A gets has been decided
            assert peer.recv(4096).startswith(b"action=DEFER_IF_PERMIT")
        wait_for_question(dns, name, "TXT")
    assert "listed_by" not in bley.log()


def wait_for_question(dns: DnsServer, name: str, rrtype: str) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while (name, rrtype) not in dns.questions:
        assert time.monotonic() < end
        time.sleep(0.01)


EVIL = "evil\r\n2026-11-24 bley: action=pass, \x1b[31mred\\ \u2028"


@pytest.mark.parametrize(
    ("log_format", "shown"),
    [
        ("text", r"list_says=evil\x0d\x0a2026-11-24 bley: action=pass, \x1b[31mred\x5c \u2028" + "\n"),
        ("json", r'"list_says": "evil\r\n2026-11-24 bley: action=pass, \u001b[31mred\\ \u2028"}' + "\n"),
    ],
)
def test_the_words_of_a_list_can_neither_forge_a_line_nor_command_a_terminal(
    tmp_path: Path, log_format: str, shown: str
) -> None:
    with (
        DnsServer(entries("bl.example", V4, TXT=[EVIL])) as dns,
        Bley(tmp_path, **on(dns, dnsbls="bl.example", log_format=log_format)) as bley,
    ):
        peer = socket.create_connection(("127.0.0.1", bley.port), WAIT_SECONDS)
        with peer:
            peer.sendall(encode_request(Request(client_address=V4, recipient="b@example.org")))
            assert peer.recv(4096).startswith(b"action=DEFER_IF_PERMIT")
        bley.wait_log("list_says.*\n")
        assert shown in bley.log()
        explained = bley.run("explain", *request_options(client_address=V4, recipient="c@example.org"))
        assert r"it says: evil\x0d\x0a2026-11-24" in explained
