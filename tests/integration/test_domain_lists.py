"""Domain lists: a real daemon asks a real DNS server about the domains of sender, HELO and client."""

import json
from pathlib import Path

import pytest

from tests.dns_server import DnsServer, Entry, Rcode
from tests.integration.running_bley import Bley, request_options
from tests.integration.test_dns_failures import Strangers
from tests.integration.test_lists import LISTED, V4, V6_TEST, at_web_place, entries, fetch, on

DBL = "dbl.example"
SPAM: Entry = {"A": ["127.0.1.2"], "TXT": ["https://dbl.example/why"]}
SNOWSHOE = {
    "client_address": "203.0.113.7",
    "client_name": "mx3.snow-offers.com",
    "helo_name": "mx3.snow-offers.com",
    "sender": "deal@snow-offers.com",
    "recipient": "b@example.org",
}
"""Mail with name, HELO name and sender in order, in a domain of its own."""


def names(zone: str = DBL, **domains: Entry) -> dict[str, Entry]:
    """Return the entries of a healthy domain list; a keyword is a domain below .com."""
    return {f"test.{zone}": SPAM} | {f"{name.replace('_', '-')}.com.{zone}": entry for name, entry in domains.items()}


def test_an_otherwise_perfect_snowshoe_sender_waits_and_then_passes(tmp_path: Path) -> None:
    zone = names(snow_offers=SPAM) | entries("bl.example")
    setting = f"{DBL}=127.0.1.[2..99]"
    with DnsServer(zone) as dns, Bley(tmp_path, **on(dns, domain_lists=setting, dnsbls="bl.example")) as bley:
        assert bley.ask(**SNOWSHOE).startswith("action=DEFER_IF_PERMIT")
        line = bley.wait_log(r"why=domain-list, (.*?), wait=300")[1]
        assert line == "helo=0 dyn=0 s_eq_r=0 dnsbl=0 domain-list=1"
        bley.wait_log(
            rf"listed_by={DBL}, client_address=203.0.113.7, domain=snow-offers.com, list_says=https://dbl.example/why"
        )
        assert bley.ask(**SNOWSHOE).startswith("action=DEFER_IF_PERMIT"), "too early"
        bley.end_waits()
        assert bley.ask(**SNOWSHOE).startswith("action=PREPEND X-Greylist")
        asked = [name for name, _ in dns.questions if name.endswith(DBL) and "snow" in name]
    why = bley.run("why", "--json", SNOWSHOE["sender"])
    assert set(asked) == {f"snow-offers.com.{DBL}"}, "the registered domain, not the host"
    reasons = [decision["reason"] for decision in json.loads(why)["decisions"]]
    assert reasons == ["waited", "early", "domain-list"]


def test_a_list_of_new_domains_is_the_reason_by_its_name(tmp_path: Path) -> None:
    zone: dict[str, Entry] = {"snow-offers.com.fresh.spameatingmonkey.net": LISTED}
    with DnsServer(zone) as dns, Bley(tmp_path, **on(dns, domain_lists="fresh.spameatingmonkey.net")) as bley:
        assert bley.ask(**SNOWSHOE).startswith("action=DEFER_IF_PERMIT")
        bley.wait_log("why=fresh-domain, .*domain-list=1")


@pytest.mark.parametrize(
    ("zone", "code"),
    [
        ("dbl.spamhaus.org", "127.0.1.255"),
        ("dbl.spamhaus.org", "127.255.255.254"),
        (DBL, "127.255.255.255"),
        (DBL, "127.0.0.1"),
        (DBL, "203.0.113.99"),
    ],
)
def test_an_error_is_never_a_listing(tmp_path: Path, zone: str, code: str) -> None:
    """It starts a self-test, and the list is set aside only if that fails too."""
    world = {f"{test}.{zone}": SPAM for test in ("test", "dbltest.com")} | names(zone, snow_offers={"A": [code]})
    setting = f"{zone}=127.[0..255].[0..255].[0..255]"
    with DnsServer(world) as dns, Bley(tmp_path, **on(dns, domain_lists=setting)) as bley:
        assert bley.ask(**SNOWSHOE) == "action=DUNNO"
        bley.wait_log("reason=clean, .*domain-list=[?]")


def test_an_ill_list_is_set_aside_and_a_failing_one_delays_no_mail(tmp_path: Path) -> None:
    zone = names("all.example", snow_offers=SPAM) | {"invalid.all.example": SPAM, "*.fails.example": Rcode("SERVFAIL")}
    lists = "all.example empty.example fails.example"
    with DnsServer(zone) as dns, Bley(tmp_path, **on(dns, domain_lists=lists)) as bley:
        bley.wait_log("all.example is set aside: it lists invalid, which must not be listed .*: it lists every domain")
        bley.wait_log("empty.example is set aside: it does not list its test entry test ")
        bley.wait_log("fails.example is set aside: it answers SERVFAIL")
        assert bley.ask(**SNOWSHOE) == "action=DUNNO"
        at_web_place(bley)
        shown = bley.run("lists", status=1)
        metrics = fetch(bley, "/metrics")[1]
    assert shown.count("domain_lists") == 3
    assert 'bley_list_well{ip="domains",list="empty.example"} 0.0' in metrics


