"""The tables of the pages for programs, with exact figures, as CSV (RFC 4180) and JSON."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from bley.core.escapes import escape_controls
from bley.core.history.search import StoredDecision
from bley.log.decision_line import line_of
from bley.web.formatting import iso
from bley.web.health_summary import ListSummary
from bley.web.list_rows import ListRow
from bley.web.overview import SERIES, CauseRow, CountRow, Overview
from bley.web.waiting import WaitingRow

__all__ = [
    "OVERVIEW_TABLES",
    "Cell",
    "Table",
    "as_csv",
    "as_json",
    "csv_lines",
    "decision_fields",
    "decisions_table",
    "json_items",
    "list_figures_table",
    "lists_table",
    "waiting_table",
]

Cell = str | int | float | None

_R = TypeVar("_R")

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters of cells that spreadsheets evaluate as formulas, some of them after blanks."""

_DECISION_COLUMNS = (
    "number", "at", "outcome", "reason", "client_address", "client_name", "helo_name", "sender", "recipient",
    "instance", "queue_id", "node",
)  # fmt: skip


class Table(NamedTuple):
    """Named columns, and rows of as many cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def as_csv(table: Table) -> str:
    """Return CSV with a header line. A text that a spreadsheet would evaluate gets a leading apostrophe.

    Characters that command a terminal or reorder others have codes, as in the log.
    """
    return csv_lines([table.columns, *table.rows])


def csv_lines(rows: Iterable[Sequence[Cell]]) -> str:
    """Return these rows as in `as_csv`."""
    text = io.StringIO()
    csv.writer(text).writerows([_without_formula(cell) for cell in row] for row in rows)
    return text.getvalue()


def as_json(table: Table) -> str:
    """Return a JSON array of objects."""
    return f"[{', '.join(json_items(table))}]"


def json_items(table: Table) -> list[str]:
    """Return each row as a JSON object."""
    return [json.dumps(dict(zip(table.columns, row, strict=True))) for row in table.rows]


def _without_formula(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return cell
    shown = escape_controls(cell, "\n\r\t")
    return f"'{shown}" if shown.lstrip(" ").startswith(_FORMULA) else shown


def _table(rows: Iterable[_R], columns: Mapping[str, Callable[[_R], Cell]]) -> Table:
    return Table(tuple(columns), [[cell(row) for cell in columns.values()] for row in rows])


def lists_table(lists: Iterable[ListSummary]) -> Table:
    """Return the health of the DNS lists."""
    return _table(
        lists,
        {
            "list": lambda each: each.report["name"],
            "setting": lambda each: each.report["setting"],
            "state": lambda each: each.state,
            "since": lambda each: each.report["since"],
            "answers": lambda each: each.answers,
            "listed": lambda each: each.listed,
            "median_seconds": lambda each: each.report["median_seconds"],
            "p95_seconds": lambda each: each.report["p95_seconds"],
            "what": lambda each: each.report["what"],
        },
    )


def list_figures_table(rows: Iterable[ListRow]) -> Table:
    """Return what the DNS lists decided."""
    return _table(
        rows,
        {
            "list": lambda row: row.figures.name,
            "setting": lambda row: row.figures.setting,
            "state": lambda row: row.state,
            "counted_since": lambda row: iso(row.figures.since) if row.figures.since else None,
            "queries": lambda row: row.figures.queries,
            "listed": lambda row: row.figures.listed,
            "listed_share": lambda row: row.figures.listed_share,
            "alone": lambda row: row.figures.alone,
            "came_back": lambda row: row.figures.came_back if row.figures.defers else None,
            "came_back_share": lambda row: row.figures.came_back_share,
            "errors": lambda row: row.figures.errors,
            "median_seconds": lambda row: row.figures.median_seconds,
            "remarks": lambda row: " ".join(row.remarks),
        },
    )


def waiting_table(rows: Iterable[WaitingRow]) -> Table:
    """Return records of triplets; of greylisted ones with the seconds that are left of their wait."""
    return _table(
        rows,
        {
            "client": lambda row: row.triplet.client,
            "sender": lambda row: row.triplet.sender,
            "recipient": lambda row: row.triplet.recipient,
            "status": lambda row: row.record.status.name.lower(),
            "first_seen": lambda row: iso(row.record.first_seen),
            "last_seen": lambda row: iso(row.record.last_seen),
            "early_retries": lambda row: row.record.attempts,
            "left_seconds": lambda row: None if row.record.status else max(round(row.left), 0),
        },
    )


def _plain(text: str) -> str:
    """Return the text of a page with ordinary characters in its numbers and units."""
    return text.replace("\N{NARROW NO-BREAK SPACE}", ",").replace("\N{NO-BREAK SPACE}", " ")


def _suspected_table(rows: Sequence[WaitingRow]) -> Table:
    """Return the same, with the reasons why these are suspected to wait wrongly."""
    columns, cells = waiting_table(rows)
    return Table(
        (*columns, "domain_passed", "why"),
        [(*each, row.passed, _plain(row.why)) for each, row in zip(cells, rows, strict=True)],
    )


def _delayed_table(overview: Overview) -> Table:
    return _table(
        overview.delayed.rows,
        {
            "sender_domain": lambda row: row.domain.name,
            "came_back": lambda row: row.domain.came_back,
            "share": lambda row: row.share,
            "median_delay_seconds": lambda row: row.domain.median_delay_seconds,
            "deferred_28_days": lambda row: row.mail.deferred,
            "came_back_28_days": lambda row: row.mail.came_back,
            "passed_at_once_28_days": lambda row: row.mail.undelayed,
            "command": lambda row: row.command,
            "note": lambda row: _plain(row.note),
        },
    )


def _slots_table(overview: Overview) -> Table:
    return Table(("from", *SERIES), [(iso(row.start), *row.numbers.values()) for row in overview.slots])


def _causes_table(rows: Iterable[CauseRow]) -> Table:
    return _table(
        rows,
        {
            "reason": lambda row: row.name,
            "requests": lambda row: row.figures.deferred,
            "share": lambda row: row.share,
            "came_back": lambda row: row.figures.came_back,
            "came_back_share": lambda row: row.figures.came_back_share,
            "delayed_share": lambda row: row.delayed_share,
            "median_delay_seconds": lambda row: row.figures.median_delay_seconds,
            "early_retries": lambda row: row.figures.early_retries,
        },
    )


def _reasons_table(rows: Iterable[CountRow]) -> Table:
    return Table(("reason", "requests", "share"), [(row.name, row.number, row.share) for row in rows])


def _delays_table(overview: Overview) -> Table:
    return Table(("longest_seconds", "mails"), [(row.longest_seconds, row.number) for row in overview.delays])


def _nodes_table(overview: Overview) -> Table:
    return _table(
        overview.nodes,
        {
            "node": lambda row: row.node,
            "requests": lambda row: row.figures.requests,
            "undelayed": lambda row: row.figures.undelayed,
            "deferred": lambda row: row.figures.first_deferrals,
            "came_back": lambda row: row.figures.came_back,
            "early_retries": lambda row: row.figures.early_retries,
            "median_delay_seconds": lambda row: row.figures.median_delay_seconds,
        },
    )


def _changes_table(overview: Overview) -> Table:
    columns = ("at", "node", "kind", "what")
    return Table(columns, [(iso(each.at), each.node, each.kind, each.what) for _, each in overview.changes])


OVERVIEW_TABLES: Mapping[str, Callable[[Overview], Table]] = {
    "slots": _slots_table,
    "deferred": lambda overview: _causes_table(overview.deferred),
    "passed": lambda overview: _reasons_table(overview.passed),
    "found": lambda overview: _reasons_table(overview.found),
    "delays": _delays_table,
    "nodes": _nodes_table,
    "changes": _changes_table,
    "waiting": lambda overview: _suspected_table(overview.waiting),
    "domains": _delayed_table,
}
"""The tables of the overview that come from the store, by their names in URLs."""


def decisions_table(decisions: Iterable[StoredDecision]) -> Table:
    """Return decisions without their evidence."""
    return Table(_DECISION_COLUMNS, [_decision_cells(each) for each in decisions])


def decision_fields(decision: StoredDecision) -> dict[str, object]:
    """Return a decision with its evidence and its log line."""
    fields = dict(zip(_DECISION_COLUMNS, _decision_cells(decision), strict=True))
    return fields | dict(decision.details) | {"log": line_of(decision)}


def _decision_cells(decision: StoredDecision) -> list[Cell]:
    return [iso(decision.at) if name == "at" else getattr(decision, name) for name in _DECISION_COLUMNS]
