"""The attempts of one mail, and how a store finds them among all decisions.

A decision is stored with a key: the hash of its triplet, after the number of the four hours in which it was made. An
index of such keys grows at its end, like one by time. A hash alone would write to a random page for each decision.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

from bley.core.decision import DecisionEntry
from bley.core.findings import CAUSES, REASONS
from bley.core.greylist import Record, united
from bley.core.history.search import StoredDecision
from bley.core.mail import Triplet, parse_address
from bley.core.reasons import Reason
from bley.core.triplet import ANY, TripletRules, any_sender_of_domain

__all__ = [
    "FIRST_READ",
    "LAST_READ",
    "NO_KEY",
    "Attempts",
    "AttemptsQuery",
    "JudgmentQuery",
    "attempts_query",
    "block_at",
    "block_of_key",
    "key_of",
    "possible_triplets",
    "united_record",
    "wildcard_triplets",
]

FIRST_READ, LAST_READ = 200, 50
"""The attempts of a mail that are read, the first and the last ones: some 5 ms. A client may make thousands."""

NO_KEY = 0
"""The key of known mail that was decided from memory: it is no attempt of deferred mail, and costs no index entry."""

_BLOCK = timedelta(hours=4)
_HASH_BITS, _BLOCK_BITS = 44, 19
"""The bits of a key, 63 in all. Numbers of blocks repeat after 239 years, so that a wrong clock makes a key too."""

_MOST_KEYS = 10_000
"""Keys of one query: those of a year under five places of the client, 10 ms of a database. The latest ones count."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _hash(mail: Triplet) -> int:
    digest = blake2b("\n".join(mail).encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - _HASH_BITS)


def block_at(at: datetime) -> int:
    """Return the number of the four hours at that time."""
    return (at - _EPOCH) // _BLOCK


def _key(block: int, hashed: int) -> int:
    return (block & ((1 << _BLOCK_BITS) - 1)) << _HASH_BITS | hashed


def block_of_key(key: int) -> int:
    """Return the number of the four hours in a key."""
    return key >> _HASH_BITS


def key_of(entry: DecisionEntry) -> int:
    """Return the key by which the attempts of a mail are found; NO_KEY if it needs none."""
    decision = entry.decision
    if decision.reason is Reason.KNOWN and decision.record is None:
        return NO_KEY
    mail = decision.triplet or _as_received(decision.request.client_address, entry.sender, entry.recipient)
    return _key(block_at(entry.at), _hash(mail))


def _as_received(address: str, sender: str, recipient: str) -> Triplet:
    """Return what stands for the triplet of a decision that needed none."""
    return Triplet(address, sender.casefold(), recipient.casefold())


@dataclass(frozen=True)
class JudgmentQuery:
    """The query for the latest judgment of a client as suspicious, which others of its mails then got."""

    client: str
    """That of the triplets."""
    section: str
    since: datetime
    until: datetime
    reason: str = ""
    """That of the judgment, as the others have it as their cause; empty: unknown."""

    @property
    def reasons(self) -> Sequence[str]:
        """The reasons that the judgment may have."""
        return [name for name, row in REASONS.items() if row.path == "checks" and self.reason in ("", name)]

    def fits(self, decision: StoredDecision) -> bool:
        """Return whether this decision judged the client."""
        triplet, details = decision.triplet, decision.details
        is_judgment = decision.defers and bool(details.get("findings")) and decision.reason in self.reasons
        is_its = triplet is not None and (triplet.client, details.get("section", "")) == (self.client, self.section)
        return is_judgment and is_its and self.since <= decision.at <= self.until


@dataclass(frozen=True)
class AttemptsQuery:
    """The query for all attempts of a mail from `since` to `until`."""

    places: frozenset[Triplet]
    """Its triplet under all places of its client; for decisions without a triplet, the mail as it was received."""
    since: datetime
    until: datetime
    judgment: JudgmentQuery | None = field(default=None)
    """The judgment of the client that its deferral may have got."""

    @cached_property
    def keys(self) -> Sequence[int]:
        """Return the keys of these attempts, in order."""
        hashes = sorted(map(_hash, self.places))
        first, last = block_at(self.since), block_at(self.until)
        most = max(_MOST_KEYS // max(len(hashes), 1), 1)
        blocks = range(max(first, last - most + 1), last + 1)
        return [_key(block, each) for block in blocks for each in hashes]

    def fits(self, decision: StoredDecision) -> bool:
        """Return whether the decision is an attempt of this mail."""
        mail = decision.triplet or _as_received(decision.client_address, decision.sender, decision.recipient)
        return mail in self.places and self.since <= decision.at <= self.until


class Attempts(NamedTuple):
    """The first and the last attempts of a mail, in order of time."""

    decisions: Sequence[StoredDecision]
    number: int
    """The number of all attempts, also of those that were not read."""
    judgment: StoredDecision | None = None


def attempts_query(
    decision: StoredDecision,
    places: Iterable[Triplet],
    record: Record | None,
    now: datetime,
    log_days: timedelta,
    cache_valid: timedelta,
) -> AttemptsQuery:
    """Return the query for the attempts of the decision's mail.

    `places`: its triplets. `record`: that of all places. `cache_valid`: the time for which a judgment is cached.
    """
    start = _start(decision, record)
    judgment = None
    if start and decision.triplet:
        # The client was judged some seconds after the time of that decision: the checks take up to their deadline.
        since = start - cache_valid - _CHECKING
        section = decision.details.get("section", "")
        cause, _, _ = decision.details.get("cause", "").partition(" ")
        judgment = JudgmentQuery(decision.triplet.client, section, since, start, cause if cause in CAUSES else "")
    mails = frozenset(places) | {_as_received(decision.client_address, decision.sender, decision.recipient)}
    return AttemptsQuery(mails, max(start or now - log_days, now - log_days), max(now, decision.at), judgment)


_CHECKING = timedelta(seconds=10)


def _start(decision: StoredDecision, record: Record | None) -> datetime | None:
    """Return the first attempt of the mail; None if it is unknown, because neither decision nor record has it."""
    first_seen = decision.details.get("first_seen")
    is_first = decision.defers and decision.reason != Reason.EARLY and not first_seen
    if is_first or decision.details.get("standing") == "new":
        return decision.at
    if first_seen:
        return min(datetime.fromisoformat(first_seen), decision.at)
    return min(record.first_seen, decision.at) if record else None


def possible_triplets(decision: StoredDecision, rules: TripletRules) -> list[Triplet]:
    """Return the triplets under which the record may be stored.

    While the client's name was unknown, the record was stored under the client's network; see also core.places.
    """
    triplet, address = decision.triplet, parse_address(decision.client_address)
    if triplet is None or address is None:
        return [triplet] if triplet else []
    clients = (triplet.client, rules.client(address, ""), *decision.details.get("places", ()))
    return [triplet._replace(client=client) for client in dict.fromkeys(clients)]


def wildcard_triplets(decision: StoredDecision, rules: TripletRules) -> list[Triplet]:
    """Return the triplets for any sender or recipient, which are imported from other greylisters."""
    triplet, address = decision.triplet, parse_address(decision.client_address)
    if triplet is None or address is None:
        return []
    senders = triplet.sender, any_sender_of_domain(triplet.sender), ANY
    return [Triplet(rules.client(address, ""), sender, ANY) for sender in senders]


def united_record(records: Iterable[Record]) -> Record | None:
    """Return the record of a triplet whose records in all places are these."""
    found: Record | None = None
    for record in records:
        found = united(found, record)
    return found