def test_a_listing_of_one_sender_is_not_that_of_another_of_the_same_server(tmp_path: Path) -> None:
    with (
        DnsServer(names(bad_customer=SPAM)) as dns,
        Bley(tmp_path, **on(dns, domain_lists=DBL, cache_valid="60s")) as bley,
    ):
        server = SNOWSHOE | {"client_name": "out.provider.com", "helo_name": "out.provider.com"}
        became = [
            bley.ask(**server | {"sender": sender, "recipient": f"{number}@example.org"}).split()[0]
            for number, sender in enumerate(
                ["x@bad-customer.com", "jane@good-customer.com", "y@bad-customer.com", "john@good-customer.com"]
            )
        ]
    assert became == ["action=DEFER_IF_PERMIT", "action=DUNNO", "action=DEFER_IF_PERMIT", "action=DUNNO"]


def test_explain_shows_each_list_its_codes_and_its_text(tmp_path: Path) -> None:
    setting = "dbl.spamhaus.org=127.0.1.[2..99]"
    abused: Entry = {"A": ["127.0.1.102"]}
    zone = {"dbltest.com.dbl.spamhaus.org": SPAM} | names("dbl.spamhaus.org", snow_offers=SPAM, good=abused)
    with DnsServer(zone) as dns:
        bley = Bley(tmp_path, **on(dns, domain_lists=setting))
        listed = bley.run("explain", *request_options(**SNOWSHOE))
        mail = SNOWSHOE | {"client_name": "mx.good.com", "helo_name": "mx.good.com", "sender": "a@good.com"}
        good = bley.run("explain", *request_options(**mail))
        none = bley.run("explain", *request_options(**SNOWSHOE | {"client_name": "unknown", "helo_name": "friend"}))
        off = Bley(tmp_path, **on(dns)).run("explain", *request_options(**SNOWSHOE))
    assert (
        "1  dbl.spamhaus.org lists snow-offers.com: 127.0.1.2 = spam domain, or of low reputation (weight 1)" in listed
    )
    assert "it says: https://dbl.example/why" in listed
    assert "without dnsbl, domain-list and dnswl" in listed
    assert "dnswl 1, dnsbl + domain-list 1, sum 2" in listed
    assert "reason domain-list; a retry passes" in listed
    assert "0  dbl.spamhaus.org lists good.com: 127.0.1.102 = a good domain, abused for spam (fits no filter)" in good
    assert "domain-list" in none
    assert "domain-list" not in off


def test_lists_test_knows_what_a_zone_lists(tmp_path: Path) -> None:
    """Of an unknown zone it finds out."""
    both = names("both.example") | entries("both.example")
    zone = {"dbltest.com.dbl.spamhaus.org": SPAM} | names() | both | entries("bl.example")
    with DnsServer(zone) as dns:
        bley = Bley(tmp_path, **on(dns, domain_lists="both.example", dnsbls="both.example"))
        configured = bley.run("lists", "--test")
        named = bley.run("lists", "--test", "dbl.spamhaus.org", DBL, "bl.example")
        ill = bley.run("lists", "--test", "none.example", status=1)
        doctor = bley.run("doctor", "--json", status=2)
    assert [line.split("  ", 1) for line in configured.splitlines()] == [
        [
            "both.example",
            f"well for IPv4 clients; IPv6 clients are not looked up: it has no IPv6 test entry, {V6_TEST} (RFC 5782 5)",
        ],
        ["both.example", "well for domains"],
    ]
    assert [line.split()[:4] for line in named.splitlines()] == [
        ["dbl.spamhaus.org", "well", "for", "domains"],
        [DBL, "well", "for", "domains"],
        ["bl.example", "well", "for", "IPv4"],
    ]
    assert ill.startswith("none.example  ill for IPv4 clients: it does not list its test entry 127.0.0.2 ")
    assert "both.example: well for domains" in doctor


def test_a_resolver_that_rewrites_answers_is_found_by_domain_lists_too(tmp_path: Path) -> None:
    """The lists are not blamed."""
    with DnsServer({"*": {"A": ["203.0.113.99"]}}) as dns:
        bley = Bley(tmp_path, **on(dns, domain_lists="a.example b.example"))
        shown = bley.run("lists", "--test", status=1)
    assert shown.count("cannot be tested with this resolver") == 2
    assert "It is not the lists: the resolver" in shown


def test_the_sender_behind_a_gateway_has_a_domain(tmp_path: Path) -> None:
    with DnsServer(names(snow_offers=SPAM)) as dns, Bley(tmp_path, **on(dns, domain_lists=DBL)) as bley:
        assert bley.ask(**SNOWSHOE | {"client_address": "192.168.1.1"}).startswith("action=DEFER_IF_PERMIT")


def test_without_domain_lists_no_domain_is_queried(tmp_path: Path) -> None:
    with DnsServer(entries("bl.example")) as dns, Bley(tmp_path, **on(dns, dnsbls="bl.example")) as bley:
        assert Strangers(bley).mail(V4) == "pass clean"
        assert not [name for name, _ in dns.questions if "example.com" in name]


def test_a_reload_adds_and_removes_a_domain_list(tmp_path: Path) -> None:
    with DnsServer(names(snow_offers=SPAM)) as dns, Bley(tmp_path, **on(dns)) as bley:
        answers = [bley.ask(**SNOWSHOE | {"recipient": "0@example.org"})]
        for number, setting in enumerate([DBL, f"{DBL}=127.0.1.9", ""], 1):
            bley.write_settings(domain_lists=setting)
            bley.reload()
            answers.append(bley.ask(**SNOWSHOE | {"recipient": f"{number}@example.org"}))
        bley.write_settings(domain_lists=f"{DBL}/$sender_address_domain")
        bley.reload()
        bley.wait_log("bley has no variables, and looks up the domains of sender, HELO and client")
    assert [answer.split()[0] for answer in answers] == [
        "action=DUNNO",
        "action=DEFER_IF_PERMIT",
        "action=DUNNO",
        "action=DUNNO",
    ]
