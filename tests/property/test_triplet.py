"""What normalisation does to any address at all."""

from hypothesis import assume, given
from hypothesis import strategies as st

from bley.core.triplet import ANY, LONGEST_PART, TripletRules, bounded

RULES = TripletRules()
PRIVATE = TripletRules(privacy_key=b"k" * 32)

texts = st.text() | st.text(alphabet="aA0129+-=_.@ #prvsPRVSüÜ")
domains = st.from_regex(r"[a-z0-9-]{1,10}(\.[a-z0-9-]{1,10}){0,3}", fullmatch=True)
letters = st.text(alphabet=st.characters(categories=["Ll"], min_codepoint=0x80), min_size=1, max_size=5)


@given(texts)
def test_nothing_is_raised(address: str) -> None:
    """Whatever a peer sends is an address; also with other delimiters than the default."""
    for rules in (RULES, TripletRules(recipient_delimiter=""), TripletRules(recipient_delimiter="-+=")):
        rules.recipient(address)
        rules.sender(address)


@given(texts)
def test_recipient_is_idempotent(address: str) -> None:
    normal = RULES.recipient(address)
    assert RULES.recipient(normal) == normal == normal.strip()


@given(texts.filter(lambda address: "=" not in address))
def test_sender_is_idempotent(address: str) -> None:
    """As far as no rewriting is nested in it: BATV and SRS are undone once, and both are known by an equals sign."""
    normal = RULES.sender(address)
    assert RULES.sender(normal) == normal == normal.strip()


@given(st.text(alphabet="aBcDeF0+-=.@üÄ"))
def test_case_does_not_matter(address: str) -> None:
    for normalise in (RULES.recipient, RULES.sender):
        assert normalise(address) == normalise(address.upper()) == normalise(address.swapcase())


@given(st.text(), st.text(), domains)
def test_extension_does_not_matter_and_domain_stays(local: str, extension: str, domain: str) -> None:
    assume(len(f"{local}{extension}{domain}") < LONGEST_PART // 4)
    plain = RULES.recipient(f"{local}@{domain}")
    assert plain.endswith(f"@{domain}")
    assert RULES.sender(f"{local}+{extension}@{domain}").endswith(f"@{domain}")
    if local.strip() and "+" not in local:
        assert RULES.recipient(f"{local}+{extension}@{domain}") == plain


@given(letters, letters, domains)
def test_other_letters_are_another_person(one: str, other: str, domain: str) -> None:
    """However far they are from ASCII, whatever their case folding is."""
    assume(one.casefold() != other.casefold())
    assert RULES.recipient(f"{one}@{domain}") != RULES.recipient(f"{other}@{domain}")
    assert RULES.sender(f"{one}@{domain}") != RULES.sender(f"{other}@{domain}")


@given(texts | st.text(min_size=200), texts | st.text(min_size=200))
def test_every_engine_can_keep_every_part(one: str, other: str) -> None:
    """It is not too long, the same when it is bounded again, and tells two apart, but by white space around them."""
    kept = bounded(one)
    assert len(kept.encode()) <= LONGEST_PART
    assert bounded(kept) == kept
    assert (kept == bounded(other)) == (one.strip() == other.strip())


@given(texts, texts)
def test_hashed_addresses_are_one_when_the_clear_ones_are(one: str, other: str) -> None:
    assume(len(one) + len(other) < LONGEST_PART // 4)
    for clear, hashed in ((RULES.sender, PRIVATE.sender), (RULES.recipient, PRIVATE.recipient)):
        assert (hashed(one) == hashed(other)) == (clear(one) == clear(other))
        if "@" in one:
            assert hashed(one).rpartition("@")[2] == clear(one).rpartition("@")[2]
        assert not hashed(one).startswith(ANY)
