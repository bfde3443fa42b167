"""Numbers and times as the pages show them."""

from datetime import timedelta

import pytest

from bley.web.formatting import ago, capitalized, duration, instant, iso, milliseconds, number, share
from tests.fakes import NOON


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", "'")


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (999, "999"), (1000, "1'000"), (1234567, "1'234'567")])
def test_thousands_stand_apart(value: int, text: str) -> None:
    assert plain(number(value)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "\N{EN DASH}"), (0.0, "0.0'%"), (0.5678, "56.8'%"), (1.0, "100.0'%")]
)
def test_shares_are_percent(value: float | None, text: str) -> None:
    assert plain(share(value)) == text


def test_latencies_are_milliseconds() -> None:
    assert plain(milliseconds(0.01234)) == "12.3 ms"
    assert milliseconds(None) == "\N{EN DASH}"


def test_a_duration_never_breaks_and_is_never_negative() -> None:
    assert duration(3900) == "1 h 5 min".replace(" ", "\N{NO-BREAK SPACE}")
    assert plain(duration(-3)) == "0 s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "now"), (0.5, "now"), (59, "59 s ago"), (60, "1 min ago"), (90_000, "1 d ago")]
)
def test_how_long_ago(seconds: float, text: str) -> None:
    assert plain(ago(NOON - timedelta(seconds=seconds), NOON)) == text


def test_instants_are_utc() -> None:
    assert instant(NOON) == "2026-11-23 12:00:00"
    assert iso(NOON) == "2026-11-23T12:00:00Z"


def test_a_sentence_begins_with_a_capital_and_the_rest_stays() -> None:
    assert capitalized("the HELO name") == "The HELO name"
    assert capitalized("") == ""
