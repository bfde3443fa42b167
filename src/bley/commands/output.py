"""Output of commands: steps and tables for people, and with `--json` one JSON document (docs/json.md).

A table is as wide as the terminal; a pipe gets one line for each row. In JSON, instants are ISO 8601 in UTC, and
durations are seconds in fields that end in `_seconds`.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from bley.core.greylist import Record, Status, Timing
from bley.core.history.steps import Step
from bley.core.mail import Triplet
from bley.log.decision_line import printable

__all__ = [
    "format_milliseconds",
    "instant_document",
    "print_document",
    "print_hanging",
    "print_steps",
    "print_table",
    "record_document",
    "timed_record_document",
]

_WIDTH_OF_A_PIPE = 1000


def print_document(document: object) -> None:
    """Print a JSON document. It is ASCII only, so that values from the wire cannot control a terminal."""
    click.echo(json.dumps(document, indent=2))


def print_steps(steps: Iterable[Step]) -> None:
    """Print each step: its name and its text."""
    for name, text in steps:
        print_hanging(f"{name:<12}", text)


def print_hanging(prefix: str, text: str, command: str = "") -> None:
    """Print prefix, text and command; the text is escaped. On a terminal it breaks between words, and is indented."""
    from bley.commands.terminal import hanging_lines, terminal_width

    for line in hanging_lines(prefix, printable(text), terminal_width(), command):
        click.echo(line)


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print rows below their titles, and escape their cells. Columns with a title in `right` are right-aligned.

    On a narrow terminal, the cells of the last columns stand below their row.
    """
    from rich.console import Console
    from rich.table import Table

    from bley.commands.terminal import table_lines, table_width

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, justify="right" if title in right else "left", overflow="fold")
    cells = [list(map(printable, row)) for row in rows]
    for row in cells:
        table.add_row(*row)
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_PIPE
    elif table_width(titles, cells) > console.width:
        title, *lines = table_lines(titles, cells, right, console.width)
        console.print(title, style="bold")
        for line in lines:
            console.print(line, soft_wrap=True)
        return
    console.print(table)


def format_milliseconds(seconds: float | None) -> str:
    """Return a latency in milliseconds, or a dash if there is none."""
    return "-" if seconds is None else f"{1000 * seconds:.1f} ms"


def instant_document(instant: datetime) -> str:
    """Return the instant in JSON form."""
    return instant.astimezone(UTC).isoformat()


def record_document(triplet: Triplet, record: Record) -> dict[str, Any]:
    """Return a record with the fields of `bley export`."""
    return triplet._asdict() | {
        "status": record.status.name.lower(),
        "first_seen": instant_document(record.first_seen),
        "last_seen": instant_document(record.last_seen),
        "attempts": record.attempts,
        "cause": record.cause,
    }


def timed_record_document(triplet: Triplet, record: Record, timing: Timing, now: datetime) -> dict[str, Any]:
    """Return a record with the rest of its wait; null if it does not wait."""
    left = max(timing.remaining(record, now).total_seconds(), 0.0) if record.status is Status.GREYLISTED else None
    return record_document(triplet, record) | {"left_seconds": left}
