"""`bley forget`: delete records, from the store and from the caches of every running bley."""

from pathlib import Path

import click

from bley.commands.options import WIRE_TEXT, config_option, dry_run_option, json_option, load_settings, run
from bley.commands.output import print_document, print_table, record_document
from bley.commands.progress import Interruption, progress
from bley.commands.store_access import opened_engine
from bley.core.errors import PrivacyKeyError
from bley.core.greylist import Record
from bley.core.history.record_filter import RecordFilter
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.store.engine import Engine
from bley.store.key_claim import confirm_key

__all__ = ["forget"]

_PORTION = 1000
_MAX_SHOWN = 1000


@click.command()
@config_option
@click.option("--client", type=WIRE_TEXT, help="IP address, network, or domain with its subdomains.")
@click.option("--sender", type=WIRE_TEXT, help="Mail address, domain with its subdomains, or '<>' for the null sender.")
@click.option("--recipient", type=WIRE_TEXT, help="Mail address, or domain with its subdomains.")
@click.option("--all", "everything", is_flag=True, help="All records.")
@dry_run_option
@json_option
def forget(
    file: Path | None,
    client: str | None,
    sender: str | None,
    recipient: str | None,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Delete records, so that their mail is greylisted again; --dry-run shows them.

    Every running bley on this store notices within 20 seconds.
    """
    wanted = RecordFilter(client, sender, recipient)
    if (wanted == RecordFilter()) != everything:
        raise click.UsageError("name the records: --client, --sender, --recipient, or --all")
    configuration = load_settings(file)
    try:
        wanted.normalised(configuration.triplet_rules)
    except ValueError as error:
        raise click.UsageError(f"--{error}") from error
    found = run(_forget(configuration, wanted, Interruption(), dry_run=dry_run))
    if as_json:
        print_document({"is_dry_run": dry_run, "forgotten": [record_document(*each) for each in found]})
        return
    if found and dry_run:
        titles = "client", "sender", "recipient", "status", "first seen", "last seen"
        print_table(titles, map(_row, found[:_MAX_SHOWN]))
    if dry_run and len(found) > _MAX_SHOWN:
        click.echo(f"and {len(found) - _MAX_SHOWN} more")
    click.echo(f"{quantity(len(found), 'record')} {'would be ' if dry_run else ''}forgotten")


def _row(item: tuple[Triplet, Record]) -> list[str]:
    triplet, record = item
    times = (f"{instant:%Y-%m-%d %H:%M}" for instant in (record.first_seen, record.last_seen))
    return [*triplet, record.status.name.lower(), *times]


async def _forget(
    configuration: Configuration, wanted: RecordFilter, interruption: Interruption, *, dry_run: bool
) -> list[tuple[Triplet, Record]]:
    """Delete the records that match, and return them; a dry run only returns them.

    Raises ValueError if `wanted` names nothing (RecordFilter.normalised).
    """
    wanted, normalised = wanted.folded, wanted.normalised(configuration.triplet_rules)
    is_all = wanted == RecordFilter()
    found: list[tuple[Triplet, Record]] = []
    async with opened_engine(configuration, utc_now(), is_read_only=dry_run, needs_key=not is_all) as engine:
        with progress("searching") as advance:
            async for records in engine.records():
                found += [record for record in records if normalised.fits(record[0]) or wanted.fits(record[0])]
                advance(len(records))
                interruption.stop_if_requested("no record is forgotten")
        if dry_run:
            return found
        for start in range(0, len(found), _PORTION):
            interruption.stop_if_requested(f"only {quantity(start, 'record')} forgotten")
            await engine.forget([triplet for triplet, _ in found[start : start + _PORTION]])
        if is_all:
            await _release_key(engine, configuration)
    return found


async def _release_key(engine: Engine, configuration: Configuration) -> None:
    """Let the empty store accept a new key, if its old key is lost."""
    try:
        await confirm_key(engine, configuration.key, claims=False)
    except PrivacyKeyError:
        await engine.release_key()
