"""The tables of the pages as rows for programs: the same figures, in full."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from bley.core.history.search import StoredDecision
from bley.log.decision_line import line_of
from bley.web.formatting import iso
from bley.web.health_summary import ListSummary
from bley.web.overview import SERIES, Overview, ReasonRow, WaitingRow
from bley.web.tables import Cell, Table

__all__ = ["OVERVIEW", "decision_fields", "decisions_table", "lists_table", "waiting_table"]

_DECISION = (
    "number", "at", "outcome", "reason", "client_address", "client_name", "helo_name", "sender", "recipient",
    "instance", "queue_id",
)  # fmt: skip


def lists_table(lists: Sequence[ListSummary]) -> Table:
    """How the DNS lists do."""
    columns = ("list", "setting", "state", "since", "answers", "listed", "median_seconds", "p95_seconds", "what")
    return Table(
        columns,
        [
            (
                each.report["name"],
                each.report["setting"],
                each.state,
                each.report["since"],
                each.answers,
                each.listed,
                each.report["median_seconds"],
                each.report["p95_seconds"],
                each.report["what"],
            )
            for each in lists
        ],
    )


def _slots(told: Overview) -> Table:
    return Table(("from", *SERIES), [(iso(row.start), *row.numbers.values()) for row in told.slots])


def _reasons(rows: Sequence[ReasonRow]) -> Table:
    return Table(("reason", "requests", "share"), [(row.name, row.number, row.share) for row in rows])


def _delays(told: Overview) -> Table:
    return Table(("longest_seconds", "mails"), [(each.longest_seconds, each.number) for each in told.delays])


OVERVIEW: Mapping[str, Callable[[Overview], Table]] = {
    "slots": _slots,
    "deferred": lambda told: _reasons(told.deferred),
    "passed": lambda told: _reasons(told.passed),
    "found": lambda told: _reasons(told.found),
    "delays": _delays,
    "waiting": lambda told: waiting_table(told.waiting),
}
"""The tables of what the store tells, by their names in the address."""


def waiting_table(rows: Iterable[WaitingRow]) -> Table:
    """Records of triplets, and what is left of the wait of those that are greylisted."""
    columns = ("client", "sender", "recipient", "status", "first_seen", "last_seen", "early_retries", "left_seconds")
    return Table(
        columns,
        [
            (
                *row.triplet,
                row.record.status.name.lower(),
                iso(row.record.first_seen),
                iso(row.record.last_seen),
                row.record.attempts,
                None if row.record.status else max(round(row.left), 0),
            )
            for row in rows
        ],
    )


def decisions_table(decisions: Iterable[StoredDecision]) -> Table:
    """Decisions, without their evidence."""
    return Table(_DECISION, [tuple(_fields(each)) for each in decisions])


def decision_fields(decision: StoredDecision) -> dict[str, object]:
    """All of one decision, with its evidence."""
    return dict(zip(_DECISION, _fields(decision), strict=True)) | dict(decision.details) | {"log": line_of(decision)}


def _fields(decision: StoredDecision) -> list[Cell]:
    return [iso(value) if name == "at" else value for name in _DECISION for value in [getattr(decision, name)]]
