"""`bley lists`, the page that it reads, and that neither shows a customer's key: real daemon, real DNS server."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bley.checks.lists.report import ListReport
from bley.commands.lists import print_lists
from tests.dns_server import SILENT, DnsServer, Entry, Rcode
from tests.fakes import ILL_LIST, WELL_LIST
from tests.free_ports import free_port
from tests.integration.database_server import wait_until
from tests.integration.running_bley import Bley, request_options
from tests.integration.test_dns_failures import Strangers
from tests.integration.test_lists import LISTED, V4, V6_TEST, at_web_place, entries, fetch, on

KEY = "aBcdefghij0123456789abcdeF"


# -- A customer's key -----------------------------------------------------------------------------


def shows_key(text: str) -> bool:
    return KEY.lower() in text.lower()


ILL_ANSWERS: Mapping[str, Entry] = {
    "zen.dq.spamhaus.net": {"A": ["127.255.255.250"]},
    "sbl.dq.spamhaus.net": {"A": ["203.0.113.9"]},
    "xbl.dq.spamhaus.net": Rcode("SERVFAIL"),
    "pbl.dq.spamhaus.net": SILENT,
}


def test_a_test_of_no_lists_says_so(tmp_path: Path) -> None:
    assert Bley(tmp_path, dnsbls="", dnswls="").run("lists", "--test") == "no DNS lists are configured\n"


@pytest.mark.parametrize("is_well", [True, False], ids=["well", "ill"])
def test_a_key_is_shown_nowhere(tmp_path: Path, is_well: bool) -> None:
    zones = ["zen.dq.spamhaus.net"] if is_well else list(ILL_ANSWERS)
    world = {f"*.{KEY.lower()}.{zone}": answer for zone, answer in ILL_ANSWERS.items()}
    if is_well:
        world = entries(f"{KEY.lower()}.{zones[0]}", V4, V6_TEST, TXT=["words"])
    setting = ", ".join(f"{KEY}.{zone}=127.0.0.[2..11]*2" for zone in zones)
    with (
        DnsServer(world) as dns,
        Bley(tmp_path, **on(dns, dnsbls=setting, check_timeout="5s" if is_well else "0.5s")) as bley,
    ):
        Strangers(bley).mail(V4)
        for zone in zones:
            bley.wait_log(rf"listed_by=\*+\.{zone}" if is_well else rf"\*+\.{zone} is set aside")
        at_web_place(bley)
        status = 0 if is_well else 1
        shown = {
            "/metrics": fetch(bley, "/metrics")[1],
            "/lists": fetch(bley, "/lists")[1],
            "lists": bley.run("lists", status=status),
            "lists --test": bley.run("lists", "--test", status=status),
            "lists --test ZONE": bley.run("lists", "--test", f"{KEY}.{zones[0]}", status=status),
            "explain": bley.run("explain", *request_options(client_address=V4, recipient="b@example.org")),
            "check-config": bley.run("check-config"),
        }
        bley.reload()
    shown["log"] = bley.log()
    assert [place for place, text in shown.items() if shows_key(text)] == []
    assert [place for place, text in shown.items() if "********.zen.dq.spamhaus.net" not in text] == []


def test_a_list_is_found_by_its_zone_with_the_key(tmp_path: Path) -> None:
    """As it stands in the settings; and where it is not configured, the message does not show the key either."""
    zone = f"{KEY}.zen.dq.spamhaus.net"
    with DnsServer(entries(zone.lower())) as dns, Bley(tmp_path, **on(dns, dnsbls=zone)) as bley:
        Strangers(bley).mail(V4)
        at_web_place(bley)
        assert not shows_key(bley.run("lists", f"{KEY}.sbl.dq.spamhaus.net", status=1))
        assert "well" in bley.run("lists", zone)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("dnsbls", f"{KEY}.zen.dq.spamhaus.net=127.0.0.[2..300]"),
        ("dnsbls", f"{KEY}.zen.dq.spamhaus.net*1000"),
        ("dnsbls", f"{KEY}.zen.dq.spamhaus.net {KEY}.zen.dq.spamhaus.net"),
        ("dnswls", f"{KEY}.zen.dq.spamhaus.net/24"),
        ("dnsbls", f"{KEY}"),
        ("dnsbls", f"{KEY}..zen"),
        ("dnsbls", f"{KEY}.typo.example=x"),
        ("dnsblz", f"{KEY}.zen.dq.spamhaus.net"),
        (f"{KEY}.zen.dq.spamhaus.net", "1"),
        ("dnsbls", f"good.example\n{KEY}.zen.dq.spamhaus.net"),
        ("dnsbls", f"good.example\n    {KEY}.zen.dq.spamhaus.net=1"),
    ],
    ids=lambda value: value.replace(KEY, "KEY"),
)
def test_a_fault_in_the_settings_does_not_show_the_key(tmp_path: Path, key: str, text: str) -> None:
    printed = Bley(tmp_path, **{key: text}).run("check-config", status=2)
    assert printed
    assert not shows_key(printed)


# -- bley lists -----------------------------------------------------------------------------------


def row_of(printed: str, name: str) -> list[str]:
    """The cells of the list's row in the table."""
    (line,) = [line for line in printed.splitlines() if line.startswith(f"{name} ")][:1]
    return re.split(r"\s{2,}", line.strip())


