"""What the checks can find about a stranger. Not knowing is a finding too: it counts nothing and says why."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from bley.core.dnslists.lists import ListAnswer

__all__ = [
    "ALWAYS_TOLD",
    "CHECK_OF",
    "LONGEST_DETAIL",
    "NO_EVIDENCE",
    "RFC_CHECKS",
    "Check",
    "Evidence",
    "Fact",
    "Finding",
    "shortened",
]


class Check(StrEnum):
    """What is looked at, by the word that stands for it in the log, in the order in which they stand there."""

    HELO = "helo"
    DYNAMIC = "dyn"
    SENDER_IS_RECIPIENT = "s_eq_r"
    SPF = "spf"
    DNSBL = "dnsbl"
    DNSWL = "dnswl"
    HELO_LOOKS_DYNAMIC = "helo-looks-dynamic"
    CLIENT_HAS_NO_NAME = "client-has-no-name"
    HELO_NOT_FQDN = "helo-not-fqdn"
    HELO_BARE_ADDRESS = "helo-bare-address"
    HELO_IS_LOCAL = "helo-is-local"
    HELO_CLAIMS_US = "helo-claims-us"


ALWAYS_TOLD = (Check.HELO, Check.DYNAMIC, Check.SENDER_IS_RECIPIENT, Check.SPF, Check.DNSBL, Check.DNSWL)
"""What is told whenever it was asked, with 0 where nothing is found; the others are told only where they are found."""

RFC_CHECKS = (
    Check.HELO,
    Check.DYNAMIC,
    Check.HELO_LOOKS_DYNAMIC,
    Check.CLIENT_HAS_NO_NAME,
    Check.HELO_NOT_FQDN,
    Check.HELO_BARE_ADDRESS,
    Check.HELO_IS_LOCAL,
    Check.HELO_CLAIMS_US,
    Check.SENDER_IS_RECIPIENT,
    Check.SPF,
)
"""The checks whose scores add up against `rfc_threshold`, in the order in which they are named as the reason."""


class Fact(StrEnum):
    """What can be found and counts against `rfc_threshold`, by its name in `scores` and in the metrics."""

    HELO_MISMATCH = "helo-mismatch"
    """HELO is not the client's name: RFC 5321 4.1.1.1."""
    HELO_HALF_MATCH = "helo-half-match"
    """HELO has the registered domain of the client's name, or is the client's address as a literal."""
    HELO_LOOKS_DYNAMIC = "helo-looks-dynamic"
    """HELO is the name of an access line: RFC 5321 2.3.5 wants the name of a host that somebody named."""
    HELO_NOT_FQDN = "helo-not-fqdn"
    """HELO has no dot: RFC 5321 2.3.5."""
    HELO_BARE_ADDRESS = "helo-bare-address"
    """HELO is an address without brackets: RFC 5321 4.1.3."""
    HELO_IS_LOCAL = "helo-is-local"
    """HELO is a name that no other network knows: RFC 6761 6.3, RFC 6762 3."""
    HELO_CLAIMS_US = "helo-claims-us"
    """HELO is our own name or address, or the recipient's domain, and the client's name is not: RFC 5321 4.1.1.1."""
    CLIENT_LOOKS_DYNAMIC = "client-looks-dynamic"
    """The client's name is that of an access line."""
    CLIENT_HAS_NO_NAME = "client-has-no-name"
    """The client has no verified name: RFC 1912 2.1."""
    SENDER_IS_RECIPIENT = "sender-is-recipient"
    """The mail is to oneself."""
    SPF_FAIL = "spf-fail"
    """SPF says fail or softfail: RFC 7208 8.4, 8.5."""
    SPF_NO_PASS = "spf-no-pass"
    """SPF says neither these nor pass: none, neutral, permerror."""


CHECK_OF = {
    Fact.HELO_MISMATCH: Check.HELO,
    Fact.HELO_HALF_MATCH: Check.HELO,
    Fact.CLIENT_LOOKS_DYNAMIC: Check.DYNAMIC,
    Fact.SENDER_IS_RECIPIENT: Check.SENDER_IS_RECIPIENT,
    Fact.SPF_FAIL: Check.SPF,
    Fact.SPF_NO_PASS: Check.SPF,
    **{Fact(check): check for check in RFC_CHECKS if check not in ALWAYS_TOLD},
}
"""Which check finds a fact: what is no check's only fact has its own name for a check."""


LONGEST_DETAIL = 500
"""Characters of a finding's detail, and of what one DNS list says. Strangers write some of them."""


def shortened(text: str) -> str:
    """The text, or the beginning of one that is longer than `LONGEST_DETAIL`, with an ellipsis."""
    return text if len(text) <= LONGEST_DETAIL else f"{text[: LONGEST_DETAIL - 1]}…"


class _Finding(NamedTuple):
    score: int | None
    detail: str
    answers: tuple[ListAnswer, ...] = ()
    fact: Fact | None = None
    """None: nothing that counts was found, or the check has no facts."""
    counts_alone: bool = True
    """False: it counts only where SPF is known not to pass."""


class Finding(_Finding):
    """One check's answer: what it counts (None: unknown) and, for people, why; of DNS lists, what each answered.

    The detail is `shortened`, wherever it comes from.
    """

    __slots__ = ()

    def __new__(
        cls,
        score: int | None,
        detail: str,
        answers: tuple[ListAnswer, ...] = (),
        fact: Fact | None = None,
        counts_alone: bool = True,
    ) -> Self:
        """Make one."""
        return super().__new__(cls, score, shortened(detail), answers, fact, counts_alone)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override] # mypy knows no _make but its own
        """Make one of all fields, as `_replace` does."""
        return cls(*iterable)

    def __str__(self) -> str:
        return "?" if self.score is None else str(self.score)


Evidence = Mapping[Check, Finding]
"""All findings about one request; a check that was not asked is not in it."""

NO_EVIDENCE: Evidence = MappingProxyType({})
