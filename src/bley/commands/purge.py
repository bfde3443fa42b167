"""`bley purge`: delete all that has expired now, as every bley does each half hour."""

from pathlib import Path

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.options import config_option, json_option, load_settings, run
from bley.commands.output import print_document
from bley.commands.progress import Interruption, progress
from bley.core.quantity import quantity
from bley.corrections.audit import Auditor, unix_user
from bley.corrections.opened_engine import opened_engine
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.store.engine import Purged

__all__ = ["purge"]

_SLICE = 1000
"""Rows of each kind that one transaction deletes: a running bley waits for it."""


@click.command(cls=DocumentedCommand, examples=["bley purge"])
@config_option
@json_option
def purge(file: Path | None, as_json: bool) -> None:
    """Delete all expired records, decisions and counts.

    Every running bley does this each half hour.
    """
    deleted = run(_purge(load_settings(file), Interruption()))
    if as_json:
        print_document(deleted._asdict())
    else:
        click.echo(f"deleted {_describe(deleted)}")


async def _purge(configuration: Configuration, interruption: Interruption) -> Purged:
    now, lifetimes, total = utc_now(), configuration.settings.lifetimes, Purged(0, 0, 0)
    async with opened_engine(configuration, now, needs_key=False) as engine:
        try:
            with progress("purging") as advance:
                while any(purged := await engine.purge(now, lifetimes, _SLICE)):
                    total = Purged(*map(sum, zip(total, purged, strict=True)))
                    advance(sum(purged))
                    interruption.stop_if_requested(f"only {_describe(total)} deleted")
        finally:
            if any(total):
                await Auditor(configuration, unix_user()).record(engine, "purge", f"deleted {_describe(total)}")
    return total


def _describe(purged: Purged) -> str:
    nouns = "record", "decision", "count", "verified domain"
    return ", ".join(map(quantity, purged, nouns))