def test_lists_shows_how_the_lists_do_in_the_running_bley(tmp_path: Path) -> None:
    zone = {**entries("bl.example", V4), **entries("wl.example"), "*.ill.example": Rcode("SERVFAIL")}
    settings = {"dnsbls": "bl.example ill.example dnsbl.ahbl.org", "dnswls": "wl.example"}
    with DnsServer(zone) as dns, Bley(tmp_path, **on(dns, **settings)) as bley:
        bley.wait_log("set aside")
        strangers = Strangers(bley)
        for address in (V4, "192.0.2.2", "192.0.2.3", "192.0.2.4"):
            strangers.mail(address)
        at_web_place(bley)
        printed = bley.run("lists", status=1)
        well = row_of(printed, "bl.example")
        assert well[:3] == ["bl.example", "dnsbls", "well, IPv4 only"]
        assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d", well[3])
        assert well[4:6] == ["4", "25.0%"]
        assert all(re.fullmatch(r"\d+\.\d ms", cell) for cell in well[6:8])
        assert row_of(printed, "wl.example")[1:6:4] == ["dnswls", "0.0%"]
        ill = row_of(printed, "ill.example")
        assert (ill[2], ill[4:8]) == ("ill", ["0", "-", "-", "-"])
        assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d", ill[8]), "the error stands below, with its remedy"
        assert row_of(printed, "dnsbl.ahbl.org")[2] == "dead"
        assert "ill.example: it answers SERVFAIL; if that lasts, remove it from the settings" in printed
        assert "ill.example" not in bley.run("lists", "bl.example", "wl.example"), "all of these are well"
        assert "nobody.example: not configured" in bley.run("lists", "nobody.example", status=1)


def test_lists_says_when_the_running_bley_cannot_be_asked(tmp_path: Path) -> None:
    bley = Bley(tmp_path, dnsbls="bl.example")
    hint = "`bley lists --test` needs no running bley"
    off = bley.run("lists", status=1)
    assert "web_listen is empty" in off
    assert hint in off
    bley.write_settings(web_listen=f"127.0.0.1:{free_port()}")
    nobody = bley.run("lists", status=1)
    assert "is bley running?" in nobody
    assert hint in nobody


NO_IPV6 = "; IPv6 clients are not looked up: it has no IPv6 test entry, ::ffff:7f00:2 (RFC 5782 5)"

TESTED: Mapping[str, tuple[Entry, str]] = {
    "well.example": (LISTED, f"well for IPv4 clients{NO_IPV6}"),
    "world.example": (LISTED, "it lists every address; remove it from the settings"),
    "empty.example": ({}, "it does not list its test entry 127.0.0.2 (RFC 5782 5)"),
    "parked.example": ({"A": ["203.0.113.9"]}, "203.0.113.9, which is no return code: its domain is parked"),
    "servfail.example": (Rcode("SERVFAIL"), "it answers SERVFAIL"),
    "refused.example": (Rcode("REFUSED"), "it answers REFUSED"),
    "silent.example": (SILENT, "it does not answer in time"),
    "zen.spamhaus.org": ({"A": ["127.255.255.254"]}, "use a resolver of your own whose host name is not generic"),
    "list.dnswl.org": ({"A": ["127.0.10.3"]}, "too many queries"),
    "dnsbl.ahbl.org": (LISTED, "dead since 2015-01-01: it lists every address since its operator closed it; use zen"),
}


@pytest.fixture(scope="module")
def ill_world() -> Iterator[DnsServer]:
    """A DNS with the lists of TESTED."""
    zone = {f"*.{name}": entry for name, (entry, _) in TESTED.items() if name != "well.example" and entry}
    with DnsServer({**zone, **entries("well.example")}) as dns:
        yield dns


