"""`bley pass`: make waiting triplets known, so that their mail passes at its next attempt, on all nodes."""

import sys
from datetime import datetime
from pathlib import Path

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.ending import EXIT_FAILED
from bley.commands.options import config_option, dry_run_option, json_option, load_settings, run
from bley.commands.output import print_document, record_document
from bley.commands.progress import Interruption
from bley.commands.record_selection import find_records, normalised, print_records, record_options
from bley.core.history.record_filter import RecordFilter
from bley.core.quantity import quantity
from bley.corrections.audit import Auditor, unix_user
from bley.corrections.opened_engine import opened_engine
from bley.corrections.records import Release, release_records, select_release
from bley.ports import utc_now
from bley.settings.file import Configuration

__all__ = ["pass_"]

_MOST_AT_ONCE = 10
"""Records of one mail: it has several recipients, or was tried from several networks. Those of a whole domain may be
thousands, most of them of spam."""


@click.command(
    "pass",
    cls=DocumentedCommand,
    examples=["bley pass --sender a@example.com --recipient b@example.org", "bley pass --client 192.0.2.1 --dry-run"],
    statuses={1: "No record matches, or the command failed."},
)
@config_option
@record_options
@click.option("--yes", is_flag=True, help=f"Pass more than {_MOST_AT_ONCE} records.")
@dry_run_option
@json_option
def pass_(file: Path | None, wanted: RecordFilter, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Let waiting mail pass at its next attempt.

    All nodes of the store let it pass. If there is no record, --client is an IP address and --sender and --recipient
    are whole addresses, the first attempt passes.
    """
    if wanted == RecordFilter():
        raise click.UsageError("name the mail: --client, --sender, --recipient")
    configuration, interruption = load_settings(file), Interruption()
    selected = normalised(wanted, configuration.triplet_rules)
    selection = run(_select(configuration, wanted, utc_now(), interruption))
    number = len(selection.released)
    if number > _MOST_AT_ONCE and not (yes or dry_run):
        raise click.UsageError(f"{number} records match: --dry-run shows them, and --yes lets them pass")
    if not dry_run and number:
        run(_release(configuration, selection, selected, interruption))
    if as_json:
        documents = [record_document(*each) for each in selection.released]
        print_document({"is_dry_run": dry_run, "passed": documents, "passed_already": selection.known})
    else:
        print_records(selection.released)
        click.echo(selection.describe(is_done=not dry_run))
    if not number and not selection.known:
        sys.exit(EXIT_FAILED)


async def _select(
    configuration: Configuration, wanted: RecordFilter, now: datetime, interruption: Interruption
) -> Release:
    """Search the store for the records, or make one if there is none of a mail that is named completely."""
    rules = configuration.triplet_rules
    async with opened_engine(configuration, now, is_read_only=True) as engine:
        found = await find_records(engine, wanted, rules, interruption, "no record passes")
    return select_release(found, wanted, rules, now)


async def _release(
    configuration: Configuration, selection: Release, selected: RecordFilter, interruption: Interruption
) -> None:
    def check(done: int) -> None:
        interruption.stop_if_requested(f"only {quantity(done, 'record passes', 'records pass')}")

    now = utc_now()
    async with opened_engine(configuration, now) as engine:
        audit = Auditor(configuration, unix_user()).of_records(engine, "pass", selected)
        await release_records(engine, configuration, selection, now, audit, check)
