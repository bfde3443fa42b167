"""The operator's regular expressions, with a bound on the time that a stranger's text can make them take.

Python's `re` tries every way to match, and has no time limit: `/(a+)+$/` takes minutes for forty characters, in which
nothing else is answered. The module `regex` has a limit, but a search by it takes 7 us instead of 0.3 us. So `re`
searches by expressions that are simple at a glance, and `regex` by all others.
"""

import re
import warnings
from typing import Any, Final

import regex

__all__ = ["SEARCH_SECONDS", "Expression"]

SEARCH_SECONDS = 0.005
"""CPU time of one search; ordinary expressions take some microseconds."""

_REPETITION = re.compile(r"(?<!\\)[*+{]")
_REPEATED_GROUP = re.compile(r"\)\s*[*+{]")
_FEW_REPETITIONS = 2
"""In an expression that is simple, the search from each place of the text included: some 512 * 512 / 2 steps, 2 ms."""


class Expression:
    """A regular expression that is found anywhere in a text, in upper or lower case.

    A search that takes more than `SEARCH_SECONDS` is the last one: from then on `is_put_aside`, and nothing matches.
    Raises ValueError, which says what is wrong, for a text that is no regular expression.
    """

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self.is_put_aside = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", FutureWarning)  # [[:alpha:]] means something else to Python
                self._simple = re.compile(text, re.IGNORECASE)
                self._limited: Any = None if _is_simple(text) else regex.compile(text, regex.IGNORECASE)
        except (re.error, regex.error, OverflowError, RecursionError, FutureWarning) as error:
            raise ValueError(f"is no regular expression: {error}") from error

    def search(self, text: str) -> bool:
        """Whether the expression is found in the text."""
        if self._limited is None:
            return self._simple.search(text) is not None
        if self.is_put_aside:
            return False
        try:
            return self._limited.search(text, timeout=SEARCH_SECONDS) is not None
        except TimeoutError:
            self.is_put_aside = True
            return False


def _is_simple(text: str) -> bool:
    """Whether it repeats no group, and has few repetitions. Where a character is no repetition, that does no harm."""
    repetitions = len(_REPETITION.findall(text)) + (not text.startswith("^"))
    return repetitions <= _FEW_REPETITIONS and not _REPEATED_GROUP.search(text)
