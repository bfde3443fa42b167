"""All that a check can find about a stranger, as one table: a finding is one row.

Scores, reasons, log fields, advice, the words of `bley explain` and the dashboard, the colours of `bley graph` and the
tables of the documentation are read from here. A new check is a row here and a function in `checks/`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from bley.core.reasons import OF_DOMAINS, Reason, ReasonRow

__all__ = [
    "CAUSES",
    "FIXES",
    "JUDGED",
    "KINDS",
    "LOG_FIELDS",
    "REASONS",
    "REASON_OF",
    "REPEATED",
    "RFC_CHECKS",
    "AnyCheck",
    "AnyReason",
    "Check",
    "FindingKind",
    "FindingRow",
]


class Check(StrEnum):
    """The checks that are logged whenever they ran, with 0 if nothing is found, in the log's order.

    The value is the log field. A finding that is no such check's is logged by its own name, only where it is found.
    """

    HELO = "helo"
    DYNAMIC = "dyn"
    SENDER_IS_RECIPIENT = "s_eq_r"
    SPF = "spf"
    DNSBL = "dnsbl"
    DOMAIN_LIST = "domain-list"
    DNSWL = "dnswl"


@dataclass(frozen=True, slots=True)
class FindingRow:
    """All that is known of a finding."""

    name: str
    """As the setting `scores`, metrics and the documentation have it."""
    score: int
    """Its default score against `rfc_threshold`.

    A HELO mismatch is enough for `rfc_threshold = 2` by itself; two of the other findings are needed.
    """
    bley2_score: int
    """Its score with `scores = bley2`."""
    says: str
    """The fault, in few words."""
    rule: str
    """When exactly it is found."""
    source: str
    fix: str = ""
    """The remedy for the operator of the client."""
    check: Check | None = None
    """Whose log field it shares; None: the field has its own name."""
    reason: Reason | None = None
    """The reason that it shares, where it tips the sum; None: it is its own reason."""
    is_about_client: bool = False
    """It makes the client look unlike a mail server, so that `sender-is-recipient` counts too."""


class FindingKind(StrEnum):
    """The findings that count against `rfc_threshold`, in the order in which their scores are added."""

    row: FindingRow

    def __new__(cls, row: FindingRow) -> Self:
        """Make the member of this row."""
        member = str.__new__(cls, row.name)
        member._value_ = row.name
        member.row = row
        return member

    HELO_MISMATCH = FindingRow(
        name="helo-mismatch",
        check=Check.HELO,
        reason=Reason.HELO,
        score=2,
        bley2_score=2,
        says="the HELO name is not the client's",
        rule="the HELO name is not the client's verified name, and none of the next three",
        source="RFC 5321 4.1.1.1",
        fix="its HELO should be its own host name, which leads to its address and back",
        is_about_client=True,
    )
    HELO_HALF_MATCH = FindingRow(
        name="helo-half-match",
        check=Check.HELO,
        reason=Reason.HELO,
        score=1,
        bley2_score=1,
        says="the HELO name only resembles the client's",
        rule="the HELO name has the registered domain of the client's name, or is the client's address as a literal",
        source="RFC 5321 4.1.3",
        fix="its HELO should be its own host name, which leads to its address and back",
    )
    HELO_RESOLVES = FindingRow(
        name="helo-resolves",
        check=Check.HELO,
        reason=Reason.HELO,
        score=1,
        bley2_score=2,
        says="the HELO name leads to the client's address, but is not its name",
        rule="the mail server found no name for the client, and the HELO name leads to the client's address",
        source="RFC 5321 4.1.4",
        fix="its address should have the HELO name as its host name",
    )
    HELO_MAIL_SERVER = FindingRow(
        name="helo-mail-server",
        check=Check.HELO,
        reason=Reason.HELO,
        score=1,
        bley2_score=2,
        says="the HELO name is another mail server's",
        rule="the client's verified name and the HELO name are servers' names of different domains, the client's more "
        "than a domain and without a serial number, and one of them has a word like `mail`, `mx` or `smtp`",
        source="practice",
        fix="its HELO should be its own host name, which leads to its address and back",
    )
    CLIENT_LOOKS_DYNAMIC = FindingRow(
        name="client-looks-dynamic",
        check=Check.DYNAMIC,
        reason=Reason.DYNAMIC,
        score=1,
        bley2_score=1,
        says="the client's host name looks like an access line's",
        rule="the client's verified name looks like an access line's",
        source="practice",
        fix="its host name should not look like an access line's",
        is_about_client=True,
    )
    HELO_LOOKS_DYNAMIC = FindingRow(
        name="helo-looks-dynamic",
        score=1,
        bley2_score=0,
        says="the HELO name looks like an access line's",
        rule="the HELO name looks like an access line's, by a word or by the whole address of the client",
        source="RFC 5321 2.3.5: a host's primary name",
        fix="its HELO should not look like an access line's name",
    )
    CLIENT_HAS_NO_NAME = FindingRow(
        name="client-has-no-name",
        score=1,
        bley2_score=0,
        says="the client has no verified name",
        rule="its address has no PTR record; with `check_names = 0`, the mail server found no name",
        source="RFC 1912 2.1",
        fix="its address should have a host name that leads to the address and back",
        is_about_client=True,
    )
    CLIENT_NAME_UNVERIFIED = FindingRow(
        name="client-name-unverified",
        score=0,
        bley2_score=0,
        says="the client's host name does not lead back to it",
        rule="its address has PTR records, and none of their names leads back to the address",
        source="RFC 1912 2.1",
        fix="its host name should lead to its address",
        is_about_client=True,
    )
    HELO_NOT_FQDN = FindingRow(
        name="helo-not-fqdn",
        score=1,
        bley2_score=0,
        says="the HELO name has no dot",
        rule="a mismatch without a dot in it",
        source="RFC 5321 2.3.5",
        fix="its HELO should be its whole host name, with the domain",
    )
    HELO_BARE_ADDRESS = FindingRow(
        name="helo-bare-address",
        score=1,
        bley2_score=0,
        says="the HELO name is an address without brackets",
        rule="a mismatch that is an address without brackets",
        source="RFC 5321 4.1.3",
        fix="its HELO should be its host name, not an address",
    )
    HELO_IS_LOCAL = FindingRow(
        name="helo-is-local",
        score=1,
        bley2_score=0,
        says="the HELO name is in no public DNS",
        rule="a mismatch that is `localhost`, or ends in `.local`, `.lan`, `.localdomain`, `.internal`, …",
        source="RFC 6761 6, RFC 6762 3 and appendix G",
        fix="its HELO should be a host name that the public DNS knows",
    )
    HELO_CLAIMS_US = FindingRow(
        name="helo-claims-us",
        score=1,
        bley2_score=0,
        says="the HELO name is ours",
        rule="a mismatch that is the recipient's domain, our own host name, or an address in `trusted_networks`",
        source="RFC 5321 4.1.1.1",
        fix="its HELO should be its own host name, not ours",
    )
    GENERIC_NAME = FindingRow(
        name="generic-name",
        score=1,
        bley2_score=0,
        says="its name is a static line's or a rented machine's",
        rule="the client's verified name is that of a static line or a rented machine, or one of dynamic DNS, "
        "and the HELO name is the same",
        source="practice",
        fix="its host name and its HELO should be a name in the domain of its owner",
    )
    SERIAL_NAME = FindingRow(
        name="serial-name",
        score=1,
        bley2_score=0,
        says="its name is a number",
        rule="the client's verified name and the HELO name are the same, and a label is letters and at least five "
        "digits; of a static line or a rented machine, also its address or eight hexadecimal digits",
        source="practice",
        fix="its host name and its HELO should be a name that is no number",
    )
    SENDER_IS_RECIPIENT = FindingRow(
        name="sender-is-recipient",
        check=Check.SENDER_IS_RECIPIENT,
        score=1,
        bley2_score=1,
        says="sender and recipient are the same",
        rule="sender and recipient are equal and not empty; it counts only with `helo-mismatch`, "
        "`client-looks-dynamic`, `client-has-no-name` or `client-name-unverified`, or where SPF is known not to pass",
        source="practice",
    )
    SERVICE_SENDER = FindingRow(
        name="service-sender",
        score=1,
        bley2_score=0,
        says="the sender is a service of the host",
        rule="the sender is `root`, `www-data`, `apache`, `nobody` or the like, at the client's verified name or the "
        "HELO name; any account, if that name has `generic-name` or `serial-name`",
        source="practice",
        fix="the mail of its services should have a sender in the domain of its owner",
    )
    SPF_FAIL = FindingRow(
        name="spf-fail",
        check=Check.SPF,
        reason=Reason.SPF,
        score=1,
        bley2_score=1,
        says="SPF does not permit the client to send this",
        rule="SPF says fail or softfail",
        source="RFC 7208 8.4, 8.5",
    )
    SPF_NO_PASS = FindingRow(
        name="spf-no-pass",
        check=Check.SPF,
        reason=Reason.SPF,
        score=0,
        bley2_score=0,
        says="SPF does not say that the client may send this",
        rule="SPF says neither these nor pass",
        source="RFC 7208 8",
    )

    @property
    def check(self) -> "AnyCheck":
        """The check that finds it, by its log field."""
        return self.row.check or self

    @property
    def reason(self) -> "AnyReason":
        """The reason where it tips the sum."""
        return self.row.reason or self


KINDS: Mapping[str, FindingKind] = {kind.value: kind for kind in FindingKind}
"""Every kind by its name."""

AnyCheck = Check | FindingKind
AnyReason = Reason | FindingKind

RFC_CHECKS: tuple[AnyCheck, ...] = tuple(dict.fromkeys(kind.check for kind in FindingKind))
"""The checks whose scores add up against `rfc_threshold`, in the order in which they are named as the reason."""

LOG_FIELDS: tuple[AnyCheck, ...] = tuple(dict.fromkeys([*Check, *RFC_CHECKS]))
"""All fields of findings, in the log's order."""

