"""A filter selects all records that match it, and no other."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bley.core.history.record_filter import RecordFilter
from bley.core.mail import Triplet, parse_address
from bley.core.triplet import ANY, TripletRules

RULES = TripletRules()
TRIPLET = Triplet("192.0.2.0/24", "john@example.com", "jane@example.org")


def _fits(wanted: RecordFilter, triplet: Triplet, rules: TripletRules = RULES) -> bool:
    return wanted.normalised(rules).fits(triplet)


@pytest.mark.parametrize(
    ("client", "wanted", "fits"),
    [
        ("192.0.2.0/24", "192.0.2.0/24", True),
        ("192.0.2.0/24", "192.0.2.7", True),
        ("192.0.2.0/24", "192.0.0.0/16", True),
        ("192.0.2.0/24", "192.0.2.128/25", True),
        ("192.0.2.0/24", "192.0.2.7/16", True),
        ("192.0.2.0/24", "192.0.3.7", False),
        ("192.0.2.0/24", "2001:db8::1", False),
        ("192.0.2.7", "192.0.2.0/24", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.0/24", "::ffff:192.0.2.7", True),
        ("192.0.2.0/24", "::ffff:192.0.2.0/120", True),
        ("2001:db8::/64", "2001:DB8::1", True),
        ("2001:db8::/64", "2001:db8:1::1", False),
        ("example.com", "example.com", True),
        ("example.com", "Example.COM", True),
        ("mail.example.com", "example.com", True),
        ("badexample.com", "example.com", False),
        ("example.com", "mail.example.com", False),
        ("example.com", "com", True),
        ("example.com", "192.0.2.7", False),
        ("192.0.2.0/24", "example.com", False),
        pytest.param("192.0.2.0/24", "2.0/24", False, id="the end of a network"),
        pytest.param("192.0.2.10", "2.10", False, id="the end of an address"),
        pytest.param("192.0.2.10", "10", False, id="its last octet"),
    ],
)
def test_client(client: str, wanted: str, fits: bool) -> None:
    """A network selects all that overlap it; a domain includes its subdomains."""
    assert _fits(RecordFilter(client=wanted), Triplet(client, "s", "r")) is fits


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("jane@example.org", True),
        ("Jane@Example.ORG", True),
        ("jane+news@example.org", True),
        ("joe@example.org", False),
        ("jane@mail.example.org", False),
        ("example.org", True),
        ("@example.org", True),
        ("EXAMPLE.ORG", True),
        ("org", True),
        ("xample.org", False),
        ("mail.example.org", False),
        ("jane", False),
        ("jane@", False),
    ],
)
def test_mail_address(wanted: str, fits: bool) -> None:
    """A mail address is normalised as in triplets; a domain includes its subdomains."""
    assert _fits(RecordFilter(sender=wanted), Triplet("c", "jane@example.org", "r")) is fits
    assert _fits(RecordFilter(recipient=wanted), Triplet("c", "s", "jane@example.org")) is fits


def test_a_sender_is_meant_however_it_was_rewritten() -> None:
    triplet = Triplet("c", "list-#@example.com", "r")
    assert _fits(RecordFilter(sender="prvs=4711=list-17@example.com"), triplet)


def test_all_that_is_said_must_fit() -> None:
    whole = RecordFilter("192.0.2.1", "john@example.com", "example.org")
    assert _fits(whole, TRIPLET)
    for other in (
        RecordFilter("192.0.3.1", "john@example.com", "example.org"),
        RecordFilter("192.0.2.1", "joe@example.com", "example.org"),
        RecordFilter("192.0.2.1", "john@example.com", "example.net"),
    ):
        assert not _fits(other, TRIPLET)


@pytest.mark.parametrize("text", ["", " ", "@", " @ ", "<@>", "<", ".", "..", "@.", "\u3002", "\u3000", "[]", "@@"])
@pytest.mark.parametrize("name", ["client", "sender", "recipient"])
def test_what_names_nothing_is_refused(name: str, text: str) -> None:
    """It would select all records, which only `--all` may do."""
    if (name, text) in {("sender", "[]"), ("recipient", "[]"), ("client", "<@>"), ("client", "<")}:
        assert not _fits(RecordFilter(**{name: text}), TRIPLET)
        return
    with pytest.raises(ValueError, match=f"^{name}: .* is no "):
        RecordFilter(**{name: text}).normalised(RULES)


@given(st.text(alphabet=st.sampled_from("@. <>[]+=#/:\u3002\u3000\u200b\u00ad"), max_size=6))
def test_no_text_of_marks_alone_means_all_records(text: str) -> None:
    """Whatever is left of it, it does not select a record without it."""
    for name in ("client", "sender", "recipient"):
        with contextlib.suppress(ValueError):
            assert not _fits(
                RecordFilter(**{name: text}), Triplet("example.com", "john@example.com", "jane@example.org")
            )


@pytest.mark.parametrize("text", ["<>", " <> "])
def test_the_null_sender_is_meant_by_its_brackets(text: str) -> None:
    assert _fits(RecordFilter(sender=text), Triplet("c", "", "r"))
    assert not _fits(RecordFilter(sender=text), TRIPLET)
    with pytest.raises(ValueError, match=r"^recipient: "):
        RecordFilter(recipient=text).normalised(RULES)


@pytest.mark.parametrize(
    ("kept", "wanted"),
    [
        ("jane@xn--mnchen-3ya.example", "jane@MÜNCHEN.example"),
        ("jane@münchen.example", "jane@xn--mnchen-3ya.example"),
        ("jane@mx.xn--mnchen-3ya.example", "münchen.example"),
        ("jane@mx.münchen.example", "@xn--mnchen-3ya.example."),
        ("strasse@example.org", "Straße@example.org"),
    ],
)
def test_a_domain_is_meant_by_its_a_labels_and_by_its_u_labels(kept: str, wanted: str) -> None:
    assert _fits(RecordFilter(sender=wanted), Triplet("c", kept, "r"))
    assert _fits(RecordFilter(client=wanted.rpartition("@")[2]), Triplet(kept.rpartition("@")[2], "s", "r"))


def test_a_network_of_mapped_addresses_is_ipv4() -> None:
    assert _fits(RecordFilter(client="::ffff:192.0.2.0/120"), TRIPLET)


def test_nothing_said_is_all() -> None:
    assert _fits(RecordFilter(), TRIPLET)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (RecordFilter(sender="john@example.com"), True),
        (RecordFilter(sender="joe@example.com"), False),
        (RecordFilter(sender="example.com"), True),
        (RecordFilter(recipient="Jane+tag@example.org"), True),
    ],
)
def test_with_privacy_what_is_looked_for_is_hashed(wanted: RecordFilter, fits: bool) -> None:
    rules = TripletRules(privacy_key=b"k" * 32)
    kept = Triplet("c", rules.sender("john@example.com"), rules.recipient("jane@example.org"))
    assert _fits(wanted, kept, rules) is fits


def test_records_for_any_are_those_of_their_client_and_domain() -> None:
    kept = Triplet("192.0.2.0/24", f"{ANY}@example.com", ANY)
    assert _fits(RecordFilter(client="192.0.2.1"), kept)
    assert _fits(RecordFilter(sender="example.com"), kept)
    assert not _fits(RecordFilter(sender="john@example.com"), kept)


@pytest.mark.parametrize(("kept", "fits"), [(Triplet("c", f"{ANY}@example.com", ANY), True), (TRIPLET, False)])
def test_records_for_any_can_be_named(kept: Triplet, fits: bool) -> None:
    assert _fits(RecordFilter(sender=f"{ANY}@example.com"), kept) is fits
    assert _fits(RecordFilter(recipient=ANY), kept) is fits


class TestMailWithoutRecord:
    @pytest.mark.parametrize("rules", [RULES, TripletRules("address"), TripletRules(privacy_key=b"k" * 32)])
    @pytest.mark.parametrize(
        "wanted",
        [
            RecordFilter("192.0.2.7", "John@example.com", "jane+news@example.org"),
            RecordFilter(" [2001:DB8::1] ", "prvs=0123456789=john@example.com", " <jane@example.org> "),
            RecordFilter("::ffff:192.0.2.7", "<>", "jane@example.org"),
        ],
    )
    def test_it_has_the_triplet_of_its_request(self, wanted: RecordFilter, rules: TripletRules) -> None:
        """The filter selects the record from then on."""
        triplet = wanted.triplet(rules)
        assert triplet
        address = parse_address("2001:db8::1" if "DB8" in (wanted.client or "") else "192.0.2.7")
        assert address
        sender = "" if wanted.sender == "<>" else "john@example.com"
        assert triplet == (rules.client(address, ""), rules.sender(sender), rules.recipient("jane@example.org"))
        assert _fits(wanted, triplet, rules)

    @pytest.mark.parametrize(
        "wanted",
        [
            RecordFilter(),
            RecordFilter("192.0.2.7", "john@example.com"),
            RecordFilter("192.0.2.7", None, "jane@example.org"),
            RecordFilter(None, "john@example.com", "jane@example.org"),
            RecordFilter("192.0.2.0/24", "john@example.com", "jane@example.org"),
            RecordFilter("example.com", "john@example.com", "jane@example.org"),
            RecordFilter("192.0.2.7", "example.com", "jane@example.org"),
            RecordFilter("192.0.2.7", "john@", "jane@example.org"),
            RecordFilter("192.0.2.7", "john@example.com", "@example.org"),
            RecordFilter("192.0.2.7", "john@example.com", "<>"),
            RecordFilter("192.0.2.7", f"{ANY}@example.com", "jane@example.org"),
            RecordFilter("192.0.2.7", "john@example.com", ANY),
        ],
    )
    def test_it_is_named_completely(self, wanted: RecordFilter) -> None:
        """A network, a domain or a missing part could be many mails."""
        assert wanted.triplet(RULES) is None
