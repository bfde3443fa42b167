"""The reasons for an answer as one table. A finding that has no reason here is its own reason (`findings.py`)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

__all__ = ["BY_RELATION", "OF_DOMAINS", "AnswerPath", "Reason", "ReasonRow"]

AnswerPath = Literal["memory", "store", "client", "checks", "failed"]
"""Sources of an answer: memory alone, the store, a client judged before, the checks; or it could not be decided."""

_WEIGH_MORE = "give the findings more weight: scores, rfc_threshold, dnsbls and domain_lists in docs/settings.md"


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """All that is known of a reason."""

    word: str
    """As the log, `bley explain` and the documentation have it."""
    says: str
    """When it applies, in few words."""
    answer: str = "DUNNO"
    """The answer to Postfix: an action of access(5), or the setting that decides it."""
    path: AnswerPath = "memory"
    advice: str = ""
    """The remedy for the administrator if the decision was wrong, where that depends on the reason alone."""


class Reason(StrEnum):
    """Why a request got its answer, in the order of the steps."""

    row: ReasonRow

    def __new__(cls, row: ReasonRow) -> Self:
        """Make the member of this row."""
        member = str.__new__(cls, row.word)
        member._value_ = row.word
        member.row = row
        return member

    NOT_RCPT = ReasonRow("not-rcpt", "the request is not about an RCPT TO")
    INCOMPLETE = ReasonRow(
        "incomplete", "client address or recipient is missing or unusable, which is logged once a minute"
    )
    AUTHENTICATED = ReasonRow("authenticated", "the client has logged in")
    TRUSTED_NETWORK = ReasonRow(
        "trusted-network", "the client is in trusted_networks", advice="take its network out of trusted_networks"
    )
    EXEMPT_RECIPIENT = ReasonRow(
        "exempt-recipient", "the recipient is postmaster, abuse, or in whitelist_recipients_file"
    )
    EXEMPT_CLIENT = ReasonRow("exempt-client", "the client's name or address is in whitelist_clients_file")
    EXEMPT_SENDER = ReasonRow(
        "exempt-sender", "the sender is in whitelist_senders_file; for an entry spf:…, SPF also passes"
    )
    OFF = ReasonRow(
        "off",
        "mode = off is in force for the recipient",
        advice="set mode in [bley], or in a section [recipients NAME]",
    )
    KNOWN = ReasonRow("known", "the triplet passed before", path="store")
    WAITED = ReasonRow(
        "waited", "the triplet was deferred and its wait is over, so it is known from now on", "PREPEND", path="store"
    )
    RELEASED = ReasonRow(
        "released", "`bley pass` made the triplet known, which is stored as a decision, but not counted", path="store"
    )
    EARLY = ReasonRow("early", "the triplet was deferred and came back too early", "DEFER_IF_PERMIT", path="store")
    CLASSIC = ReasonRow(
        "classic", "a stranger, and classic = 1 is in force for the recipient", "DEFER_IF_PERMIT", path="store"
    )
    CLIENT_GOOD = ReasonRow(
        "client-good",
        "a stranger whose client was judged good, or waited, less than cache_valid ago",
        path="client",
        advice=_WEIGH_MORE,
    )
    CLIENT_BAD = ReasonRow(
        "client-bad",
        "a stranger whose client was judged suspicious less than cache_valid ago",
        "DEFER_IF_PERMIT",
        path="client",
    )
    KNOWN_PAIR = ReasonRow(
        "known-pair",
        "a stranger, but mail of the sender's domain came from this origin on earlier days, and passed",
        path="store",
        advice="set known_pairs = 0",
    )
    KNOWN_CLIENT = ReasonRow(
        "known-client",
        "a stranger, but deferred mail of this origin came back auto_known times",
        path="store",
        advice="raise auto_known, or set it to 0",
    )
    KNOWN_BY_SPF = ReasonRow(
        "known-by-spf",
        "a stranger, but the mail waited under another client, and SPF permits both",
        path="store",
        advice="set known_by_spf = 0",
    )
    CORRESPONDENT = ReasonRow(
        "correspondent",
        "a stranger, but the recipient wrote to the sender less than correspondent_days ago",
        path="store",
        advice="set correspondent_days = 0",
    )
    TRUSTED = ReasonRow("trusted", "DNS allowlists reach dnswl_threshold", path="checks")
    DNSBL = ReasonRow("dnsbl", "DNS blocklists reach dnsbl_threshold", "DEFER_IF_PERMIT", path="checks")
    DOMAIN_LIST = ReasonRow(
        "domain-list",
        "DNS blocklists and domain lists together reach dnsbl_threshold",
        "DEFER_IF_PERMIT",
        path="checks",
    )
    FRESH_DOMAIN = ReasonRow(
        "fresh-domain", "the same, but not without a list of new domains", "DEFER_IF_PERMIT", path="checks"
    )
    HELO = ReasonRow("helo", "the HELO name does not fit", "DEFER_IF_PERMIT", path="checks")
    DYNAMIC = ReasonRow(
        "dynamic", "the client's host name looks like an access line's", "DEFER_IF_PERMIT", path="checks"
    )
    SPF = ReasonRow("spf", "SPF does not permit the client to send this", "DEFER_IF_PERMIT", path="checks")
    CLEAN = ReasonRow("clean", "nothing suspicious was found", path="checks", advice=_WEIGH_MORE)
    STORE_ERROR = ReasonRow(
        "store-error",
        "the store cannot be used",
        "`on_store_error`",
        path="failed",
        advice="see the log for what was wrong with the store; on_store_error says what happens meanwhile",
    )
    INTERNAL_ERROR = ReasonRow(
        "internal-error",
        "a bug in bley, whose traceback is in the log: please report it",
        path="failed",
        advice="please report it, with its traceback in the log",
    )


OF_DOMAINS = (Reason.DOMAIN_LIST, Reason.FRESH_DOMAIN)
"""The reasons that rest on a domain, so that they hold for no other mail of the client."""

BY_RELATION = (Reason.KNOWN_PAIR, Reason.KNOWN_CLIENT, Reason.KNOWN_BY_SPF, Reason.CORRESPONDENT)
"""The reasons of strangers that pass because of a relation to earlier mail (core.relations)."""
