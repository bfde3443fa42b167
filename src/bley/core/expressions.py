"""The operator's regular expressions, with a time limit for searches in text from clients.

Python's `re` backtracks without a time limit: `/(a+)+$/` takes minutes for forty characters, and blocks the event
loop. The module `regex` has a time limit, but its search takes 7 us instead of 0.3 us. So expressions with a simple
syntax run with `re`, all others with `regex`.
"""

import re
import warnings
from typing import Any, Final

import regex

__all__ = ["SEARCH_SECONDS", "Expression"]

SEARCH_SECONDS = 0.005
"""The time limit of one search. Ordinary expressions take some microseconds."""

_REPETITION = re.compile(r"(?<!\\)[*+{]")
_REPEATED_GROUP = re.compile(r"\)\s*[*+{]")
_FEW_REPETITIONS = 2
"""The most repetitions in a simple expression. The search from each position counts as one. So a search takes some
512 * 512 / 2 steps, 2 ms."""


class Expression:
    """A regular expression that matches anywhere in a text, ignoring case.

    A search that exceeds `SEARCH_SECONDS` disables it: `is_disabled` is true, and it matches nothing from then on.
    Raises ValueError, with the cause, if the text is not a regular expression.
    """

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self.is_disabled = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", FutureWarning)  # [[:alpha:]] has another meaning in Python
                self._simple = re.compile(text, re.IGNORECASE)
                self._limited: Any = None if _is_simple(text) else regex.compile(text, regex.IGNORECASE)
        except (re.error, regex.error, OverflowError, RecursionError, FutureWarning) as error:
            raise ValueError(f"is not a regular expression: {error}") from error

    def search(self, text: str) -> bool:
        """Return whether the expression matches anywhere in the text."""
        if self._limited is None:
            return self._simple.search(text) is not None
        if self.is_disabled:
            return False
        try:
            return self._limited.search(text, timeout=SEARCH_SECONDS) is not None
        except TimeoutError:
            self.is_disabled = True
            return False


def _is_simple(text: str) -> bool:
    """Return whether the expression repeats no group and has few repetitions. Counting a literal as one is harmless."""
    repetitions = len(_REPETITION.findall(text)) + (not text.startswith("^"))
    return repetitions <= _FEW_REPETITIONS and not _REPEATED_GROUP.search(text)
