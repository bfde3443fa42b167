"""What cannot be shown as it is stands there as a backslash code."""

import pytest

from bley.core.escapes import escape_code, escape_controls


@pytest.mark.parametrize(
    ("character", "code"),
    [
        ("\0", r"\x00"), ("\n", r"\x0a"), ("\xff", r"\xff"), ("\u0100", r"\u0100"), ("\uffff", r"\uffff"),
        ("\U00010000", r"\U00010000"), ("\U0010ffff", r"\U0010ffff"),
    ],
)  # fmt: skip
def test_a_code_has_as_many_digits_as_its_letter_says(character: str, code: str) -> None:
    assert escape_code(character) == code
    assert code.encode().decode("unicode-escape") == character


@pytest.mark.parametrize("text", ["", "mail.example", "jürgen@bücher.example", r"a\x0ab", "\N{GREEK SMALL LETTER PI}"])
def test_what_can_be_shown_stays(text: str) -> None:
    assert escape_controls(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a\r\n\tb", r"a\x0d\x0a\x09b", id="control characters"),
        pytest.param("\x1b[31mred\x9b0m", r"\x1b[31mred\x9b0m", id="a terminal's commands"),
        pytest.param("\u202etxt.exe", r"\u202etxt.exe", id="another direction of writing"),
        pytest.param("a\u2028b", r"a\u2028b", id="a line end"),
        pytest.param("a\ud800\udc80", r"a\ud800\udc80", id="lone surrogates"),
        pytest.param("\U000e0001", r"\U000e0001", id="a tag"),
    ],
)
def test_what_cannot_is_a_code(text: str, shown: str) -> None:
    assert escape_controls(text) == shown


def test_some_may_stay_all_the_same() -> None:
    assert escape_controls("a\n\tb\r", kept="\n\t") == "a\n\tb\\x0d"
