"""Which of the operator's regular expressions are taken."""

import time

import pytest

from bley.core.expressions import compile_expression


@pytest.mark.parametrize(
    "text",
    [
        r"^mx\d+\.example\.net$",
        r".*\.example\.com$",
        r"^(?:[\w-]+\.)+example\.com$",
        r"([a-z]+-)*[0-9]+",
        r"(ab)+",
        r"(a|b)+",
        r"(a{1,3})+",
        r"a+b+c+",
        r"(?:a+){2}",
        r"^(a+)?b",
        r"(?=a+)(b)+",
        r"(?>a+)+",
        r"(?:a++)+",
        r"",
    ],
)
def test_it_is_taken(text: str) -> None:
    assert compile_expression(text).flags


@pytest.mark.parametrize(
    "text",
    [
        r"(a+)+",
        r"(a*)*",
        r"(a+)*$",
        r"(?:a+)+?",
        r"((a+))+",
        r"(a+b?)+",
        r"(^a+)+",
        r"(a|b+)+",
        r"(\w*)+@",
        r"(?:(?:a+)?)+",
        r"x(?:y(a+)+z)?",
        r"([a-z]{1,20}){1,30}",
        r"(a+(?=b))*",
        r"((a+)|b)+",
        r"(.+)+\.example\.com",
        r"(?:(?:a|b*)c?)*",
    ],
)
def test_what_could_take_exponential_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="repeats a repetition"):
        compile_expression(text)


@pytest.mark.parametrize("text", ["(", "[[:alpha:]]", "a{99999999999}", "*", "(?P<1>a)"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no regular expression: "):
        compile_expression(text)


@pytest.mark.parametrize("text", [r"^(?:[\w-]+\.)+example\.com$", r".*\.example\.com$", r"a+b+c+d", r"^.*@.*\.com$"])
@pytest.mark.parametrize("unit", ["a", "a.", "ab", "@.", "-"])
def test_what_is_taken_is_fast_on_what_a_stranger_may_write(text: str, unit: str) -> None:
    """512 characters (core.mail.LONGEST_VALUE); CPU time, measured 7 ms."""
    begun = time.thread_time()
    compile_expression(text).search(unit * (512 // len(unit)))
    assert time.thread_time() - begun < 0.2
