"""The effects of normalization on any address."""

import re

from hypothesis import assume, example, given
from hypothesis import strategies as st

from bley.core.triplet import ANY, LONGEST_PART, TripletRules, bounded

RULES = TripletRules()
PRIVATE = TripletRules(privacy_key=b"k" * 32)

texts = st.text() | st.text(alphabet="aA0129+-=_.@ #prvsPRVSüÜ")
domains = st.from_regex(r"[a-z0-9-]{1,10}(\.[a-z0-9-]{1,10}){0,3}", fullmatch=True)
tagged = st.lists(
    st.sampled_from(["prvs=", "btv1==", "msprvs1=", "srs0=", "SRS1=", "=", "0123456789", "TT", "d.example", "a+b", " "])
    | texts,
    max_size=12,
).map("".join)
any_length = texts | tagged | tagged.map(lambda text: text * 40) | st.text(alphabet="7x=+#@ü", min_size=250)
delimiters = st.sampled_from(["+", "", "-+=", "#", "x", "7"])
words = st.from_regex(r"[a-zA-Z0-9]{1,10}", fullmatch=True)
users = st.from_regex(r"[a-z]{1,8}(=[a-z]{1,8}\.example)?", fullmatch=True)
TAGGED = (
    "prvs={tag}={user}",
    "msprvs1={tag}={user}",
    "btv1=={tag}=={user}",
    "SRS0={tag}=T2=d1.example={user}",
    "SRS0={tag}=T2=d1={user}",
    "SRS1={tag}=d2.example==HHH=T2=d1.example={user}",
    "SRS1=HHH=d2.example=+{tag}=T2=d1.example={user}",
)
names = st.text("abcdefghijk", min_size=1, max_size=9)  # many of them hexadecimal, none a word for bounces
numbers = st.text("0123456789", min_size=1, max_size=12)
hexadecimal = st.text("0123456789abcdef", min_size=4, max_size=40)
people = (
    names
    | numbers
    | hexadecimal
    | st.uuids().map(str)
    | st.builds("{}{}".format, names, numbers)
    | st.builds("{}{}{}".format, names, st.sampled_from(".-_"), names)
    | st.builds("{}{}{}".format, names, st.sampled_from(".-_"), numbers)
    | st.builds("{}{}{}".format, numbers, st.sampled_from(".-_"), numbers | names)
    | st.builds("{}{}{}.{}".format, names, st.sampled_from(".-_"), names, numbers)
    | st.builds("{}={}.example".format, names | st.builds("{}.{}".format, names, numbers), names)
)
"""Local parts as people and systems choose them: names, names with a year, a birthday or a telephone number, keys."""
SIGNED = (
    "{user}",
    "prvs={signature}={user}",
    "PRVS={user}={signature}",
    "{user}+prvs={signature}",
    "msprvs1={tag}={user}",
    "btv1=={tag}=={user}",
    "SRS0={tag}=T2=d1.example={user}",
    "SRS1={tag}=d2.example==HHH=T2=d1.example={user}",
)
SIGNATURE = "[0-9]{3,4}[0-9a-f]{6}"
signatures = st.from_regex(SIGNATURE, fullmatch=True)
long_hexadecimal = st.from_regex(r"[0-9]{2}[0-9a-f]{6,30}[a-f]", fullmatch=True)
NUMBERED = (
    "bounce-{number}-{key}-jane=example.org",
    "bounces+{number}-{key}-jane=example.org",
    "list-return-{number}-jane=example.org",
    "{number}.bounce",
    "owner-list_{key}",
    "newsletter.{number}.{uuid}",
    "{long}-{uuid}-000000",
    "n{long}-{long}-jane===d.example",
    "x-{uuid}",
    "{number}-{key}-jane=example.org",
)

letters = st.text(alphabet=st.characters(categories=["Ll"], min_codepoint=0x80), min_size=1, max_size=5)


@given(texts)
def test_nothing_is_raised(address: str) -> None:
    """Any text from a peer is an address, also with other delimiters than the default."""
    for rules in (RULES, TripletRules(recipient_delimiter=""), TripletRules(recipient_delimiter="-+=")):
        rules.recipient(address)
        rules.sender(address)


