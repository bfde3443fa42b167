"""The operator's regular expressions: which texts are some, and what a search costs."""

import pickle

import pytest

from bley.core.expressions import SEARCH_SECONDS, Expression
from tests.step_time import in_time

LONGEST = 512
"""Characters that a stranger may write: core.mail.LONGEST_VALUE."""

ORDINARY = [
    r"^mx\d+\.example\.net$",
    r".*\.example\.com$",
    r"^(?:[\w-]+\.)+example\.com$",
    r"(^|\.)example\.com$",
    r"^.*@.*\.com$",
    r"^(newsletter|bounce)[-+]\d+@",
    r"a+b+c+d",
    r"",
]

EXPONENTIAL = [
    r"(a+)+$",
    r"(a{1,3})+$",
    r"(aa?)+$",
    r"(a|aa)+$",
    r"([a-z]+-?)*$",
    r"((a+)b?)*$",
    r"(?x) ( a+ ) + $",
    r"(a+)(?#again)+$",
    r"^(?:a?){400}a{400}$",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_one_is_never_disabled(text: str) -> None:
    expression = Expression(text)
    for unit in ("a", "a.", "ab", "@.", "-", "x1"):
        in_time(lambda unit=unit: expression.search(unit * (LONGEST // len(unit))))  # type: ignore[misc]
    assert not expression.is_disabled


@pytest.mark.parametrize("text", EXPONENTIAL)
def test_one_that_takes_too_long_is_disabled(text: str) -> None:
    """It costs its limit once, and nothing from then on."""
    expression, hostile = Expression(text), "a" * (LONGEST - 1) + "!"
    in_time(lambda: expression.search(hostile), 20 * SEARCH_SECONDS)
    assert expression.is_disabled
    assert not expression.search("a")


def test_one_that_may_take_long_matches_until_it_does() -> None:
    expression = Expression(r"^(?:[\w-]+\.)+EXAMPLE\.com$")
    assert expression.search("a.b.example.com")
    assert not expression.search("example.org")


def test_a_worker_gets_it_as_it_is() -> None:
    for text in (r"^a$", r"^(a+)+$"):
        assert pickle.loads(pickle.dumps(Expression(text))).search("A")


@pytest.mark.parametrize("text", ["(", "[[:alpha:]]", "a{99999999999}", "*", "(?P<1>a)"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a regular expression: "):
        Expression(text)
