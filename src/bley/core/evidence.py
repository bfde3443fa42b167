"""What the checks can find about a stranger. Not knowing is a finding too: it counts nothing and says why."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from bley.core.dnslists import ListAnswer

__all__ = ["NO_EVIDENCE", "RFC_CHECKS", "Check", "Evidence", "Finding"]


class Check(StrEnum):
    """The checks, by the word that stands for them in the log, in the order in which they stand there."""

    HELO = "helo"
    DYNAMIC = "dyn"
    SENDER_IS_RECIPIENT = "s_eq_r"
    SPF = "spf"
    DNSBL = "dnsbl"
    DNSWL = "dnswl"


RFC_CHECKS = (Check.HELO, Check.DYNAMIC, Check.SENDER_IS_RECIPIENT, Check.SPF)
"""The checks whose scores add up against `rfc_threshold`, in the order in which they are named as the reason."""


class Finding(NamedTuple):
    """One check's answer: what it counts (None: unknown) and, for people, why; of DNS lists, what each answered."""

    score: int | None
    detail: str
    answers: tuple[ListAnswer, ...] = ()

    def __str__(self) -> str:
        return "?" if self.score is None else str(self.score)


Evidence = Mapping[Check, Finding]
"""All findings about one request; a check that was not asked is not in it."""

NO_EVIDENCE: Evidence = MappingProxyType({})
