"""`bley forget`: delete records, from the store and from the caches of every running bley."""

from collections.abc import Sequence
from pathlib import Path

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.options import config_option, dry_run_option, json_option, load_settings, run
from bley.commands.output import print_document, record_document
from bley.commands.progress import Interruption
from bley.commands.record_selection import confirm_many, find_records, normalised, print_records, record_options
from bley.core.errors import PrivacyKeyError
from bley.core.greylist import Record
from bley.core.history.record_filter import RecordFilter
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.corrections.audit import Auditor, unix_user
from bley.corrections.opened_engine import opened_engine
from bley.corrections.records import forget_records, number_of
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.store.engine import Engine
from bley.store.key_claim import confirm_key

__all__ = ["forget"]


@click.command(
    cls=DocumentedCommand,
    examples=["bley forget --sender a@example.com --dry-run", "bley forget --client 192.0.2.0/24 --yes"],
    statuses={1: "The question was answered with no, or the command failed."},
)
@config_option
@record_options
@click.option("--all", "everything", is_flag=True, help="Delete all records.")
@click.option("--yes", is_flag=True, help="Delete more than one record without a question.")
@dry_run_option
@json_option
def forget(file: Path | None, wanted: RecordFilter, everything: bool, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Delete records, so that their mail waits again.

    The relations that match (`bley list --status relation`) are deleted too.
    Every running bley on this store notices within 20 seconds. More than one record needs --yes, or a yes on the
    terminal. If the privacy key is lost, --all lets the next bley that starts create a new one.
    """
    if (wanted == RecordFilter()) != everything:
        raise click.UsageError("name the records: --client, --sender, --recipient, or --all")
    configuration = load_settings(file)
    selected = normalised(wanted, configuration.triplet_rules)
    found = run(_find(configuration, wanted, Interruption()))
    if len(found) > 1 and not (yes or dry_run):
        confirm_many(found, "delete", asks=not as_json)
    if not dry_run:
        run(_forget(configuration, [triplet for triplet, _ in found], selected, Interruption()))
    if as_json:
        print_document({"is_dry_run": dry_run, "forgotten": [record_document(*each) for each in found]})
        return
    if dry_run:
        print_records(found)
    click.echo(f"{number_of(found)} {'would be ' if dry_run else ''}forgotten")


async def _find(
    configuration: Configuration, wanted: RecordFilter, interruption: Interruption
) -> list[tuple[Triplet, Record]]:
    is_all, rules = wanted == RecordFilter(), configuration.triplet_rules
    async with opened_engine(configuration, utc_now(), is_read_only=True, needs_key=not is_all) as engine:
        return await find_records(engine, wanted, rules, interruption, "no record is forgotten")


async def _forget(
    configuration: Configuration, triplets: Sequence[Triplet], selected: RecordFilter, interruption: Interruption
) -> None:
    def check(done: int) -> None:
        interruption.stop_if_requested(f"only {quantity(done, 'record')} forgotten")

    is_all = selected == RecordFilter()
    async with opened_engine(configuration, utc_now(), needs_key=not is_all) as engine:
        audit = Auditor(configuration, unix_user()).of_records(engine, "forget", selected)
        await forget_records(engine, triplets, audit, check)
        if is_all:
            await _release_key(engine, configuration)


async def _release_key(engine: Engine, configuration: Configuration) -> None:
    """Let the empty store accept a new key, if its old key is lost."""
    try:
        await confirm_key(engine, configuration.key, claims=False)
    except PrivacyKeyError:
        await engine.release_key()