def test_lists_test_says_in_plain_words_what_is_wrong(tmp_path: Path, ill_world: DnsServer) -> None:
    *blocklists, allowlist, dead = TESTED
    bley = Bley(tmp_path, **on(ill_world, dnsbls=" ".join((*blocklists, dead)), dnswls=allowlist, check_timeout="3s"))
    printed = dict(line.split(maxsplit=1) for line in bley.run("lists", "--test", status=1).splitlines())
    assert printed.keys() == TESTED.keys()
    assert {name: words for name, (_, words) in TESTED.items() if words not in printed[name]} == {}
    assert all(words.startswith(("ill for IPv4 clients: ", "well ", "dead ")) for words in printed.values())


def test_lists_test_tests_any_list_and_says_that_it_is_well(tmp_path: Path, ill_world: DnsServer) -> None:
    bley = Bley(tmp_path, **on(ill_world, dnsbls="world.example"))
    assert bley.run("lists", "--test", "well.example") == f"well.example  well for IPv4 clients{NO_IPV6}\n"
    bley.write_settings(dnsbls="well.example=127.0.0.2*3, well.example=127.0.0.3")
    assert bley.run("lists", "--test") == f"well.example  well for IPv4 clients{NO_IPV6}\n"


def test_lists_test_says_of_which_ip_version_a_list_has_no_addresses(tmp_path: Path) -> None:
    only_ipv4, only_ipv6, both = "bl.spameatingmonkey.net", "bl.ipv6.spameatingmonkey.net", "both.example"
    zone = {**entries(only_ipv4), **entries(only_ipv6, V6_TEST), **entries(both, V6_TEST)}
    with DnsServer(zone) as dns:
        bley = Bley(tmp_path, **on(dns, dnsbls=f"{only_ipv4} {only_ipv6} {both}"))
        printed = dict(line.split(maxsplit=1) for line in bley.run("lists", "--test").splitlines())
    assert printed == {
        only_ipv4: "well for IPv4 clients; IPv6 clients are not looked up: it has no IPv6 addresses",
        only_ipv6: "well for IPv6 clients; IPv4 clients are not looked up: it has no IPv4 addresses",
        both: "well for IPv4 and IPv6 clients",
    }


def test_lists_test_blames_a_resolver_that_alters_answers(tmp_path: Path) -> None:
    with DnsServer({"*": {"A": ["203.0.113.99"]}}) as dns:
        bley = Bley(tmp_path, **on(dns, dnsbls="zen.spamhaus.org bl.example", dnswls=""))
        *lists, resolver = bley.run("lists", "--test", status=1).splitlines()
        document = json.loads(bley.run("lists", "--test", "--json", status=1))
    assert [line.split(maxsplit=1)[1] for line in lists] == ["cannot be tested with this resolver"] * 2
    fault = f"the resolver {dns.address} answers 203.0.113.99 for names that do not exist; use a resolver of your own"
    assert resolver.startswith(f"It is not the lists: {fault}")
    assert document["resolver"].startswith(fault)


def test_lists_test_shows_where_a_zone_is_wrong(tmp_path: Path) -> None:
    printed = Bley(tmp_path).run("lists", "--test", "zen.spamhaus.org=127.0.0.[2-11]", status=1)
    assert "    zen.spamhaus.org=127.0.0.[2-11]\n" + 31 * " " + "^\n" in printed


def test_lists_test_blames_no_list_when_no_dns_server_answers(tmp_path: Path) -> None:
    bley = Bley(tmp_path, dnsbls="bl.example", resolver=f"127.0.0.1:{free_port()}", check_timeout="0.3s")
    assert bley.run("lists", "--test", status=1) == "bl.example  cannot be tested: no DNS server answers\n"


# -- The page -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bley]:
    """A running bley with web_listen and one list."""
    folder = tmp_path_factory.mktemp("page")
    with DnsServer(entries("bl.example")) as dns, Bley(folder, **on(dns, dnsbls="bl.example")) as bley:
        Strangers(bley).mail("192.0.2.2")
        yield bley


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1338", "127.0.0.1", "127.0.0.1:80", "[::1]:1338"])
def test_the_page_is_given_to_loopback_names(page: Bley, host: str) -> None:
    status, text = fetch(page, "/lists", host)
    reports: list[dict[str, Any]] = json.loads(text)
    assert status == 200
    assert [(report["name"], report["state"], report["answers"]) for report in reports] == [
        ("bl.example", "well", {"clear": 1})
    ]
    status, text = fetch(page, "/metrics", host)
    assert status == 200
    assert 'bley_list_well{ip="4",list="bl.example"} 1.0\n' in text


