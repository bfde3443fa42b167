"""The commands that look back: `bley why`, `bley stats`, `bley top`."""

import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import click

from bley.commands.documents import print_document, print_steps
from bley.commands.ending import EXIT_FAILED
from bley.commands.list_work import print_lists
from bley.commands.options import WIRE_TEXT, config_option, json_option, load_settings, run
from bley.commands.stats import Statistics, gather, period_until_now
from bley.commands.tables import print_table
from bley.commands.why import WhyReport
from bley.commands.why import why as find_out
from bley.core.errors import StoreError
from bley.core.history.periods import Period
from bley.core.history.steps import describe_triplet
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from bley.settings.values import parse_duration
from bley.store.history import History
from bley.store.key_claim import confirm_key
from bley.store.opening import open_engine, open_history

__all__ = ["stats", "top", "why"]


@click.command()
@config_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Show at most so many.")
@json_option
@click.argument("query", type=WIRE_TEXT)
@click.pass_obj
def why(before: Path | None, file: Path | None, limit: int, as_json: bool, query: str) -> None:
    """Show the decisions about QUERY, what became of each, and what to do if it was wrong.

    QUERY is a mail address, a domain or host name, an IP address or network, an instance or a queue id, as it stands in
    the log; `<>` is the null sender.
    """
    configuration = load_settings(file or before)
    with _progress("looking"):
        account = run(_why(configuration, query, limit))
    if as_json:
        print_document(account.document)
    else:
        _print_account(account)
    sys.exit(EXIT_FAILED if account.is_empty else 0)


async def _why(configuration: Configuration, query: str, limit: int) -> WhyReport:
    async with _history(configuration.settings) as history:
        await _confirm_key(configuration)
        return await find_out(history, configuration, query, limit, utc_now())


async def _confirm_key(configuration: Configuration) -> None:
    """Raise PrivacyKeyError where nothing would be found, since the store hashes addresses in another way."""
    engine = open_engine(configuration.settings.store, read_only=True)
    try:
        await confirm_key(engine, configuration.key, claims=False)
    finally:
        await engine.close()


def _print_account(account: WhyReport) -> None:
    if account.is_empty:
        click.echo(printable(account.nothing))
    for told in account.told:
        print_steps(told.steps)
        for number, advice in enumerate(told.advice):
            text = printable(advice.text.removesuffix(advice.command)) + advice.command
            click.echo(f"{'  ' if number else 'if this was wrong: '}{text}")
        click.echo()
    if not account.is_whole:
        click.echo(account.unfinished)
    for triplet, record in account.records:
        click.echo(f"{'record':<12}{printable(describe_triplet(triplet))}")
        click.echo(f"{'':<12}{account.describe_record(record)}")


def _period(_context: click.Context, _parameter: click.Parameter, value: str) -> Period:
    try:
        return period_until_now(parse_duration(value))
    except ValueError as error:
        raise click.BadParameter(f"{value} {error}") from error


@click.command()
@config_option
@click.option(
    "--since", "period", callback=_period, default="7d", show_default=True, help="How long until now: 12h, 40d."
)
@json_option
@click.pass_obj
def stats(before: Path | None, file: Path | None, period: Period, as_json: bool) -> None:
    """Show what was passed and deferred, why, and what came of it."""
    configuration = load_settings(file or before)
    with _progress("counting"):
        statistics = run(_stats(configuration, period))
    if as_json:
        print_document(statistics.document)
    else:
        _print_statistics(statistics)


async def _stats(configuration: Configuration, period: Period) -> Statistics:
    async with _history(configuration.settings) as history:
        return await gather(history, configuration, period, utc_now())


def _print_statistics(statistics: Statistics) -> None:
    click.echo(statistics.heading + "\n")
    print_table(("", "mails", ""), statistics.summary, right=("mails",))
    for title, numbers in statistics.groups:
        if numbers:
            click.echo()
            print_table((title, "number"), [(name, str(number)) for name, number in numbers.items()], right=("number",))
    click.echo()
    if isinstance(statistics.lists, str):
        click.echo(f"lists: {printable(statistics.lists)}")
    else:
        print_lists(statistics.lists)


@click.command()
@config_option
@click.option("-n", "count", type=click.IntRange(1), help="End after so many pictures.")
@click.option(
    "-s", "seconds", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True, help="So long each is shown."
)
@click.option("--once", is_flag=True, help="Print one picture and end, as where there is no terminal.")
@click.pass_obj
def top(before: Path | None, file: Path | None, count: int | None, seconds: float, once: bool) -> None:
    """Show what the running bley does, live: rates, reasons, lists, the latest decisions; q ends it."""
    configuration = load_settings(file or before)
    run(_top(configuration, seconds, count, is_live=sys.stdout.isatty() and not once))


async def _top(configuration: Configuration, seconds: float, count: int | None, *, is_live: bool) -> None:
    from bley.commands.top import Top

    history = open_history(configuration.settings.store)
    try:
        view = Top(history, configuration, seconds)
        await (view.show(count) if is_live else view.print_once())
    finally:
        await history.close()


@contextlib.asynccontextmanager
async def _history(settings: Settings) -> AsyncIterator[History]:
    """That of a store that is there."""
    place = settings.store
    if place.dbtype == "sqlite3" and not place.file.exists():
        raise StoreError(f"{place}: there is no such file")
    history = open_history(place)
    try:
        yield history
    finally:
        await history.close()


@contextlib.contextmanager
def _progress(what: str) -> Iterator[None]:
    """That something is done, on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn(what), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        progress.add_task(what, total=None)
        yield
