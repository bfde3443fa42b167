"""`bley list`: show the records of the store: the triplets that wait, and those that are known.

A store of a million records takes no more memory than the records that are shown (store.history.FirstRecords), and at
most _SECONDS of time.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.options import DURATION, config_option, json_option, load_settings, run
from bley.commands.output import instant_document, print_document, print_table, timed_record_document
from bley.commands.progress import progress
from bley.commands.record_selection import normalised, record_options
from bley.commands.store_access import confirm_stored_key, opened_history
from bley.core.greylist import OF_TRIPLETS, Record, Standing, Status, Timing
from bley.core.history.audit import AuditEntry
from bley.core.history.outcome import format_duration
from bley.core.history.record_filter import RecordFilter
from bley.core.history.record_query import RecordOrder, RecordQuery
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.corrections.opened_engine import opened_engine
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.sections import Timings
from bley.store.history import PartialResult

__all__ = ["list_"]

_SECONDS = 60.0
"""The time limit: Redis returns some 25,000 records a second, a SQL database examines a million of them."""

_EPOCH = datetime.fromtimestamp(0, UTC)

_STATUSES = {
    "waiting": [Status.GREYLISTED],
    "known": [Status.CLEAN, Status.TRUSTED],
    "clean": [Status.CLEAN],
    "trusted": [Status.TRUSTED],
    "relation": [status for status in Status if status not in OF_TRIPLETS],
}
_ORDERS: dict[str, RecordOrder] = {"last-seen": "last_seen", "first-seen": "first_seen", "attempts": "attempts"}


@click.command(
    "list",
    cls=DocumentedCommand,
    examples=[
        "bley list --status waiting --recipient example.org",
        "bley list --client 192.0.2.0/24 --since 7d --json",
        "bley list --audit --since 7d",
    ],
)
@config_option
@record_options
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(list(_STATUSES)),
    help="Only records of this status; can be repeated. known is clean or trusted; relation is no triplet's.",
)
@click.option("--since", type=DURATION, help="Only records whose last attempt is at most this old, such as 12h or 7d.")
@click.option("--older", type=DURATION, help="Only records whose last attempt is older.")
@click.option(
    "--sort",
    type=click.Choice(list(_ORDERS)),
    default="last-seen",
    show_default=True,
    help="Order: the latest attempt, the latest first attempt, or the most early retries first.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    metavar="COUNT",
    default=50,
    show_default=True,
    help="Greatest number of records.",
)
@click.option("--audit", is_flag=True, help="Show starts, reloads and what users changed, instead of records.")
@json_option
def list_(
    file: Path | None,
    wanted: RecordFilter,
    statuses: Sequence[str],
    since: timedelta | None,
    older: timedelta | None,
    sort: str,
    limit: int,
    audit: bool,
    as_json: bool,
) -> None:
    """Show the records: waiting and known triplets.

    A waiting triplet is shown with the rest of its wait. A search ends after a minute at the latest, and then notes
    that there may be more. --audit shows the latest 10,000 acts instead, with --since, --older and --limit.
    """
    if audit and (statuses or wanted != RecordFilter()):
        raise click.UsageError("--audit has no records: it takes --since, --older and --limit")
    configuration, now = load_settings(file), utc_now()
    if audit:
        start = _EPOCH if since is None else now - since
        _show_audit(configuration, start, None if older is None else now - older, limit, as_json=as_json)
        return
    query = RecordQuery(
        filters=[normalised(wanted, configuration.triplet_rules), wanted.folded],
        statuses=frozenset(status for name in statuses for status in _STATUSES[name]) or OF_TRIPLETS,
        since=None if since is None else now - since,
        until=None if older is None else now - older,
        order=_ORDERS[sort],
    )
    with progress("searching"):
        found = run(_search(configuration, query, limit + 1))
    records, has_more, is_whole = found[:limit], len(found) > limit, not isinstance(found, PartialResult)
    timings = configuration.timings
    if as_json:
        documents = [_document(*each, timings, now) for each in records]
        print_document({"records": documents, "has_more": has_more, "is_whole": is_whole})
        return
    if records:
        title = "first seen" if sort == "first-seen" else "last seen"
        titles = "client", "sender", "recipient", "status", "retries", title
        print_table(titles, [_row(*each, timings, now, title) for each in records], right=("retries",))
    click.echo(_summary(len(records), has_more=has_more, is_whole=is_whole))


def _show_audit(
    configuration: Configuration, since: datetime, until: datetime | None, limit: int, *, as_json: bool
) -> None:
    async def search() -> Sequence[AuditEntry]:
        async with opened_engine(configuration, utc_now(), is_read_only=True, needs_key=False):
            pass  # an error explains a store of an older bley, which has no audit
        async with opened_history(configuration.settings) as history:
            return await history.audit(since, until, frozenset(), limit + 1)

    found = run(search())
    entries, has_more = found[:limit], len(found) > limit
    if as_json:
        fields = ("at", "node", "kind", "who", "what")  # the settings were not read
        documents = [{name: getattr(each, name) for name in fields} for each in entries]
        documents = [each | {"at": instant_document(each["at"])} for each in documents]
        print_document({"audit": documents, "has_more": has_more})
        return
    if entries:
        rows = [
            [f"{each.at:%Y-%m-%d %H:%M:%S}", each.node, each.who or "bley", each.kind, each.what] for each in entries
        ]
        print_table(("time (UTC)", "node", "user", "act", "details"), rows)
    click.echo(_count(len(entries), "act", has_more=has_more))


def _count(number: int, noun: str, *, has_more: bool) -> str:
    text = quantity(number, noun)
    return f"the first {text}: more match; --limit shows them" if has_more else text


async def _search(configuration: Configuration, query: RecordQuery, limit: int) -> Sequence[tuple[Triplet, Record]]:
    async with opened_history(configuration.settings) as history:
        await confirm_stored_key(configuration)
        return await history.records(query, limit, _SECONDS)


def _document(triplet: Triplet, record: Record, timings: Timings, now: datetime) -> dict[str, Any]:
    return timed_record_document(triplet, record, timings.of(triplet.recipient), now)


def _row(triplet: Triplet, record: Record, timings: Timings, now: datetime, title: str) -> list[str]:
    seen = record.first_seen if title == "first seen" else record.last_seen
    age = " ".join(format_duration(max(now - seen, timedelta(0))).split()[:2])
    return [*triplet, _status(record, timings.of(triplet.recipient), now), str(record.attempts), f"{age} ago"]


def _summary(number: int, *, has_more: bool, is_whole: bool) -> str:
    text = _count(number, "record", has_more=has_more)
    if is_whole:
        return text
    return (
        f"{text}\nthere may be others: the search stopped after {_SECONDS:g} s; name --client, --sender or --recipient"
    )


def _status(record: Record, timing: Timing, now: datetime) -> str:
    match timing.standing(record, now):
        case Standing.EARLY:
            return f"waits {format_duration(timing.remaining(record, now))}"
        case Standing.WAITED:
            return "wait is over"
        case Standing.NEW:
            return "expired"
    return record.status.name.lower()
