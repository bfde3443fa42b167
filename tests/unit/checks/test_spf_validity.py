"""For whom an SPF result holds, and how long."""

from ipaddress import ip_address

import pytest

from bley.checks.spf_validity import SPF_RECORD, SpfTrail, SpfValidity, network_of
from bley.ports import ResourceRecord

CLIENT, CLIENT_IPV6 = "192.0.2.1", "2001:db8::1"
NETWORK, ADDRESS, REQUEST = SpfValidity.NETWORK, SpfValidity.ADDRESS, SpfValidity.REQUEST


def trail(*seen: tuple[str, str | bytes, int], client: str = CLIENT) -> SpfTrail:
    """What is known after answers of one record each: type, data and TTL."""
    trail = SpfTrail(ip_address(client))
    for rrtype, data, ttl_seconds in seen:
        trail.add_answer(rrtype, [ResourceRecord("a.example", rrtype, data, ttl_seconds)])
    return trail


@pytest.mark.parametrize(
    ("record", "validity"),
    [
        (b"v=spf1 -all", NETWORK),
        (b"v=spf1 a mx include:b.example redirect=c.example", NETWORK),
        (b"v=spf1 ip4:192.0.2.0/24 ip4:192.0.0.0/16 -all", NETWORK),
        (b"v=spf1 ip4:192.0.2.0/25 -all", ADDRESS),
        (b"v=spf1 ip4:192.0.2.99 -all", ADDRESS),
        (b"v=spf1 -IP4:192.0.2.99 +all", ADDRESS),
        (b"v=spf1 ip4:203.0.113.1 ip4:192.0.3.0/28 -all", NETWORK),
        (b"v=spf1 ip6:2001:db8::1 -all", NETWORK),
        (b"v=spf1 ip4:192.0.2.999 ip4:192.0.2.0/99 -all", NETWORK),
        (b"v=spf1 ptr -all", ADDRESS),
        (b"v=spf1 ?PTR:b.example -all", ADDRESS),
        (b"v=spf1 exists:%{d}.%{o}.b.example -all", NETWORK),
        (b"v=spf1 exists:%{ir}.%{v}.b.example -all", ADDRESS),
        (b"v=spf1 include:%{I}.b.example -all", ADDRESS),
        (b"v=spf1 exists:%{p}.b.example -all", ADDRESS),
        (b"v=spf1 exists:%{s}.b.example -all", REQUEST),
        (b"v=spf1 exists:%{l1r-}.b.example -all", REQUEST),
        (b"v=spf1 exists:%{H}.b.example -all", REQUEST),
        (b"v=spf1 exists:%{i}.%{l}.b.example ip4:192.0.2.1 -all", REQUEST),
        (b"V=SPF1 ip4:192.0.2.99 -all", ADDRESS),
        (b"See https://why.example/", NETWORK),
        (b"%{d} sends from elsewhere", NETWORK),
        (b"%{i} may not send for %{d}", ADDRESS),
        (b"%{c} may not, says %{r} at %{t}", ADDRESS),
        (b"%{S} may not send", REQUEST),
    ],
)
def test_a_policy_says_whether_it_tells_addresses_or_senders_apart(record: bytes, validity: SpfValidity) -> None:
    """Within 192.0.2.0/24. So does the explanation of a fail, which has macros too (RFC 7208 6.2)."""
    assert trail(("TXT", record, 300)).validity is validity


@pytest.mark.parametrize(
    ("record", "validity"),
    [
        (b"v=spf1 ip6:2001:db8::/64 ip6:2001:db8::/32 -all", NETWORK),
        (b"v=spf1 ip6:2001:db8::/65 -all", ADDRESS),
        (b"v=spf1 ip6:2001:db8::2 -all", ADDRESS),
        (b"v=spf1 ip6:2001:db8:0:1::2 ip4:192.0.2.1 -all", NETWORK),
    ],
)
def test_of_an_ipv6_client_the_network_is_its_64(record: bytes, validity: SpfValidity) -> None:
    assert trail(("TXT", record, 300), client=CLIENT_IPV6).validity is validity


@pytest.mark.parametrize(
    ("rrtype", "data", "client", "validity"),
    [
        ("A", "192.0.2.99", CLIENT, ADDRESS),
        ("A", "192.0.3.1", CLIENT, NETWORK),
        ("A", "127.0.0.2", CLIENT, NETWORK),
        ("AAAA", "2001:db8::99", CLIENT_IPV6, ADDRESS),
        ("AAAA", "2001:db8:0:1::1", CLIENT_IPV6, NETWORK),
        ("PTR", "mx.example", CLIENT, ADDRESS),
        ("CNAME", "mx.example", CLIENT, NETWORK),
    ],
)
def test_an_address_in_the_client_s_network_tells_its_addresses_apart(
    rrtype: str, data: str, client: str, validity: SpfValidity
) -> None:
    """It is that of a host that `a` or `mx` names; and PTR is asked of one address."""
    assert trail((rrtype, data, 300), client=client).validity is validity


def test_a_question_for_the_client_s_name_counts_though_it_has_none() -> None:
    lonely = SpfTrail(ip_address(CLIENT))
    lonely.add_answer("PTR", [])
    assert lonely.validity is ADDRESS


def test_the_narrowest_holds_whatever_comes_later() -> None:
    assert trail(("TXT", b"v=spf1 include:%{l}.example", 300), ("A", "192.0.2.1", 300)).validity is REQUEST
    narrowed = trail()
    narrowed.narrow(ADDRESS)
    narrowed.narrow(NETWORK)
    assert narrowed.validity is ADDRESS


def test_it_holds_for_the_shortest_ttl_of_all_at_most_an_hour() -> None:
    assert trail().seconds == 3600
    assert trail(("TXT", b"v=spf1 a -all", 86400)).seconds == 3600
    assert trail(("TXT", b"v=spf1 a -all", 600), ("CNAME", "b.example", 20), ("A", "192.0.2.1", 900)).seconds == 20
    assert trail(("TXT", b"v=spf1 a -all", 0)).seconds == 0


def test_that_there_is_no_record_is_believed_for_five_minutes() -> None:
    void = trail(("TXT", b"v=spf1 a -all", 600))
    void.add_answer("A", [])
    assert void.seconds == 300
    short = trail(("TXT", b"v=spf1 a -all", 20))
    short.add_answer("A", [])
    assert short.seconds == 20


def test_networks() -> None:
    assert str(network_of(ip_address("192.0.2.99"))) == "192.0.2.0/24"
    assert str(network_of(ip_address("2001:db8:1:2:3::4"))) == "2001:db8:1:2::/64"


@pytest.mark.parametrize(
    ("record", "is_policy"),
    [
        (b"v=spf1", True),
        (b"v=spf1 -all", True),
        (b"V=sPf1 -all", True),
        (b"v=spf1-all", False),
        (b"v=spf2 -all", False),
        (b" v=spf1 -all", False),
    ],
)
def test_what_is_a_policy(record: bytes, is_policy: bool) -> None:
    """RFC 7208 4.5."""
    assert bool(SPF_RECORD.match(record)) is is_policy
