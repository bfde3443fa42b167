"""What commands print: steps for people; with `--json`, for programs, one document each, described in docs/json.md.

Instants are ISO 8601 in UTC; durations are in seconds, and their fields end in `_seconds`.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import click

from bley.core.greylist import Record
from bley.core.history.steps import Step
from bley.core.mail import Triplet
from bley.log.decision_line import printable

__all__ = ["instant_document", "print_document", "print_steps", "record_document"]


def print_document(document: object) -> None:
    """Print it; in what is ASCII alone nothing from the wire commands a terminal."""
    click.echo(json.dumps(document, indent=2))


def print_steps(steps: Iterable[Step]) -> None:
    """Print the same for people: what a step is called, and what came of it."""
    for name, text in steps:
        click.echo(f"{name:<12}{printable(text)}")


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
