"""What is known of public DNS lists: the file itself, how a zone finds its facts, and what its codes mean."""

import re
import tomllib
from dataclasses import fields
from ipaddress import IPv4Address, ip_address
from itertools import combinations, product

import pytest

from bley.core.dnslists.known import DOMAINS, KnownList, find_known_list, load_known_lists, shown_zone
from bley.core.dnslists.syntax import hide_keys, parse_filter
from bley.data.files import read_known_lists

KNOWN = load_known_lists()
RAW = tomllib.loads(read_known_lists())
KEY = "abcdefghij0123456789klmnop"
ANY_CODE = IPv4Address("127.0.0.77")

every_list = pytest.mark.parametrize("facts", [pytest.param(facts, id=zone) for zone, facts in KNOWN.items()])


@pytest.mark.parametrize(
    "zone",
    [
        "zen.spamhaus.org",
        "sbl.spamhaus.org",
        "xbl.spamhaus.org",
        "pbl.spamhaus.org",
        *(f"*.{zone}.dq.spamhaus.net" for zone in ("zen", "sbl", "xbl", "pbl")),
        "bl.spamcop.net",
        "b.barracudacentral.org",
        "psbl.surriel.com",
        "dnsbl.dronebl.org",
        "bl.mailspike.net",
        "wl.mailspike.net",
        "list.dnswl.org",
        "dnsbl-1.uceprotect.net",
        "all.s5h.net",
        "bl.spameatingmonkey.net",
        "hostkarma.junkemailfilter.com",
        "ips.backscatterer.org",
        "bl.score.senderscore.com",
        "score.senderscore.com",
    ],
)
def test_list_that_people_use_is_known_and_not_dead(zone: str) -> None:
    assert KNOWN[zone].status in ("alive", "doubtful")


@pytest.mark.parametrize(
    ("zone", "year"),
    [
        ("dnsbl.sorbs.net", "2024"),
        ("ix.dnsbl.manitu.net", "2025"),
        ("dnsbl.ahbl.org", "2015"),
        ("dnsbl.njabl.org", "2013"),
        ("bl.spamcannibal.org", "2018"),
        ("dnsbl.inps.de", "2020"),
    ],
)
def test_dead_list_is_known(zone: str, year: str) -> None:
    """The first four are all default blocklists that bley ever had."""
    assert (KNOWN[zone].status, KNOWN[zone].since[:4]) == ("dead", year)


@every_list
def test_facts_say_what_they_must(facts: KnownList) -> None:
    assert facts.title
    assert facts.operator
    assert facts.lists in ("blocklist", "allowlist", "both")
    assert facts.status in ("alive", "doubtful", "dead")
    assert facts.versions or facts.domains, "it has addresses of one IP version at least, or domains"
    assert facts.domains or not facts.fresh
    assert facts.zone == facts.zone.lower().strip(".")
    assert hide_keys(facts.zone) == facts.zone, "its own name is taken for a key"


@every_list
def test_facts_have_sources(facts: KnownList) -> None:
    assert facts.source
    assert [source for source in facts.source if not re.fullmatch(r"https?://[^\s/]+/\S*", source)] == []
    assert len(set(facts.source)) == len(facts.source)


@every_list
def test_list_that_is_not_well_says_since_when_and_how(facts: KnownList) -> None:
    """`how` reads behind "it", in a sentence that goes on."""
    if facts.status == "alive":
        assert (facts.since, facts.how, facts.instead) == ("", "", "")
    else:
        assert re.fullmatch(r"\d{4}(-[01]\d(-[0-3]\d)?)?", facts.since)
        assert re.fullmatch(r"[a-z].*[^.;,\s]", facts.how)
    if facts.status == "dead" or facts.instead:
        assert KNOWN[facts.instead].status == "alive"
        assert KNOWN[facts.instead].lists == facts.lists
        assert "*" not in facts.instead, "a list that all can use"


@every_list
def test_test_entries_are_addresses_of_their_version(facts: KnownList) -> None:
    """Or the empty string, where there is none."""
    versions = [
        [ip_address(text).version for text in entries if text]
        for entries in ((facts.test_listed, facts.test_clear), (facts.test_listed_ipv6, facts.test_clear_ipv6))
    ]
    assert {*versions[0]} <= {4}
    assert {*versions[1]} <= {6}


@every_list
def test_test_entries_of_domains_are_names(facts: KnownList) -> None:
    """Or the empty string; an address list has those of RFC 5782 section 5, in case its zone has domains too."""
    for name in facts.test_entries(DOMAINS):
        assert name == "" or re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", name)
    assert facts.domains or facts.test_entries(DOMAINS) == ("test", "invalid")


