"""The conversion of instants, decisions and records to rows and back, the same for all engines."""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import to_json

from bley.core.decision import DecisionEntry
from bley.core.greylist import Record, Status
from bley.core.history.attempts import key_of
from bley.core.history.audit import LONGEST_SETTINGS, LONGEST_WHAT, AuditEntry
from bley.core.history.search import StoredDecision
from bley.core.mail import Triplet
from bley.core.places import Found

__all__ = [
    "LONGEST_TEXT",
    "audit_entry",
    "audit_row",
    "decision_row",
    "found_of",
    "from_microseconds",
    "microseconds",
    "record_row",
    "records_of",
    "stored_decision",
    "triplet_and_record",
    "verified_at",
]

LONGEST_TEXT = 512
"""The characters of an address or name that are stored with a decision; RFC 5321 4.5.3.1 allows 320."""

_log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(instant: datetime) -> int:
    """Return the microseconds since 1970-01-01 UTC."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(number: int) -> datetime:
    """Return the aware UTC instant."""
    return _EPOCH + number * _MICROSECOND


def verified_at(number: Any) -> datetime:
    """Return when a domain was verified on a network; 1970 for a number that is no instant."""
    try:
        return from_microseconds(int(number))
    except (ValueError, OverflowError, TypeError):
        return _EPOCH  # another program wrote it; known mail will teach the domain again


def decision_row(entry: DecisionEntry) -> dict[str, str | int]:
    """Return the columns of the table `decisions`, which are also the fields of Redis' stream."""
    request = entry.decision.request
    texts = {
        "client_address": request.client_address,
        "client_name": request.client_name,
        "helo_name": request.helo_name,
        "sender": entry.sender,
        "recipient": entry.recipient,
        "instance": request.instance,
        "queue_id": request.queue_id,
    }
    return {
        "at": microseconds(entry.at),
        "outcome": entry.outcome,
        "reason": entry.decision.reason.value,
        **{name: text[:LONGEST_TEXT] for name, text in texts.items()},
        "details": to_json(entry.details).decode(),
        "node": entry.node,
        "mail": key_of(entry),
    }


def stored_decision(number: str, fields: Mapping[str, Any]) -> StoredDecision:
    """Return the decision of such columns or fields."""
    texts = {name: fields[name] for name in StoredDecision._fields[2:-2]}
    at, details = from_microseconds(int(fields["at"])), json.loads(fields["details"])
    return StoredDecision(number=number, at=at, details=details, node=fields.get("node", ""), **texts)


def record_row(triplet: Triplet, record: Record) -> dict[str, Any]:
    """Return the row of `triplets` for a record."""
    status, first_seen, last_seen, attempts, cause = record
    last = microseconds(last_seen)
    return {
        "client": triplet.client,
        "sender": triplet.sender,
        "recipient": triplet.recipient,
        "status": int(status),
        "first_seen": last if first_seen is last_seen else microseconds(first_seen),
        "last_seen": last,
        "attempts": attempts,
        "cause": cause,
    }


def triplet_and_record(row: Any) -> tuple[Triplet, Record]:
    """Return triplet and record of a row of `triplets`. Raises ValueError, OverflowError or TypeError if it is none."""
    client, sender, recipient, status, first_seen, last_seen, attempts, cause = row
    if not isinstance(cause, str):
        raise TypeError(cause)
    record = Record(Status(status), from_microseconds(first_seen), from_microseconds(last_seen), int(attempts), cause)
    return Triplet(client, sender, recipient), record


def audit_row(entry: AuditEntry) -> dict[str, str | int]:
    """Return the columns of the table `audit`, which are also the fields of Redis' stream."""
    return {
        "at": microseconds(entry.at),
        "node": entry.node[:LONGEST_TEXT],
        "kind": entry.kind,
        "who": entry.who[:LONGEST_TEXT],
        "what": entry.what[:LONGEST_WHAT],
        "settings": entry.settings if len(entry.settings) <= LONGEST_SETTINGS else "",
    }


def audit_entry(fields: Mapping[str, Any]) -> AuditEntry:
    """Return the entry of such columns or fields."""
    texts = {name: fields[name] for name in AuditEntry._fields[1:-1]}
    return AuditEntry(at=from_microseconds(int(fields["at"])), settings=fields.get("settings") or "", **texts)


def found_of(rows: Iterable[Any]) -> Found:
    """Return what was found: rows as `Dialect.find` has them."""
    records, domains = {}, defaultdict[str, dict[str, datetime]](dict)
    for network, verified, *row in rows:
        for triplet, record in records_of([row]):
            records[triplet] = record
            if network:
                domains[network][triplet.client] = verified_at(verified)
    return Found(records, domains)


def records_of(rows: Iterable[Any]) -> Iterator[tuple[Triplet, Record]]:
    """Yield triplet and record of each row of `triplets`; log and skip invalid rows, which another program wrote."""
    for row in rows:
        try:
            yield triplet_and_record(row)
        except (ValueError, OverflowError, TypeError):
            _log.warning("store: this row of triplets is not a valid record, and is skipped: %.300r", tuple(row))