@given(any_length, delimiters)
@example("7" * 230 + "x" * 30 + "@d", "+")  # the end is cut within a number
@example("jane.5@d", "#")  # the delimiter is the mark of VERP
@example("jane.5x@d", "x")
@example("prvs=t= prvs=t=jane@d", "+")
@example("SRS0=HH=TT=d1=a=b=c=d@d2", "+")
@example("SRS1=HH=d1==HH=TT=d2==a=b=c@d3", "+")
def test_normalising_the_normalised_changes_nothing(address: str, delimiter: str) -> None:
    """This holds for any length and any nesting, and for the hash of the address too."""
    rules, private = (TripletRules(recipient_delimiter=delimiter, privacy_key=key) for key in (b"", b"k" * 32))
    for normalise, hashed in ((rules.sender, private.sender), (rules.recipient, private.recipient)):
        normal = normalise(address)
        assert normalise(normal) == normal == normal.strip()
        assert len(normal.encode()) <= LONGEST_PART
        assert hashed(normal) == hashed(address) == private.as_stored(normal)


@given(users, st.lists(st.tuples(st.sampled_from(TAGGED), words, words), max_size=6))
@example("jane", [("SRS0={tag}=TT=d1={user}", "a1", "b2"), ("SRS0={tag}=TT=d2={user}", "a1", "b2")])
def test_tags_do_not_matter_however_they_are_nested(user: str, tags: list[tuple[str, str, str]]) -> None:
    """The same mail with other tags has the same triplet, and that of another user has another."""
    first = later = user
    other = f"{user}o"
    for form, one, two in tags:
        first, later, other = (
            form.format(tag=tag, user=local) for tag, local in ((one, first), (two, later), (one, other))
        )
    assume(len(first) < LONGEST_PART // 2 > len(later))
    assert RULES.sender(f"{first}@d") == RULES.sender(f"{later}@d") != RULES.sender(f"{other}@d")


@given(people, people, st.lists(st.sampled_from(SIGNED), max_size=3), signatures, signatures, words, words)
@example("jane.1984", "jane.1985", [], "0123456789", "0123456789", "a", "b")
@example("a", "b", ["PRVS={user}={signature}", "{user}+prvs={signature}"], "000000000", "000000001", "a", "b")
@example("10086", "10087", ["prvs={signature}={user}"], "0123456789", "0123456789", "a", "b")
def test_two_users_are_never_one(
    one: str, other: str, forms: list[str], signature: str, later: str, tag: str, later_tag: str
) -> None:
    """Their servers sign and others forward their mail: the tags are undone, the users stay."""
    same = one
    looks_signed = any(re.fullmatch(SIGNATURE, user) for user in (one, other))
    assume(not (looks_signed and "PRVS={user}={signature}" in forms))  # which of the two is the tag?
    for form in forms:
        one, other, same = (
            form.format(user=user, signature=signed, tag=tagged)
            for user, signed, tagged in ((one, signature, tag), (other, signature, tag), (same, later, later_tag))
        )
    assume(max(map(len, (one, other, same))) < LONGEST_PART // 2)
    assert RULES.sender(f"{one}@d.example") == RULES.sender(f"{same}@d.example")
    if one != other:
        assert RULES.sender(f"{one}@d.example") != RULES.sender(f"{other}@d.example")


@given(st.sampled_from(NUMBERED), st.data())
def test_numbers_of_a_message_do_not_matter(form: str, data: st.DataObject) -> None:
    """As servers write them: each number, key and UUID of a return path is another in the next message."""
    one, other = (
        form.format(
            number=data.draw(numbers),
            key=data.draw(hexadecimal.filter(lambda key: any(map(str.isdigit, key)))),
            long=data.draw(long_hexadecimal),
            uuid=data.draw(st.uuids()),
        )
        for _ in range(2)
    )
    assert RULES.sender(f"{one}@d.example") == RULES.sender(f"{other}@D.EXAMPLE".upper())
    assert RULES.sender(f"{one}@d.example") != RULES.sender(f"x.{other}@d.example")


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
    """This holds for letters far from ASCII, whatever their case folding is."""
    assume(one.casefold() != other.casefold())
    assert RULES.recipient(f"{one}@{domain}") != RULES.recipient(f"{other}@{domain}")
    assert RULES.sender(f"{one}@{domain}") != RULES.sender(f"{other}@{domain}")


@given(texts | st.text(min_size=200), texts | st.text(min_size=200))
def test_every_engine_can_keep_every_part(one: str, other: str) -> None:
    """It is short enough, stays the same when it is bounded again, and distinguishes any two but by white space around
    them."""
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