REASON_OF: Mapping[AnyCheck, AnyReason] = {kind.check: kind.reason for kind in FindingKind}
"""The reason if a check tips the sum."""

JUDGED = frozenset({Reason.TRUSTED, Reason.CLEAN, Reason.DNSBL, *OF_DOMAINS, *REASON_OF.values()})
"""The reasons of strangers whose evidence was gathered."""


def _reason_row(reason: "AnyReason") -> ReasonRow:
    if isinstance(reason, Reason):
        return reason.row
    return ReasonRow(reason.value, reason.row.says, "DEFER_IF_PERMIT", path="checks")


def _in_order() -> Iterator[AnyReason]:
    """Each reason once, in the order of the steps; the findings before CLEAN."""
    for reason in Reason:
        if reason is Reason.CLEAN:
            yield from REASON_OF.values()
        if reason not in REASON_OF.values():
            yield reason


REASONS: Mapping[str, ReasonRow] = {reason.value: _reason_row(reason) for reason in _in_order()}
"""Every reason by its word."""

REPEATED = (Reason.EARLY.value, Reason.CLIENT_BAD.value)
"""The reasons of deferrals that repeat an earlier one."""

CAUSES = frozenset(
    word for word, row in REASONS.items() if row.answer not in ("DUNNO", "PREPEND") and word not in REPEATED
)
"""The reasons for which mail is deferred the first time."""

FIXES: Mapping[str, str] = {kind.reason.value: kind.row.fix for kind in reversed(FindingKind)}
"""Remedies for the operator of the client, by reason; findings that share a reason have the first one's."""
