"""Two requests that a person would call the same mail again get the same triplet, and no others do."""

import re
from ipaddress import ip_address

import pytest

from bley.core.triplet import ANY, LONGEST_PART, GreylistBy, TripletRules, bounded

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
    pytest.param("jürgen@straße.example", "jürgen@xn--strae-oqa.example", id="a sharp s in the domain stays"),
    pytest.param("a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example", id="A-labels"),
    pytest.param("JÜRGEN@Bücher.example", "jürgen@xn--bcher-kva.example", id="UTF-8, kept, A-labels"),
    pytest.param("jane", "jane", id="no domain"),
    pytest.param("jane+news", "jane", id="no domain, extension"),
    pytest.param('"jane@home+x"@example.org', '"jane@home@example.org', id="the last at sign counts"),
    pytest.param(" jane@example.org\t", "jane@example.org", id="white space around it"),
    pytest.param("jane doe@example.org", "jane doe@example.org", id="white space within"),
    pytest.param(" ", "", id="nothing but white space"),
    pytest.param("jane +news", "jane", id="no domain, white space before the extension"),
    pytest.param("any@example.org", "any@example.org", id="never what stands for all"),
    pytest.param("ANY@example.org", "any@example.org", id="not in capitals either"),
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
        pytest.param("prvs=jane=0123456789@d", "jane@d", id="BATV, the tag behind the user"),
        pytest.param("prvs=012345abcd=0123456789@d", "0123456789@d", id="BATV, the user looks like a tag"),
        pytest.param("btv1==0123456789abc==jane@d", "jane@d", id="Barracuda's BATV"),
        pytest.param("msprvs1=17539abcd=bounces-250372@d", "bounces-#@d", id="SparkPost's BATV"),
        pytest.param("SRS0=H=TT=d1.example=prvs=4711a=jane@d2", "srs0=d1.example=jane@d2", id="BATV in SRS"),
        pytest.param("prvs=4711a=SRS0=H=TT=d1.example=jane@d2", "srs0=d1.example=jane@d2", id="SRS in BATV"),
        pytest.param(
            "SRS0=H=TT=d2.example=SRS0=I=UU=d1.example=jane@d3",
            "srs0=d2.example=srs0=d1.example=jane@d3",
            id="SRS twice",
        ),
        pytest.param("SRS0=H=TT=d1.example=jane+x@d2", "srs0=d1.example=jane+x@d2", id="extension in SRS"),
        pytest.param("SRS0=H=TT=d1=a=b@d2", "srs0==d1=a=b@d2", id="SRS without a dot, which would look tagged"),
        pytest.param("list-123-bounce@d", "list-#-bounce@d", id="VERP"),
        pytest.param("bounce-1234_56.7-x@d", "bounce-#_#.#-x@d", id="VERP, several numbers"),
        pytest.param("2026@d", "2026@d", id="nothing but a number"),
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