@pytest.mark.parametrize("path", ["/lists", "/metrics", "/"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:1338", "127.0.0.1.evil.example", "192.0.2.1", "[2001:db8::1]", "", "a b"]
)
def test_the_page_is_given_to_nobody_by_a_foreign_name(page: Bley, path: str, host: str) -> None:
    """A page of the Internet could otherwise read it, by a name that it makes point here (DNS rebinding)."""
    status, text = fetch(page, path, host)
    assert status == 403
    assert "bl.example" not in text


@pytest.mark.parametrize("host", ["localhost:x", "localhost:99999"])
def test_a_host_that_is_none_is_no_internal_error(page: Bley, host: str) -> None:
    assert fetch(page, "/lists", host)[0] in (400, 403)
    assert "Traceback" not in page.log()


# -- The table ------------------------------------------------------------------------------------


def test_an_error_stands_in_the_table_or_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Below it with its remedy, while the list is ill; in it once the list is well again."""
    well_again = ListReport(**WELL_LIST | {"last_error": "SERVFAIL", "last_error_at": ILL_LIST["last_error_at"]})
    print_lists([ILL_LIST, well_again])
    ill, well = (line.rstrip().partition("2026-11-23 12:00")[2] for line in capsys.readouterr().out.splitlines()[1:])
    assert ill.endswith("2026-11-23 12:00")
    assert well.endswith("2026-11-23 12:00 SERVFAIL")


# -- Which list earns its place -------------------------------------------------------------------


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Bley:
    """Run a bley that asked two lists and an allowlist about five strangers, and stop it. One mail came back."""
    first, second, allowed, both, unlisted = (f"192.0.{number}.1" for number in range(2, 7))
    world = {**entries("a.example", first, second, allowed, both), **entries("b.example", both)}
    world |= entries("allow.example", allowed)
    lists = {"dnsbls": "a.example b.example", "dnswls": "allow.example"}
    folder = tmp_path_factory.mktemp("figures")
    with DnsServer(world) as dns, Bley(folder, **on(dns, **lists, greylist_period="1s")) as bley:
        for address in (first, second, allowed, both, unlisted):
            _mail(bley, address)
        time.sleep(1.1)
        assert "PREPEND" in _mail(bley, first)
        wait_until(lambda: _figures(bley)["a.example"]["came_back"] == 1, "the mail that came back is counted")
    return bley


def _mail(bley: Bley, address: str) -> str:
    """Send a request of a well configured server."""
    name = f"mail.d{address.split('.')[2]}.example"
    return bley.ask(
        client_address=address, client_name=name, helo_name=name, sender="a@b.example", recipient="c@d.example"
    )


class TestFigures:
    """`bley lists --since`: what each list decided, from the store."""

    def test_json(self, decided: Bley) -> None:
        numbers = {
            name: tuple(each[key] for key in ("queries", "listed", "alone", "came_back", "errors"))
            for name, each in _figures(decided).items()
        }
        assert numbers == {
            "a.example": (5, 4, 2, 1, 0),
            "b.example": (5, 1, 0, 0, 0),
            "allow.example": (5, 1, 1, None, 0),
        }

    def test_a_table_for_each_setting(self, decided: Bley) -> None:
        heading, _, titles, *rows = decided.run("lists", "--since", "12h").splitlines()
        assert heading.startswith("from ")
        assert titles.split() == ["dnsbls", "queries", "listed", "alone", "came", "back", "errors", "median"]
        assert [row.split()[:6] for row in rows[:2]] == [
            ["a.example", "5", "4", "2", "1", "50.0%"],
            ["b.example", "5", "1", "0", "0", "0"],
        ]
        assert rows[3].split() == ["dnswls", "queries", "listed", "alone", "errors", "median"]
        assert rows[4].split()[:4] == ["allow.example", "5", "1", "1"]

    def test_of_some_lists(self, decided: Bley) -> None:
        assert list(_figures(decided, "B.example.")) == ["b.example"]
        shown = decided.run("lists", "--since", "12h", "c.example", status=2)
        assert "c.example: not configured, and not counted in this time" in shown

    def test_a_removed_list_is_named(self, decided: Bley) -> None:
        decided.write_settings(dnsbls="b.example")
        shown = decided.run("lists", "--since", "12h")
        decided.write_settings(dnsbls="a.example b.example")
        assert "a.example: removed from dnsbls" in shown

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--since", "12"], "--since 12 is neither a duration nor a time"),
            (["--since", ""], "--since  is neither a duration nor a time"),
            (["--since", "500d"], "--since 500d must be at most 400d ago"),
            (["--since", "12h", "--test"], "--test tests the lists now, and --since shows their past"),
        ],
    )
    def test_bad_options_are_named(self, decided: Bley, arguments: list[str], words: str) -> None:
        assert words in decided.run("lists", *arguments, status=2)


def _figures(bley: Bley, *zones: str) -> dict[str, dict[str, Any]]:
    document = json.loads(bley.run("lists", "--since", "12h", "--json", *zones))
    return {each["name"]: each for each in document["lists"]}