@pytest.mark.parametrize(
    "zone", ["dbl.spamhaus.org", "*.zrd.dq.spamhaus.net", "dbl.nordspam.com", "fresh.fmb.la", "multi.surbl.org"]
)
def test_list_of_domains_is_for_no_addresses(zone: str) -> None:
    """It would answer about a client's address with an error, or with the hosts in the text of mail."""
    assert KNOWN[zone].domains
    assert KNOWN[zone].versions == ()


def test_lists_of_new_domains_are_known_as_such() -> None:
    fresh = {zone for zone, facts in KNOWN.items() if facts.fresh}
    assert {"fresh.spameatingmonkey.net", "fresh.fmb.la", "*.zrd.dq.spamhaus.net"} < fresh
    assert "dbl.spamhaus.org" not in fresh


@every_list
def test_codes_are_return_codes_and_mean_one_thing(facts: KnownList) -> None:
    for meanings in (facts.codes, facts.refusals):
        assert all(codes.octets[0] == {127} and meaning for codes, meaning in meanings.items())
        for one, other in combinations(meanings, 2):
            assert not all(mine & its for mine, its in zip(one.octets, other.octets, strict=True)), meanings[other]


@every_list
def test_errors_of_every_list(facts: KnownList) -> None:
    """RFC 5782 2.3 has no 127.0.0.1; 127.255.255.0/24 is what Spamhaus began."""
    assert all(facts.refusal(IPv4Address(f"127.255.255.{last}")) for last in (0, 1, 250, 252, 254, 255))
    is_listing = facts.zone == "hostkarma.junkemailfilter.com"
    assert (facts.refusal(IPv4Address("127.0.0.1")) is None) is is_listing


@pytest.mark.parametrize("zone", [zone for zone, table in RAW.items() if "like" in table])
def test_like_names_a_zone_above(zone: str) -> None:
    """What is not said of the list is as there."""
    model = RAW[zone]["like"]
    assert list(RAW).index(model) < list(RAW).index(zone)
    for fact in fields(KnownList):
        if fact.name != "zone" and fact.name not in RAW[zone]:
            assert getattr(KNOWN[zone], fact.name) == getattr(KNOWN[model], fact.name), fact.name


def test_like_gives_whole_facts() -> None:
    """Codes that a list says itself take the place of all codes of its model."""
    assert KNOWN["xbl.spamhaus.org"].refusals == KNOWN["zen.spamhaus.org"].refusals
    assert KNOWN["xbl.spamhaus.org"].operator == "The Spamhaus Project"
    assert list(KNOWN["xbl.spamhaus.org"].codes) == [parse_filter("127.0.0.[4..7]")]
    assert KNOWN["dul.dnsbl.sorbs.net"].since == KNOWN["dnsbl.sorbs.net"].since
    assert KNOWN["dul.dnsbl.sorbs.net"].instead == "pbl.spamhaus.org"


def test_file_tells_what_each_word_means() -> None:
    """Its head names every fact that there is."""
    text = read_known_lists()
    head = text[: text.index("# ---")]
    assert [fact.name for fact in fields(KnownList) if fact.name != "zone" and fact.name not in head] == []
    assert load_known_lists() is KNOWN, "it is read once"


@pytest.mark.parametrize("key", [KEY, KEY.upper(), "short", "with-hyphen_1"])
@pytest.mark.parametrize("zone", [zone for zone in KNOWN if zone.startswith("*.")])
def test_keyed_zone_is_found_and_shown_whatever_the_key(zone: str, key: str) -> None:
    """Also a key that looks like none."""
    keyed = zone.replace("*", key)
    assert find_known_list(keyed) is KNOWN[zone]
    assert shown_zone(keyed) == zone.replace("*", "********")


@pytest.mark.parametrize("zone", ["zen.spamhaus.org", "*.zen.dq.spamhaus.net", "dyna.spamrats.com", "bl.example"])
def test_zone_without_a_key_is_shown_as_it_is(zone: str) -> None:
    assert shown_zone(zone) == zone


@pytest.mark.parametrize("zone", [f"{KEY}.bl.example", f"{KEY}.more.zen.dq.spamhaus.net"])
def test_key_of_an_unknown_list_is_not_shown(zone: str) -> None:
    assert shown_zone(zone) == zone.replace(KEY, "********")


