"""The lists of `bley allow`: their entries, ends and comments."""

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bley.core.errors import SettingsError
from bley.core.exemptions.list_files import read_clients
from bley.core.exemptions.local_list import (
    KINDS,
    Kind,
    LocalEntry,
    check_entry,
    entries_of,
    find_same,
    in_force,
    is_same,
    possible_kinds,
)

TODAY = date(2026, 11, 29)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("192.0.2.7", LocalEntry("192.0.2.7")),
        ("a.example  # why", LocalEntry("a.example", comment="why")),
        ("a.example # until 2026-11-29", LocalEntry("a.example", TODAY)),
        ("a.example#until 2026-11-29, mine", LocalEntry("a.example", TODAY, comment="mine")),
        (
            "<> # until 2026-11-29, added 2026-11-01: Jane: #7; x",
            LocalEntry("<>", TODAY, "2026-11-01", "Jane: #7; x"),
        ),
        ("a.example # added 2026-11-01", LocalEntry("a.example", added="2026-11-01")),
        ("a.example # until further notice", LocalEntry("a.example", comment="until further notice")),
        ("a.example ; until 2026-11-29", LocalEntry("a.example", TODAY)),
    ],
)
def test_a_line_is_an_entry_with_its_end_and_comment(line: str, entry: LocalEntry) -> None:
    assert entries_of("local", f"# head\n\n{line}\n") == [(2, entry)]


@given(
    st.none() | st.dates(),
    st.just("") | st.dates().map(str),
    st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["C", "Z"])).map(str.strip),
)
def test_a_written_entry_is_read_as_it_was(until: date | None, added: str, comment: str) -> None:
    """Unless the comment alone looks like a date of ours."""
    entry = LocalEntry("192.0.2.7", until, added, comment)
    if not re.match(r"until|added|[,:]", comment):
        assert entries_of("local", entry.line) == [(0, entry)]
    assert read_clients([("local", entry.line)]).networks


@pytest.mark.parametrize("end", ["2026-13-01", "2026-1-31", "31.12.2026", "2026"])
def test_an_end_that_is_no_date_is_a_fault(end: str) -> None:
    with pytest.raises(SettingsError) as error:
        in_force("local", f"a.example\nb.example # until {end}", TODAY)
    assert str(error.value) == f"local:2: {end!r} is not a date: write # until 2026-12-31"


@pytest.mark.parametrize(
    ("today", "text", "ends"),
    [
        (TODAY - DAY, "a # until 2026-11-29\nb\nc # until 2026-11-30", TODAY),
        (TODAY, "a # until 2026-11-29\nb\nc # until 2026-11-30", TODAY),
        (TODAY + DAY, "\nb\nc # until 2026-11-30", TODAY + DAY),
        (TODAY + 2 * DAY, "\nb\n", None),
    ],
)
def test_an_entry_has_no_effect_after_its_last_day(today: date, text: str, ends: date | None) -> None:
    """The other entries stay in their lines."""
    assert in_force("local", "a # until 2026-11-29\nb\nc # until 2026-11-30", today) == (text, ends)


@pytest.mark.parametrize(
    ("kind", "entry", "why"),
    [
        ("client", "", "'' is not an entry"),
        ("client", "a.example\nb.example", r"'a.example\nb.example' is not an entry"),
        ("client", "a.example\x1b", r"'a.example\x1b' is not an entry"),
        ("sender", "a#b@example.com", "'a#b@example.com' has # or ;, which begin a comment: give it by --comment"),
        ("client", "a.example OK", "'a.example OK' has several words: write one entry"),
        ("client", "jane@example.org", "'jane@example.org' is a mail address; a client file takes host names, "),
        ("recipient", "<>", "'<>' is the null sender: it belongs in whitelist_senders_file"),
        ("sender", "192.0.2.7", "'192.0.2.7' is not a mail address or domain; networks belong in whitelist_clients_"),
    ],
)
def test_an_invalid_entry_has_the_readers_reason(kind: Kind, entry: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        check_entry(kind, entry)


@pytest.mark.parametrize(
    ("entry", "kinds"),
    [
        ("192.0.2.0/24", "client"),
        ("2001:db8::-2001:db8::5", "client"),
        ("<>", "sender"),
        ("spf:example.org", "sender"),
        ("jane@example.org", "sender recipient"),
        ("mail.example.com", "client sender recipient"),
        ("/^mx/", "client sender recipient"),
        ("a b", ""),
    ],
)
def test_some_entries_are_of_one_kind_only(entry: str, kinds: str) -> None:
    assert possible_kinds(entry) == kinds.split()


@pytest.mark.parametrize(
    ("kind", "one", "other", "same"),
    [
        ("client", "192.0.2.7", "[192.0.2.7]", True),
        ("client", "192.0.2", "192.0.2.0/24", True),
        ("client", "192.0.2.7", "192.0.2.0/24", False),
        ("client", "192.0.2.0-192.0.2.2", "192.0.2.0-2", True),
        ("client", "Bücher.example", "*.xn--bcher-kva.example", True),
        ("client", "unknown", "/^unknown$/", True),
        ("client", "/a/", "/b/", False),
        ("sender", "<>", "MAILER-DAEMON", True),
        ("sender", "spf:example.org", "example.org", False),
        ("sender", "spf:example.org", "SPF:Example.org", True),
        ("recipient", "jane@example.org", "<Jane@example.org>", True),
        ("recipient", "@example.org", "example.org", False),
        ("client", "a b", "A B", True),
        ("client", "a b", "c", False),
    ],
)
def test_entries_are_the_same_if_they_exempt_the_same(kind: Kind, one: str, other: str, same: bool) -> None:
    assert is_same(kind, one, other) is same


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_entry_is_found_among_others(kind: Kind) -> None:
    lines = {
        "client": ["192.0.2.0-192.0.2.2", "unknown", "/^mx/", "a.example"],
        "sender": ["<>", "spf:example.org", "jane@example.net", "a.example"],
        "recipient": ["jane@example.net", "user@", "/^x/", "a.example"],
    }[kind]
    exemptions = KINDS[kind]([("file", "\n".join(lines))])
    for number, entry in enumerate(lines, start=1):
        assert find_same(kind, entry, exemptions) == f"file:{number}:{entry}"
    assert find_same(kind, "b.a.example", exemptions) is None
