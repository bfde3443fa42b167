"""The keys of Redis, and what they hold.

bley:t:CLIENT\\nSENDER\\nRECIPIENT   a hash: status, first_seen, last_seen (microseconds since 1970 UTC), attempts;
                                   w:WRITER: the last number of each writer that added attempts (engine.Mark)
bley:v:NETWORK                     a sorted set: the domains that were verified on the network, by last_seen
bley:decisions                     a stream, capped: the fields of the SQL engines' table `decisions`
bley:audit                         a stream, capped: the fields of the table `audit`
bley:counts:SECONDS:NUMBER         a hash: from "START KIND NAME" (core.history.statistics) to the count
bley:mails:{bley:decisions}:BLOCK  a text: lines of key and stream id, for the attempts of a mail (history.attempts)
bley:w:{KEY}:WRITER                the last number of a writer for the stream or the counts under this key
bley:schema, bley:forgotten, bley:has_any, bley:key_check
bley:trimmed                       the start of the last day whose counts by domain were trimmed
"""

from bley.core.history.domain_counts import DAY_SECONDS
from bley.core.history.list_counts import LIST_SPANS
from bley.core.mail import Triplet

__all__ = [
    "AUDIT",
    "DECISIONS",
    "KEY_CHECK",
    "RECORDS",
    "TRIMMED",
    "counts_key",
    "counts_key_seconds",
    "domains_key",
    "mails_key",
    "record_key",
    "triplet_of",
]

RECORDS = "bley:t:"
"""The prefix of the keys of records."""

AUDIT = "bley:audit"
DECISIONS = "bley:decisions"
KEY_CHECK = "bley:key_check"
TRIMMED = "bley:trimmed"

_SPANS_IN_ONE_KEY = 1440
"""The number of minutes or hours in one hash of counts. A day has its own, with thousands of domains."""

_LIST_SPANS_IN_ONE_KEY = 60
"""The number of spans of DNS lists in one hash: of ten minutes, eight hours, or weeks, so that it expires."""


def record_key(triplet: Triplet) -> str:
    """Return the key of the record of the triplet."""
    return f"{RECORDS}{triplet.client}\n{triplet.sender}\n{triplet.recipient}"


def triplet_of(key: bytes) -> Triplet | None:
    """Return the triplet of the key; None if another program created the key."""
    try:
        client, sender, recipient = key.decode().removeprefix(RECORDS).split("\n")
    except ValueError:
        return None
    return Triplet(client, sender, recipient)


def domains_key(network: str) -> str:
    """Return the key of the sorted set that contains the domains that were verified on the network."""
    return f"bley:v:{network}"


def counts_key(seconds: int, start: int) -> str:
    """Return the key of the hash that contains the counts of the span that starts at `start`."""
    return f"bley:counts:{seconds}:{start // counts_key_seconds(seconds)}"


def counts_key_seconds(seconds: int) -> int:
    """Return the time whose counts of this span are in one hash, in seconds."""
    if seconds == DAY_SECONDS:
        return seconds
    return seconds * (_LIST_SPANS_IN_ONE_KEY if seconds in LIST_SPANS else _SPANS_IN_ONE_KEY)


def mails_key(block: int) -> str:
    """Return the key of the index of mails in this block of hours, in the slot of the stream."""
    return f"bley:mails:{{{DECISIONS}}}:{block}"