class TestBounds:
    """Every engine can keep every part: 255 bytes of UTF-8 fit into each primary key."""

    @pytest.mark.parametrize(
        "part",
        [
            pytest.param("x" * LONGEST_PART, id="ASCII"),
            pytest.param("x" + "\u00fc" * 127, id="two bytes a letter"),
            pytest.param("\u6f22" * 85, id="three"),
            pytest.param("xyz" + "\U0001f642" * 63, id="four"),
        ],
    )
    def test_a_part_of_just_so_many_bytes_is_kept(self, part: str) -> None:
        assert len(part.encode()) == LONGEST_PART
        assert bounded(part) == part

    @pytest.mark.parametrize("letter", ["x", "\u00fc", "\u6f22", "\U0001f642"], ids=ascii)
    @pytest.mark.parametrize("more", range(8))
    def test_a_longer_one_ends_in_its_hash(self, letter: str, more: int) -> None:
        """Wherever it is cut: a letter that does not fit as a whole goes."""
        part = "y" * more + letter * (LONGEST_PART + 1)
        kept = bounded(part)
        beginning, _, digest = kept.partition("#")
        assert LONGEST_PART - len(letter.encode()) < len(kept.encode()) <= LONGEST_PART
        assert part.startswith(beginning)
        assert len(digest) == 32
        assert bounded(part + letter) != kept
        assert bounded(kept) == kept

    def test_all_parts_are_bounded(self) -> None:
        long = "x" * 300
        parts = [
            RULES.client(ip_address("192.0.2.1"), f"{long}.example"),
            RULES.sender(f"{long}@example.com"),
            RULES.recipient(f"{long}@example.org"),
        ]
        assert [len(part) for part in parts] == [LONGEST_PART] * 3
        assert len(set(parts)) == 3

    def test_one_byte_more_is_one_too_many(self) -> None:
        """The domain stays, so that the record is still one of it."""
        address = f"{'x' * 243}@example.org"
        assert RULES.recipient(address) == address
        assert re.fullmatch("x{210}#[0-9a-f]{32}@example.org", RULES.recipient(f"x{address}"))

    def test_a_domain_that_is_too_long_itself_is_cut(self) -> None:
        kept = RULES.recipient(f"jane@{'x' * 240}.example.org")
        assert re.fullmatch("jane@x{217}#[0-9a-f]{32}", kept)

    def test_a_cut_domain_with_a_u_label_stays_as_it_is(self) -> None:
        """Uncut, it was too long for A-labels."""
        kept = RULES.recipient(f"jane@b\u00fccher.{'x' * 260}")
        assert re.fullmatch("jane@b\u00fccher.x+#[0-9a-f]{32}", kept)
        assert RULES.recipient(kept) == RULES.sender(kept) == kept

    def test_white_space_around_it_is_none_of_it(self) -> None:
        """MySQL takes `jane ` for `jane`."""
        assert bounded(" jane ") == "jane"


class TestPrivacy:
    """With a key, local parts are kept as their hash."""

    RULES = TripletRules(privacy_key=b"k" * 32)

    def test_the_domain_stays_and_the_local_part_is_a_hash(self) -> None:
        local, at, domain = self.RULES.recipient("jane@example.org").partition("@")
        assert (at, domain) == ("@", "example.org")
        assert len(local) == 32
        assert not set(local) - set("0123456789abcdef")

    @pytest.mark.parametrize("same", ["Jane@Example.org", "jane+news@example.org", " jane@example.org"])
    def test_the_same_address_is_the_same(self, same: str) -> None:
        """It is hashed as the triplet would have it: addresses that are one in the clear are one hash."""
        assert self.RULES.recipient(same) == self.RULES.recipient("jane@example.org")

    def test_a_sender_is_the_same_however_it_was_rewritten(self) -> None:
        senders = ["prvs=4711a2b=list-17@d", "list-18@d", "LIST-19@D"]
        assert len({self.RULES.sender(sender) for sender in senders}) == 1

    @pytest.mark.parametrize("other", ["joe@example.org", "jane@example.net", "jane", "j\u00e4ne@example.org"])
    def test_another_address_is_another(self, other: str) -> None:
        """The same person at another domain too: nobody can follow her."""
        local = self.RULES.recipient("jane@example.org").partition("@")[0]
        assert self.RULES.recipient(other).partition("@")[0] != local

    def test_another_key_makes_another_hash(self) -> None:
        other = TripletRules(privacy_key=b"l" * 32)
        assert other.recipient("jane@example.org") != self.RULES.recipient("jane@example.org")

    @pytest.mark.parametrize(("address", "kept"), [("", ""), ("@", "@"), ("@example.org", "@example.org")])
    def test_what_has_no_local_part_stays(self, address: str, kept: str) -> None:
        """The null sender above all."""
        assert (self.RULES.sender(address), self.RULES.recipient(address)) == (kept, kept)

    def test_an_address_without_a_domain_is_hashed(self) -> None:
        assert len(self.RULES.recipient("postmaster")) == 32

    def test_the_client_is_nobody_s_name(self) -> None:
        assert self.RULES.client(ip_address("192.0.2.1"), "example.com") == "example.com"

    def test_the_key_is_not_shown(self) -> None:
        assert "kkkk" not in repr(self.RULES)


@pytest.mark.parametrize("address", [ANY, f"{ANY}@example.org", "any", "Any@Example.org"])
def test_no_address_becomes_one_that_stands_for_all(address: str) -> None:
    """A stranger who writes it is a stranger."""
    for rules in (RULES, TestPrivacy.RULES):
        assert not rules.sender(address).startswith(ANY)
        assert not rules.recipient(address).startswith(ANY)