@pytest.mark.parametrize("zone", ["bl.example", "more.zen.spamhaus.org", "dq.spamhaus.net", "a.b.zen.dq.spamhaus.net"])
def test_of_an_unknown_list_the_usual_is_taken_for_granted(zone: str) -> None:
    facts = find_known_list(zone)
    assert facts == KnownList(zone=zone)
    assert (facts.status, facts.versions, facts.ipv6) == ("alive", (4, 6), None)
    assert (facts.test_listed, facts.test_clear) == ("127.0.0.2", "127.0.0.1")
    assert (facts.test_listed_ipv6, facts.test_clear_ipv6) == ("::ffff:7f00:2", "::ffff:7f00:1")
    assert (facts.refusal(ANY_CODE), facts.meaning(ANY_CODE)) == (None, "")


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "versions"),
    [(True, None, (4, 6)), (True, True, (4, 6)), (True, False, (4,)), (False, True, (6,)), (False, False, ())],
)
def test_versions(*, ipv4: bool, ipv6: bool | None, versions: tuple[int, ...]) -> None:
    """What nobody says of IPv6 is for the self-test to find out."""
    assert KnownList(zone="bl.example", ipv4=ipv4, ipv6=ipv6).versions == versions


@pytest.mark.parametrize(
    ("zone", "code", "refusal"),
    [
        ("bl.example", "127.0.0.1", "127.0.0.1 is no listing but an error"),
        ("bl.example", "127.255.255.254", "you may not ask"),
        ("bl.example", "127.255.255.0", "you may not ask"),
        ("bl.example", "127.255.254.255", None),
        ("bl.example", "127.0.0.2", None),
        ("bl.example", "127.0.0.255", None),
        ("zen.spamhaus.org", "127.255.255.252", "the zone's name is mistyped"),
        ("zen.spamhaus.org", "127.255.255.254", "asked through a public resolver, or one with a generic host name"),
        ("zen.spamhaus.org", "127.255.255.255", "too many queries"),
        ("zen.spamhaus.org", "127.255.255.253", "you may not ask"),
        ("zen.spamhaus.org", "127.0.0.10", None),
        ("key.zen.dq.spamhaus.net", "127.255.255.250", "the key is disabled"),
        ("key.pbl.dq.spamhaus.net", "127.255.255.251", "the key is not accepted"),
        ("list.dnswl.org", "127.0.0.255", "too many queries"),
        ("list.dnswl.org", "127.0.10.3", "too many queries: it called every address trusted"),
        ("list.dnswl.org", "127.0.10.0", "too many queries: it called every address trusted"),
        ("list.dnswl.org", "127.0.9.3", None),
        ("list.dnswl.org", "127.0.11.3", None),
        ("hostkarma.junkemailfilter.com", "127.0.0.1", None),
        ("hostkarma.junkemailfilter.com", "127.255.255.255", "you may not ask"),
    ],
)
def test_refusal(zone: str, code: str, refusal: str | None) -> None:
    """What the operator of a list says comes first, then what holds of every list."""
    assert find_known_list(zone).refusal(IPv4Address(code)) == refusal


@pytest.mark.parametrize(
    ("zone", "code", "meaning"),
    [
        ("zen.spamhaus.org", "127.0.0.3", "CSS: sends mail of low reputation, found automatically"),
        ("zen.spamhaus.org", "127.0.0.6", "XBL: infected or exploited host"),
        ("zen.spamhaus.org", "127.0.0.77", ""),
        ("list.dnswl.org", "127.0.5.3", "high trust"),
        ("list.dnswl.org", "127.0.15.0", "no trust: known, but spam may come from it"),
        ("hostkarma.junkemailfilter.com", "127.0.0.1", "white: trusted, sends no spam"),
        ("score.senderscore.com", "127.0.4.100", "the score, from 0 (worst) to 100 (best)"),
        ("score.senderscore.com", "127.0.4.101", ""),
        ("bl.example", "127.0.0.2", ""),
    ],
)
def test_meaning(zone: str, code: str, meaning: str) -> None:
    assert find_known_list(zone).meaning(IPv4Address(code)) == meaning


def test_test_answer_is_given_where_the_test_entry_would_be_an_error() -> None:
    """dnswl.org answers 127.0.10.0 for its test entries, which is among the codes that never count."""
    facts = KNOWN["list.dnswl.org"]
    assert facts.test_answer == parse_filter("127.0.10.0")
    assert facts.test_listed_ipv6 == "::2"
    for facts in KNOWN.values():
        for code in product(*facts.test_answer.octets) if facts.test_answer else ():
            assert facts.refusal(IPv4Address(bytes(code))), facts.zone


@pytest.mark.parametrize(("zone", "versions"), [("bl.ipv6.spameatingmonkey.net", (6,)), ("psbl.surriel.com", (4,))])
def test_lists_of_one_ip_version(zone: str, versions: tuple[int, ...]) -> None:
    assert KNOWN[zone].versions == versions
