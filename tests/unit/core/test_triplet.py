"""Two requests that a person would call the same mail again get the same triplet, and no others do."""

from ipaddress import ip_address

import pytest

from bley.core.triplet import GreylistBy, TripletRules

RULES = TripletRules()


@pytest.mark.parametrize(
    ("greylist_by", "address", "domain", "client"),
    [
        ("smart", "192.0.2.1", "example.com", "example.com"),
        ("smart", "192.0.2.1", "", "192.0.2.0/24"),
        ("smart", "2001:db8:1:2:3::4", "", "2001:db8:1:2::/64"),
        ("network", "192.0.2.1", "example.com", "192.0.2.0/24"),
        ("network", "2001:db8:1:2:3::4", "example.com", "2001:db8:1:2::/64"),
        ("address", "192.0.2.1", "example.com", "192.0.2.1"),
        ("address", "2001:DB8::0:1", "", "2001:db8::1"),
    ],
)
def test_client_by_setting(greylist_by: GreylistBy, address: str, domain: str, client: str) -> None:
    assert TripletRules(greylist_by=greylist_by).client(ip_address(address), domain) == client


def test_client_network_by_prefix() -> None:
    rules = TripletRules(greylist_by="network", ipv4_prefix=32, ipv6_prefix=48)
    assert rules.client(ip_address("192.0.2.1"), "") == "192.0.2.1/32"
    assert rules.client(ip_address("2001:db8:1:2::4"), "") == "2001:db8:1::/48"


ALIKE_FOR_BOTH = [
    pytest.param("jane@example.org", "jane@example.org", id="nothing to do"),
    pytest.param("Jane@Example.ORG", "jane@example.org", id="case"),
    pytest.param("jane+news@example.org", "jane@example.org", id="extension"),
    pytest.param("jane+news+more@example.org", "jane@example.org", id="extension from the first delimiter on"),
    pytest.param("jane+@example.org", "jane@example.org", id="empty extension"),
    pytest.param("+news@example.org", "+news@example.org", id="delimiter with nothing before it"),
    pytest.param("jane@example+org", "jane@example+org", id="delimiter in the domain"),
    pytest.param("user+foo@example.org", "user@example.org", id="bley 2 made usero of it"),
    pytest.param("JÜRGEN@Bücher.example", "jürgen@bücher.example", id="UTF-8, kept"),
    pytest.param("jane", "jane", id="no domain"),
    pytest.param("jane+news", "jane", id="no domain, extension"),
    pytest.param('"jane@home+x"@example.org', '"jane@home@example.org', id="the last at sign counts"),
    pytest.param("", "", id="empty"),
    pytest.param("@", "@", id="no local part, no domain"),
]


@pytest.mark.parametrize(("address", "normal"), ALIKE_FOR_BOTH)
def test_sender_and_recipient_alike(address: str, normal: str) -> None:
    assert RULES.recipient(address) == normal
    assert RULES.sender(address) == normal


def test_umlauts_tell_people_apart() -> None:
    """bley 2 dropped what is not ASCII, so that they were one."""
    assert RULES.recipient("jürgen@example.org") != RULES.recipient("jörgen@example.org")
    assert RULES.sender("jürgen@example.org") != RULES.sender("jörgen@example.org")


@pytest.mark.parametrize(
    ("delimiter", "normal"),
    [("", "jane-a+b@d"), ("-", "jane@d"), ("+", "jane-a@d"), ("+-", "jane@d"), ("=", "jane-a+b@d")],
)
def test_recipient_delimiter(delimiter: str, normal: str) -> None:
    """Each of its characters delimits, as in Postfix; without one there are no extensions."""
    assert TripletRules(recipient_delimiter=delimiter).recipient("jane-a+b@d") == normal


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        pytest.param("prvs=4711a2b=jane@d", "jane@d", id="BATV"),
        pytest.param("PRVS=4711A2B=Jane+news@d", "jane@d", id="BATV, case, extension"),
        pytest.param("prvs=jane@d", "prvs=jane@d", id="no BATV"),
        pytest.param("list-123-bounce@d", "list-#-bounce@d", id="VERP"),
        pytest.param("bounce-1234_56.7-x@d", "bounce-#_#.#-x@d", id="VERP, several numbers"),
        pytest.param("2026@d", "#@d", id="nothing but a number"),
        pytest.param("o1-user2b@d4-5", "o1-user2b@d4-5", id="digits inside a word, and in the domain, stay"),
        pytest.param("SRS0=HHH=TT=d1.example=jane@d2", "srs0=d1.example=jane@d2", id="SRS0"),
        pytest.param("SRS0+HHH=TT=d1.example=jane@d2", "srs0=d1.example=jane@d2", id="SRS0, its other separator"),
        pytest.param("srs0=hhh=tt=d1.example=bounce-12=x@d2", "srs0=d1.example=bounce-#=x@d2", id="SRS0 of a VERP"),
        pytest.param("srs0=hhh@d", "srs0=hhh@d", id="no SRS"),
    ],
)
def test_sender_without_what_was_put_in_for_one_message(address: str, normal: str) -> None:
    assert RULES.sender(address) == normal


SRS1 = "SRS1=HHH=forwarder.example={separator}{hash}={time}={original}@second.example"


@pytest.mark.parametrize("separator", "=+-")
@pytest.mark.parametrize("original", ["d1.example=jane", "d1.example=bounce-jane=example.org"])
def test_twice_forwarded_mail_is_the_same_again(separator: str, original: str) -> None:
    """SRS1 keeps who forwarded it first and whose it is; its hashes and the timestamp change with each message."""
    first = SRS1.format(separator=separator, hash="A1", time="46", original=original)
    later = SRS1.format(separator=separator, hash="B2", time="47", original=original).replace("HHH", "III")
    assert RULES.sender(first) == RULES.sender(later)


@pytest.mark.parametrize("part", ["forwarder", "d1", "jane"])
def test_twice_forwarded_mail_of_others_is_another(part: str) -> None:
    sender = SRS1.format(separator="=", hash="A1", time="46", original="d1.example=jane")
    assert RULES.sender(sender) != RULES.sender(sender.replace(part, "other"))


def test_recipient_is_not_rewritten_as_senders_are() -> None:
    """Nobody numbers recipients for each message: order-17@d and order-18@d are two."""
    for address in ("prvs=1=jane@d", "order-17@d", "srs0=hhh=tt=d1=jane@d2"):
        assert RULES.recipient(address) == address
