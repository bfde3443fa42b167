"""The command `bley replay` and its options."""

import socket
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.options import config_option, json_option, load_settings, run
from bley.commands.output import print_document
from bley.commands.progress import Interruption, progress
from bley.commands.replay.judge import NewJudge
from bley.commands.replay.limits import describe_limits, queried_lists
from bley.commands.replay.page import Replay
from bley.commands.replay.tally import Tally
from bley.commands.stats_period import parse_instant
from bley.commands.store_access import confirm_stored_key, opened_history
from bley.core.history.audit import AuditKind
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.snapshot import Snapshot
from bley.store.history import History, PartialResult

__all__ = ["replay", "replay_decisions"]

_PAGE = 1000
"""The decisions that are read at once: some 3 MB."""

_CHANGES: frozenset[AuditKind] = frozenset(["start", "reload"])
_MOST_CHANGES = 1000


@click.command(
    cls=DocumentedCommand,
    examples=["bley replay --config /etc/bley/new.conf", "bley replay --config new.conf --since 7d --json"],
)
@config_option
@click.option(
    "--store",
    "store_file",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),
    help="Settings file of the store, if that of --config names another one.",
)
@click.option(
    "--since",
    default="28d",
    show_default=True,
    metavar="WHEN",
    help="The oldest decision: an age such as 12h or 28d, or a time such as 2026-11-26T14:00Z.",
)
@click.option(
    "--limit",
    metavar="COUNT",
    type=click.IntRange(1, 5_000_000),
    default=200_000,
    show_default=True,
    help="Greatest number of decisions, the latest ones.",
)
@json_option
def replay(file: Path | None, store_file: Path | None, since: str, limit: int, as_json: bool) -> None:
    """Judge the stored decisions by other settings.

    --config names these settings, a copy of bley.conf with your changes in the same folder. The stored findings of each
    first attempt are judged by them, without DNS queries, and retries follow their first attempt. The page shows the
    mail that would newly be deferred or pass, with examples, and settings whose effect it cannot show. Nothing is
    changed.
    """
    now = utc_now()
    try:
        start = parse_instant("--since", since, now)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    configuration = load_settings(file)
    place = load_settings(store_file) if store_file else configuration
    interruption = Interruption()
    with progress("judging") as advance:

        def on_page(number: int) -> None:
            advance(number)
            interruption.stop_if_requested("nothing is shown")

        found = run(_replay(configuration, place, start, now, limit, on_page))
    if as_json:
        print_document(found.document)
    else:
        found.show()


async def _replay(
    configuration: Configuration,
    place: Configuration,
    since: datetime,
    now: datetime,
    limit: int,
    on_page: Callable[[int], None],
) -> Replay:
    async with opened_history(place.settings) as history:
        await confirm_stored_key(place)
        return await replay_decisions(history, configuration, since, now, limit, on_page, place=place)


async def replay_decisions(
    history: History,
    configuration: Configuration,
    since: datetime,
    now: datetime,
    limit: int,
    on_page: Callable[[int], None] = lambda _: None,
    *,
    place: Configuration | None = None,
) -> Replay:
    """Return the result for the latest decisions since then, at most `limit`. Raises StoreError.

    `place`: the configuration of their store, if that is another one.
    """
    place = place or configuration
    [*starts] = await history.audit(datetime.fromtimestamp(0, now.tzinfo), None, _CHANGES, 1, with_settings=True)
    snapshot = Snapshot.parse(starts[0].settings) if starts else None
    changes = await history.audit(since, None, _CHANGES, _MOST_CHANGES)
    tally, first, is_observed, has_deferred = None, now, True, False
    queried = frozenset[str]()
    async for page in _pages(history, since, limit):
        if tally is None:
            queried = queried_lists(snapshot, page)
            tally = Tally(NewJudge(configuration, socket.gethostname(), queried))
        for decision in page:
            tally.add(decision)
            is_observed = is_observed and decision.outcome != "greylist"
            has_deferred = has_deferred or decision.defers
        first = page[-1].at
        on_page(len(page))
    tally = tally or Tally(NewJudge(configuration, socket.gethostname(), queried))
    tally.finish()
    is_complete = tally.read < limit
    limits = describe_limits(configuration, snapshot, queried, changes, tally, is_private=bool(place.privacy_key))
    start = since if is_complete else first
    return Replay(
        configuration.file, start, now, tally, limits, is_complete, is_observed and has_deferred, place.list_files
    )


async def _pages(history: History, since: datetime, limit: int) -> AsyncIterator[Sequence[StoredDecision]]:
    """Yield the decisions, the newest first, by searches that a database answers in steps."""
    query, before, left = DecisionQuery(since=since), "", limit
    while left:
        page = await history.decisions(query, min(_PAGE, left), before)
        if page:
            yield page
        left -= len(page)
        if isinstance(page, PartialResult):
            before = page.before
        elif len(page) < _PAGE:
            return
        else:
            before = page[-1].number
