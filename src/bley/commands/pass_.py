"""`bley pass`: make waiting triplets known, so that their mail passes at its next attempt, on all nodes.

A node finds the new status in the store, since its caches have only known triplets. For each record, a decision with
the reason `released` is stored, so that `bley why` shows what the operator did.
"""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.ending import EXIT_FAILED
from bley.commands.options import config_option, dry_run_option, json_option, load_settings, run
from bley.commands.output import print_document, record_document
from bley.commands.progress import Interruption
from bley.commands.record_selection import find_records, normalised, print_records, record_options
from bley.commands.store_access import opened_engine
from bley.core.decision import Decision, DecisionEntry
from bley.core.greylist import Record, Status
from bley.core.history.conditions import named_network
from bley.core.history.record_filter import RecordFilter
from bley.core.mail import Request, Triplet
from bley.core.quantity import quantity
from bley.core.reasons import Reason
from bley.ports import utc_now
from bley.settings.file import Configuration

__all__ = ["pass_"]

_PORTION = 1000
_MOST_AT_ONCE = 10
"""Records of one mail: it has several recipients, or was tried from several networks. Those of a whole domain may be
thousands, most of them of spam."""

_NO_RECORD = (
    "no record matches: `bley why ADDRESS` shows all attempts and records. A client with a name has its domain there. "
    "If there was no attempt yet, name the client's IP address and whole addresses of sender and recipient"
)


class _Selection(NamedTuple):
    """The records that are to pass, as they are then, and the number of those that pass already."""

    released: Sequence[tuple[Triplet, Record]]
    known: int = 0
    attempt: str = "next"

    def describe(self, *, dry_run: bool) -> str:
        """Return what the command did."""
        if self.released:
            verb = "would pass" if dry_run else "passes" if len(self.released) == 1 else "pass"
            return f"{quantity(len(self.released), 'record')} {verb} at the {self.attempt} attempt"
        if self.known:
            return f"no record waits; {quantity(self.known, 'record passes', 'records pass')} already"
        return _NO_RECORD


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
    normalised(wanted, configuration.triplet_rules)
    selection = run(_select(configuration, wanted, utc_now(), interruption))
    number = len(selection.released)
    if number > _MOST_AT_ONCE and not (yes or dry_run):
        raise click.UsageError(f"{number} records match: --dry-run shows them, and --yes lets them pass")
    if not dry_run and number:
        run(_release(configuration, selection, utc_now(), interruption))
    if as_json:
        documents = [record_document(*each) for each in selection.released]
        print_document({"is_dry_run": dry_run, "passed": documents, "passed_already": selection.known})
    else:
        print_records(selection.released)
        click.echo(selection.describe(dry_run=dry_run))
    if not number and not selection.known:
        sys.exit(EXIT_FAILED)


async def _select(
    configuration: Configuration, wanted: RecordFilter, now: datetime, interruption: Interruption
) -> _Selection:
    """Search the store for the records, or make one if there is none of a mail that is named completely."""
    rules = configuration.triplet_rules
    async with opened_engine(configuration, now, is_read_only=True) as engine:
        found = await find_records(engine, wanted, rules, interruption, "no record passes")
    waiting = [each for each in found if each[1].status is Status.GREYLISTED]
    if not found and (triplet := wanted.triplet(rules)):
        return _Selection([(triplet, Record(Status.CLEAN, now, now))], attempt="first")
    released = [(triplet, record._replace(status=Status.CLEAN, last_seen=now)) for triplet, record in waiting]
    return _Selection(released, len(found) - len(waiting))


async def _release(
    configuration: Configuration, selection: _Selection, now: datetime, interruption: Interruption
) -> None:
    is_private, lifetimes = bool(configuration.privacy_key), configuration.settings.lifetimes
    async with opened_engine(configuration, now) as engine:
        for start in range(0, len(selection.released), _PORTION):
            interruption.stop_if_requested(f"only {quantity(start, 'record passes', 'records pass')}")
            portion = selection.released[start : start + _PORTION]
            await engine.unite(portion, now, lifetimes)
            await engine.add_decisions([_entry(*each, now, is_private=is_private) for each in portion], {})


def _entry(triplet: Triplet, record: Record, now: datetime, *, is_private: bool) -> DecisionEntry:
    """Return the decision of the operator, which is about no request, but about the client of the record."""
    client, sender, recipient = triplet
    name = "" if named_network(client) else client
    request = Request(client_address=client, client_name=name, sender=sender, recipient=recipient)
    decision = Decision(request, Reason.RELEASED, triplet=triplet, record=record)
    return DecisionEntry(now, "pass", decision, sender, recipient, is_private)
