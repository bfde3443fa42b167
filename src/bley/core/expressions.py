"""The operator's regular expressions, as far as no stranger's text can make them take exponential time.

Python's `re` tries every way to match. Where a repetition repeats what is a repetition by itself, as in `(a+)+`, a text
of n characters can be divided in 2 ** n ways: thirty characters take minutes, in which nothing else is answered.
"""

import importlib
import re
import warnings
from collections.abc import Iterable
from typing import Any

__all__ = ["compile_expression"]

_parser: Any = importlib.import_module("re._parser")
"""Python's own: what it reads is what `re` does. It is private, but the only one."""

_REPEATS = (_parser.MAX_REPEAT, _parser.MIN_REPEAT)
_MANY = 10
"""A repetition of more than so many times counts as one without end."""

_Pattern = Iterable[tuple[Any, Any]]


def compile_expression(text: str) -> re.Pattern[str]:
    """Return the expression, for which upper and lower case are the same. Raises ValueError that says what is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # [[:alpha:]] means something else to Python
            expression = re.compile(text, re.IGNORECASE)
            parsed = _parser.parse(text, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        raise ValueError(f"is no regular expression: {error}") from error
    if _repeats_a_repetition(parsed):
        raise ValueError("repeats a repetition, as (a+)+ does, which can take hours: write it once")
    return expression


def _repeats_a_repetition(pattern: _Pattern) -> bool:
    return any(
        (operator in _REPEATS and value[1] > _MANY and _can_be_a_repetition(value[2]))
        or any(map(_repeats_a_repetition, _parts(operator, value)))
        for operator, value in pattern
    )


def _can_be_a_repetition(pattern: _Pattern) -> bool:
    """Whether all that it matches may be matched by one repetition within it, since all beside that may be empty."""
    items = list(pattern)
    needed = [item for item in items if not _can_be_empty(*item)]
    if len(needed) > 1:
        return False
    return any(
        (operator in _REPEATS and value[1] > _MANY) or any(map(_can_be_a_repetition, _parts(operator, value)))
        for operator, value in needed or items
    )


def _can_be_empty(operator: Any, value: Any) -> bool:
    if operator in _REPEATS and value[0] == 0:
        return True
    if operator in (_parser.AT, _parser.ASSERT, _parser.ASSERT_NOT):
        return True
    parts = _parts(operator, value)
    return bool(parts) and any(all(_can_be_empty(*item) for item in part) for part in parts)


def _parts(operator: Any, value: Any) -> list[_Pattern]:
    """The patterns that one item is made of: of a branch each, of a group what is in it."""
    if operator is _parser.BRANCH:
        return list(value[1])
    if operator is _parser.SUBPATTERN or operator in _REPEATS:
        return [value[-1]]
    return []
