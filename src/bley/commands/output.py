"""What commands print: steps and tables for people; with `--json`, for programs, one document each, by docs/json.md.

Tables are as wide as the terminal; into a pipe plain, one line a row.

Instants are ISO 8601 in UTC; durations are in seconds, and their fields end in `_seconds`.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from bley.core.greylist import Record
from bley.core.history.steps import Step
from bley.core.mail import Triplet
from bley.log.decision_line import printable

__all__ = ["instant_document", "print_document", "print_steps", "print_table", "record_document"]

_WIDTH_OF_A_PIPE = 1000


def print_document(document: object) -> None:
    """Print it; in what is ASCII alone nothing from the wire commands a terminal."""
    click.echo(json.dumps(document, indent=2))


def print_steps(steps: Iterable[Step]) -> None:
    """Print the same for people: what a step is called, and what came of it."""
    for name, text in steps:
        click.echo(f"{name:<12}{printable(text)}")


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print rows below their titles; the columns of the titles in `right` are numbers. Cells are made safe."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, justify="right" if title in right else "left")
    for row in rows:
        table.add_row(*map(printable, row))
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_PIPE
    console.print(table)


def instant_document(instant: datetime) -> str:
    """An instant."""
    return instant.astimezone(UTC).isoformat()


def record_document(triplet: Triplet, record: Record) -> dict[str, Any]:
    """A record, in the fields of `bley export`."""
    return triplet._asdict() | {
        "status": record.status.name.lower(),
        "first_seen": instant_document(record.first_seen),
        "last_seen": instant_document(record.last_seen),
        "attempts": record.attempts,
    }
