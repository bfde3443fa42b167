"""The findings of the checks about a stranger. An unknown answer is a finding too: it counts 0 and says why."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from bley.core.dnslists.lists import ListAnswer, Meaning
from bley.core.findings import AnyCheck, FindingKind

__all__ = ["LONGEST_DETAIL", "NO_EVIDENCE", "Evidence", "Finding", "found", "is_listed", "shortened"]

LONGEST_DETAIL = 500
"""Characters of a finding's detail, and of the text of one DNS list. Strangers write some of them."""


def shortened(text: str) -> str:
    """The text, or the beginning of one that is longer than `LONGEST_DETAIL`, with an ellipsis."""
    return text if len(text) <= LONGEST_DETAIL else f"{text[: LONGEST_DETAIL - 1]}…"


class _Finding(NamedTuple):
    score: int | None
    detail: str
    answers: tuple[ListAnswer, ...] = ()
    kind: FindingKind | None = None
    """None: nothing that counts was found, or the check is one of DNS lists."""
    counts_alone: bool = True
    """False: it counts only where SPF is known not to pass."""


class Finding(_Finding):
    """The answer of one check: its score (None: unknown), the reason in words, and the answers of DNS lists.

    The detail is always `shortened`.
    """

    __slots__ = ()

    def __new__(
        cls,
        score: int | None,
        detail: str,
        answers: tuple[ListAnswer, ...] = (),
        kind: FindingKind | None = None,
        counts_alone: bool = True,
    ) -> Self:
        """Make a finding."""
        if len(detail) > LONGEST_DETAIL:
            detail = shortened(detail)
        return tuple.__new__(cls, (score, detail, answers, kind, counts_alone))

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override] # mypy knows no _make but its own
        """Make a finding of all fields; `_replace` needs it."""
        return cls(*iterable)

    @property
    def is_pass(self) -> bool:
        """Whether the check found nothing that counts: for SPF, that it passes."""
        return self.score == 0 and self.kind is None

    def __str__(self) -> str:
        return "?" if self.score is None else str(self.score)


Evidence = Mapping[AnyCheck, Finding]
"""All findings about one request, by check; a check that did not run is missing."""

NO_EVIDENCE: Evidence = MappingProxyType({})


def is_listed(evidence: Evidence) -> bool:
    """Return whether a DNS list lists the client, be it with a return code that counts or not."""
    for finding in evidence.values():
        for each in finding.answers:
            if each.answer.meaning is Meaning.LISTED:
                return True
    return False


def found(kind: FindingKind, detail: str) -> Finding:
    """Return a finding of this kind with its default score; `Scores.counted` gives it the score of other settings."""
    return Finding(kind.row.score, detail, kind=kind)
