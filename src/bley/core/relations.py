"""Relations of a stranger to earlier mail. They veto suspicion, and never make it.

    PAIR            mail of the sender's domain came from this origin, and passed, on two days before; or once before,
                    on another day, if it had waited. NEW_PAIR before that
    CLIENT          deferrals of this origin came back so often that it is a server, whatever its name says
    POOL            this mail waited under another client, and SPF permits both clients
    CORRESPONDENT   the recipient wrote to the sender

The origin of mail is the registered domain of the verified name of a server, the whole name of a rented machine, else
the network. An access line, and an address that is not global, have none.

Relations are records like those of triplets, merged in the same way. Their keys are no triplets of mail: a triplet's
recipient is never empty, and its client is a domain with a dot, or a network.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from bley.core.greylist import OF_TRIPLETS, Record, Status, Timing
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.core.reasons import Reason
from bley.core.triplet import bounded

__all__ = [
    "NO_KEYS",
    "ONE_AN_HOUR",
    "Relation",
    "RelationKeys",
    "RelationRules",
    "correspondent_key",
    "find_relation",
    "find_waited",
    "is_relation",
    "make_keys",
    "status_of_pair",
]

ONE_AN_HOUR = timedelta(hours=1)
"""The least time between two deferrals of an origin that came back and count."""

_A_NIGHT = timedelta(hours=8)
"""The least time between mails of two days: a run of spam around midnight is of one day."""

_POOL, _CORRESPONDENT = "pool", "correspondent"


class RelationRules(NamedTuple):
    """The settings of relations; 0 and False switch a kind off."""

    known_pairs: bool = True
    auto_known: int = 5
    """The deferrals that must come back until an origin is known."""
    correspondents: timedelta = timedelta(days=90)
    known_by_spf: bool = True
    """It needs the results of SPF."""


class RelationKeys(NamedTuple):
    """The keys of the relations of one request; None: it can have no such relation."""

    pair: Triplet | None = None
    client: Triplet | None = None
    pool: Triplet | None = None
    correspondent: Triplet | None = None


NO_KEYS = RelationKeys()


class Relation(NamedTuple):
    """A relation that vetoes suspicion, unless SPF fails or a domain list names a domain of the mail."""

    reason: Reason
    key: Triplet
    record: Record

    @property
    def says(self) -> str:
        """The relation in words."""
        (client, sender, recipient), record = self.key, self.record
        first, last = (f"{instant:%Y-%m-%d}" for instant in (record.first_seen, record.last_seen))
        match self.reason:
            case Reason.KNOWN_PAIR:
                return f"mail of {sender[1:]} came from {client} and passed, first on {first}, last on {last}"
            case Reason.KNOWN_CLIENT:
                return f"{quantity(record.attempts, 'deferral')} of {client} came back, the first on {first}"
            case Reason.CORRESPONDENT:
                return f"<{recipient}> wrote to <{sender}>, last on {last}"
            case _:
                return f"the mail was deferred from {record.cause} on {first}, and SPF permits both clients"


def make_keys(origin: str, sender_domain: str, sender: str, recipient: str, rules: RelationRules) -> RelationKeys:
    """Return the keys for a request: its origin, which may be empty, and its normalised sender and recipient."""
    if not origin:
        return NO_KEYS
    return RelationKeys(
        pair=Triplet(origin, bounded(f"@{sender_domain}"), "") if rules.known_pairs and sender_domain else None,
        client=Triplet(origin, "", "") if rules.auto_known else None,
        pool=Triplet(_POOL, sender, recipient) if rules.known_by_spf and sender else None,
        correspondent=correspondent_key(sender, recipient) if rules.correspondents and sender else None,
    )


def correspondent_key(sender: str, recipient: str) -> Triplet:
    """Return the key of the record that the recipient wrote to the sender, both normalised."""
    return Triplet(_CORRESPONDENT, sender, recipient)


def status_of_pair(key: Triplet, found: Mapping[Triplet, Record], now: datetime, *, waited: bool = False) -> Status:
    """Return the status of the pair, after mail that passes now, and has `waited` before."""
    record = found.get(key)
    is_known = record is not None and (record.status is Status.PAIR or _are_days_apart(record.first_seen, now))
    return Status.PAIR if waited or is_known else Status.NEW_PAIR


def _are_days_apart(first: datetime, now: datetime) -> bool:
    """Return whether the instants, in UTC, are of two days."""
    return now - first >= _A_NIGHT and now.date() != first.date()


def is_relation(record: Record) -> bool:
    """Return whether the record is that of a relation, not of a triplet."""
    return record.status not in OF_TRIPLETS


def find_relation(
    keys: RelationKeys, found: Mapping[Triplet, Record], rules: RelationRules, timing: Timing, now: datetime
) -> Relation | None:
    """Return the first relation that holds now, but POOL, which needs SPF for two clients.

    A pair of a network may have been found under a domain that was verified there.
    """
    if keys.pair:
        for key, record in found.items():
            is_pair = record.status is Status.PAIR and _are_days_apart(record.first_seen, now)
            if is_pair and not timing.lifetimes.are_over(record, now):
                return Relation(Reason.KNOWN_PAIR, key, record)
    if keys.client and (client := found.get(keys.client)) and _is_known_client(client, rules, timing, now):
        return Relation(Reason.KNOWN_CLIENT, keys.client, client)
    if keys.correspondent and (wrote := found.get(keys.correspondent)) and now - wrote.last_seen < rules.correspondents:
        return Relation(Reason.CORRESPONDENT, keys.correspondent, wrote)
    return None


def find_waited(
    keys: RelationKeys, found: Mapping[Triplet, Record], address: str, timing: Timing, now: datetime
) -> Relation | None:
    """Return the POOL if the mail waited under another client, whose address is the cause of the record."""
    record = found.get(keys.pool) if keys.pool else None
    if not keys.pool or record is None or record.cause in ("", address):
        return None
    has_waited = timing.remaining(record, now) < timedelta(0) and record.first_seen >= now - timing.lifetimes.greylisted
    return Relation(Reason.KNOWN_BY_SPF, keys.pool, record) if has_waited else None


def _is_known_client(record: Record, rules: RelationRules, timing: Timing, now: datetime) -> bool:
    return record.attempts >= rules.auto_known and not timing.lifetimes.are_over(record, now)
