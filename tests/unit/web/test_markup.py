"""Where names may break, and instants in sentences."""

from html import unescape

import pytest

from bley.web.markup import breakable, with_times


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("209.85.214.19/4", ["209.85.214.19/4"]),
        ("255.255.255.255", ["255.255.255.255"]),
        ("[192.0.2.1]", ["[192.0.2.1]"]),
        ("192.0.2.1.example.net", ["192.", "0.", "2.", "1.", "example.", "net"]),
        ("2001:db8::/64", ["2001:", "db8::/", "64"]),
        ("jane+news@mail.example.org", ["jane+", "news@", "mail.", "example.", "org"]),
        ("and 4\u202f491 in 5\u00a0min", ["and", " ", "4\u202f491", " ", "in", " ", "5\u00a0min"]),
        ("<>", ["<>"]),
        ("", [""]),
    ],
)
def test_a_name_breaks_behind_its_separators_only(text: str, pieces: list[str]) -> None:
    assert unescape(breakable(text)).split("<wbr>") == pieces


@pytest.mark.parametrize(
    "text", ["a" * 64 + "@example.org", "дом@bücher.example", "a b", "--..@@", '"<b>"@example.org']
)
def test_a_long_word_breaks_too_and_nothing_is_lost(text: str) -> None:
    pieces = unescape(breakable(text)).split("<wbr>")
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= 21


def test_a_name_is_only_text() -> None:
    assert "<b>" not in breakable("<b>@example.org")
    assert breakable("\u202egro") == with_times("\u202egro") == r"\u202egro"


def test_an_instant_in_a_sentence_is_marked() -> None:
    assert with_times("passed at 2026-11-23 12:00:00 UTC & <b>") == (
        'passed at <time datetime="2026-11-23T12:00:00Z">2026-11-23 12:00:00 UTC</time> &amp; &lt;b&gt;'
    )


@pytest.mark.parametrize("text", ["2026-13-40 99:00:00 UTC", "since 0000-00-00 00:00 UTC", "12026-11-23 12:00:00 UTC"])
def test_what_only_looks_like_an_instant_is_text(text: str) -> None:
    """A peer may write it, for example in a HELO name."""
    assert with_times(text) == text
