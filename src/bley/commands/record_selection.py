"""The records that a command selects: its options, the search in the store, and the table of what it found."""

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from bley.commands.options import WIRE_TEXT
from bley.commands.output import print_table
from bley.commands.progress import Interruption, progress
from bley.core.greylist import Record
from bley.core.history.record_filter import RecordFilter
from bley.core.mail import Triplet
from bley.core.triplet import TripletRules
from bley.corrections.records import number_of
from bley.store.engine import Engine

__all__ = ["confirm_many", "find_records", "normalised", "print_records", "record_options"]

_MAX_SHOWN = 1000
_TITLES = "client", "sender", "recipient", "status", "first seen", "last seen"


def record_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--client`, `--sender` and `--recipient`; the command gets them as the filter `wanted`."""

    @wraps(command)
    def with_filter(client: str | None, sender: str | None, recipient: str | None, **options: Any) -> None:
        command(wanted=RecordFilter(client, sender, recipient), **options)

    for option in (
        click.option(
            "--recipient", type=WIRE_TEXT, metavar="ADDRESS", help="Mail address, or domain with its subdomains."
        ),
        click.option(
            "--sender",
            type=WIRE_TEXT,
            metavar="ADDRESS",
            help="Mail address, domain with its subdomains, or '<>' for the null sender.",
        ),
        click.option(
            "--client",
            "--client-address",
            "client",
            type=WIRE_TEXT,
            metavar="CLIENT",
            help="IP address, network (with all that overlap it), or domain with its subdomains.",
        ),
    ):
        with_filter = option(with_filter)
    return with_filter


def normalised(wanted: RecordFilter, rules: TripletRules) -> RecordFilter:
    """Return the filter normalised like the stored triplets. Raises UsageError if one of its texts names nothing."""
    try:
        return wanted.normalised(rules)
    except ValueError as error:
        raise click.UsageError(f"--{error}") from error


async def find_records(
    engine: Engine, wanted: RecordFilter, rules: TripletRules, interruption: Interruption, state: str
) -> list[tuple[Triplet, Record]]:
    """Return the records that match as given or normalised. An interruption says the `state` of the command."""
    filters = wanted.normalised(rules), wanted.folded
    found: list[tuple[Triplet, Record]] = []
    with progress("searching") as advance:
        async for records in engine.records():
            found += [record for record in records if any(each.fits(record[0]) for each in filters)]
            advance(len(records))
            interruption.stop_if_requested(state)
    return found


def confirm_many(records: Sequence[tuple[Triplet, Record]], verb: str, *, asks: bool) -> None:
    """Ask on a terminal whether to go on, and exit with status 1 if not.

    `verb` is what will happen to the records. Raises UsageError without a terminal, or unless `asks`.
    """
    number = number_of(records)
    if not (asks and sys.stdin.isatty()):
        raise click.UsageError(f"{number} match: --dry-run shows them, and --yes {verb}s them")
    print_records(records)
    click.confirm(f"{verb} {number}?", abort=True, err=True)


def print_records(records: Sequence[tuple[Triplet, Record]]) -> None:
    """Print the records as a table, at most _MAX_SHOWN of them."""
    if records:
        print_table(_TITLES, map(_row, records[:_MAX_SHOWN]))
    if len(records) > _MAX_SHOWN:
        click.echo(f"and {len(records) - _MAX_SHOWN} more")


def _row(item: tuple[Triplet, Record]) -> list[str]:
    triplet, record = item
    times = (f"{instant:%Y-%m-%d %H:%M}" for instant in (record.first_seen, record.last_seen))
    return [*triplet, record.status.name.lower(), *times]
