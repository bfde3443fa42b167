"""Numbers, times and reasons as the pages write them."""

from datetime import UTC, datetime, timedelta

from bley.core.history.outcome import format_duration
from bley.core.policy import Reason

__all__ = ["REASON_WORDS", "ago", "capitalized", "duration", "instant", "iso", "milliseconds", "number", "share"]

_THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
_SPACE = "\N{NO-BREAK SPACE}"
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))

REASON_WORDS = {
    Reason.NOT_RCPT: "the request was not about a recipient",
    Reason.INCOMPLETE: "client address or recipient is missing or unusable",
    Reason.AUTHENTICATED: "the client has logged in",
    Reason.TRUSTED_NETWORK: "the client is in trusted_networks",
    Reason.EXEMPT_RECIPIENT: "the recipient is exempt by a list file",
    Reason.EXEMPT_CLIENT: "the client is exempt by a list file",
    Reason.EXEMPT_SENDER: "the sender is exempt by a list file",
    Reason.KNOWN: "the triplet passed before",
    Reason.WAITED: "the triplet came back after its wait",
    Reason.EARLY: "the triplet came back too early",
    Reason.CLIENT_GOOD: "the client was judged good a moment ago",
    Reason.CLIENT_BAD: "the client was judged suspicious a moment ago",
    Reason.TRUSTED: "DNS allowlists name the client",
    Reason.CLEAN: "nothing suspicious was found",
    Reason.DNSBL: "DNS blocklists name the client",
    Reason.HELO: "the HELO name does not fit",
    Reason.DYNAMIC: "the client's name is an access line's",
    Reason.HELO_LOOKS_DYNAMIC: "the HELO name is an access line's",
    Reason.CLIENT_HAS_NO_NAME: "the client has no verified name",
    Reason.HELO_NOT_FQDN: "the HELO name has no dot",
    Reason.HELO_BARE_ADDRESS: "the HELO name is an address without brackets",
    Reason.HELO_IS_LOCAL: "the HELO name is in no public DNS",
    Reason.HELO_CLAIMS_US: "the HELO name is ours",
    Reason.SENDER_IS_RECIPIENT: "sender and recipient are the same",
    Reason.SPF: "SPF says that the client may not send this",
    Reason.STORE_ERROR: "the store could not be used",
    Reason.INTERNAL_ERROR: "a bug in bley; please report it",
}
"""docs/reasons.md in few words."""


def number(value: int) -> str:
    """With thin spaces between thousands."""
    return f"{value:,}".replace(",", _THIN_SPACE)


def share(value: float | None) -> str:
    """In percent; a dash where there is none."""
    return "\N{EN DASH}" if value is None else f"{value:.1%}".replace("%", f"{_THIN_SPACE}%")


def milliseconds(seconds: float | None) -> str:
    """A latency; a dash where there is none."""
    return "\N{EN DASH}" if seconds is None else f"{1000 * seconds:.1f}{_SPACE}ms"


def duration(seconds: float) -> str:
    """In its two largest units, `1 h 5 min`."""
    return format_duration(timedelta(seconds=max(seconds, 0))).replace(" ", _SPACE)


def ago(at: datetime, now: datetime) -> str:
    """How long ago, in its largest unit."""
    passed = now - at
    if passed < timedelta(seconds=1):
        return "now"
    size, unit = next(each for each in _UNITS if passed.total_seconds() >= each[0])
    return f"{int(passed.total_seconds() // size)}{_SPACE}{unit} ago"


def instant(at: datetime) -> str:
    """To the second, in UTC, as in the log."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def iso(at: datetime) -> str:
    """For programs."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def capitalized(text: str) -> str:
    """As it begins a sentence."""
    return text[:1].upper() + text[1:]
