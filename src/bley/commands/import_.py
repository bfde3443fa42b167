"""`bley import`: records of another greylister, or of an export, are united with what is known."""

import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import click

from bley.commands.ending import WrongInputError
from bley.commands.json_lines import FormatError, read_lines
from bley.commands.options import config_option, dry_run_option, load_settings, run
from bley.commands.progress import Interruption, progress
from bley.commands.store_access import opened_engine
from bley.core.errors import PrivacyKeyError, RefusedError, StoreError
from bley.core.greylist import Record
from bley.core.imported_record import ImportedRecord
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.core.triplet import TripletRules
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.predecessors.bley2 import read_bley2
from bley.predecessors.errors import PredecessorError
from bley.predecessors.postgrey import read_postgrey
from bley.predecessors.record_converter import RecordConverter
from bley.predecessors.sqlgrey import read_sqlgrey
from bley.settings.database import Database, is_utf8, parse_database, read_password
from bley.settings.file import Configuration
from bley.store.engine import Engine
from bley.store.opening import open_sql

__all__ = ["import_"]

_PASSWORD_VARIABLE = "BLEY_IMPORT_PASSWORD"
_STANDARD_INPUT = 0
_PORTION = 1000
_MAX_REASONS = 20
_READERS = {"sqlgrey": read_sqlgrey, "bley": read_bley2}

_Item = ImportedRecord | tuple[Triplet, Record] | str
"""A record; or why one could not be read."""


@dataclass(frozen=True, slots=True)
class _ImportCount:
    """What came of an import; `skipped` is counted by why."""

    taken: int
    skipped: Counter[str]


@click.command("import")
@config_option
@click.option(
    "--delay", type=click.IntRange(0, 10**9), default=300, show_default=True, help="postgrey's --delay, in seconds."
)
@click.option(
    "--auto-whitelist-clients",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="postgrey's option of that name.",
)
@click.option("--password-file", type=click.Path(path_type=Path), help="Where the password for URL is.")
@dry_run_option
@click.argument("source")
@click.argument("place", required=False)
@click.pass_obj
def import_(
    before: Path | None,
    file: Path | None,
    delay: int,
    auto_whitelist_clients: int,
    password_file: Path | None,
    dry_run: bool,
    source: str,
    place: str | None,
) -> None:
    """Take over what another greylister knows, while bley runs or not.

    \b
    bley import postgrey DIR    postgrey's folder, /var/lib/postgrey
    bley import sqlgrey URL     sqlgrey's database, postgresql://sqlgrey@localhost/sqlgrey
    bley import bley URL        the database of a bley 2
    bley import FILE            what `bley export` wrote; - is standard input

    The password for URL comes from --password-file or the environment, BLEY_IMPORT_PASSWORD. Twice is as good as once.
    """
    configuration = load_settings(file or before)
    if (source in ("postgrey", *_READERS)) != (place is not None):
        raise click.UsageError("write: bley import postgrey DIR, sqlgrey URL, bley URL, or a file alone")
    interruption = Interruption()
    work = _Import(configuration, interruption, dry_run=dry_run)
    if source == "postgrey" and place:
        found = read_postgrey(Path(place), timedelta(seconds=delay), auto_whitelist_clients)
        count = run(work.take(interruption.read(found)))
    elif place:
        count = run(work.take_database(source, _database(place, password_file)))
    else:
        with _reading(source, interruption) as records:
            count = run(work.take(interruption.read(records(configuration.triplet_rules))))
    _tell(source, count, dry_run=dry_run)


def _database(url: str, password_file: Path | None) -> Database:
    if not is_utf8(url):
        raise click.UsageError("the URL is not UTF-8: write other bytes as %ff")
    try:
        database = parse_database(url)
    except ValueError as error:
        raise click.UsageError(f"the URL {error}") from error
    if database.dbtype == "redis":
        raise click.UsageError("neither sqlgrey nor bley 2 keeps anything in Redis")
    try:
        password = read_password(password_file) if password_file else os.environ.get(_PASSWORD_VARIABLE, "")
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if not is_utf8(password):
        raise WrongInputError(f"{_PASSWORD_VARIABLE} is not UTF-8")
    return replace(database, password=database.password or password)


def _tell(source: str, count: _ImportCount, *, dry_run: bool) -> None:
    click.echo(
        f"{source}: {quantity(count.taken, 'record')} {'would be ' if dry_run else ''}taken over, "
        f"{count.skipped.total()} skipped"
    )
    for reason, number in count.skipped.most_common(_MAX_REASONS):
        click.echo(f"{number:>8}  {printable(reason)}")
    if len(count.skipped) > _MAX_REASONS:
        click.echo(f"          and {quantity(len(count.skipped) - _MAX_REASONS, 'reason')} more")


@contextlib.contextmanager
def _reading(
    name: str, interruption: Interruption
) -> Iterator[Callable[[TripletRules], Iterator[tuple[Triplet, Record] | str]]]:
    def records(rules: TripletRules) -> Iterator[tuple[Triplet, Record] | str]:
        try:
            yield from read_lines(opened, rules)
        except FormatError as error:
            raise FormatError(f"{name}: {error}") from error

    try:
        with interruption.input(_STANDARD_INPUT) if name == "-" else Path(name).open("rb") as opened:
            yield records
    except OSError as error:
        raise click.ClickException(f"{name}: {error.strerror}") from error


class _Import:
    """Unites what was read elsewhere with what is known; a dry run changes nothing."""

    def __init__(self, configuration: Configuration, interruption: Interruption, *, dry_run: bool) -> None:
        self._configuration, self._interruption, self._dry_run = configuration, interruption, dry_run
        self._now = utc_now()

    async def take(self, items: AsyncIterable[_Item]) -> _ImportCount:
        """Portion by portion: what was written stays when it is interrupted, and may be written again."""
        lifetimes = self._configuration.settings.lifetimes
        converter = RecordConverter(self._configuration.triplet_rules, lifetimes, self._now)
        taken = 0
        portions = converter.portions(items, _PORTION)
        records = await anext(portions, None)  # before the store is opened: a file that cannot be used makes none
        if self._dry_run:
            await self._check_key()
        async with contextlib.nullcontext() if self._dry_run else self._engine(makes=True) as engine:
            with progress("importing records") as advance:
                while records:
                    refused = await self._unite(engine, records) if engine else []
                    converter.skipped.update(f"the store refuses it: {why}" for _, why in refused)
                    taken += len(records) - len(refused)
                    advance(len(records))
                    self._stop_after(taken)
                    records = await anext(portions, None)
        self._stop_after(taken)
        return _ImportCount(taken, converter.skipped)

    async def take_database(self, source: str, database: Database) -> _ImportCount:
        """All records of sqlgrey or bley 2 in this database."""
        engine = open_sql(database)
        try:
            return await self.take(_READERS[source](engine))
        except PredecessorError as error:
            raise PredecessorError(f"{database}: {error}") from error
        finally:
            await engine.dispose()

    async def _unite(
        self, engine: Engine, records: Sequence[tuple[Triplet, Record]]
    ) -> Sequence[tuple[tuple[Triplet, Record], str]]:
        """Unite them with what is known; return what the store refuses, and why."""
        try:
            await engine.unite(records, self._now, self._configuration.settings.lifetimes)
        except RefusedError as error:
            return error.refused
        return []

    async def _check_key(self) -> None:
        """Raise PrivacyKeyError, if there is a store already."""
        try:
            async with self._engine(makes=False):
                return
        except PrivacyKeyError:
            raise
        except StoreError:
            return  # a dry run needs none

    def _engine(self, *, makes: bool) -> contextlib.AbstractAsyncContextManager[Engine]:
        return opened_engine(self._configuration, self._now, makes=makes, is_read_only=self._dry_run)

    def _stop_after(self, taken: int) -> None:
        text = f"{quantity(taken, 'record was', 'records were')} taken over; do it again for all"
        self._interruption.stop_if_requested(text)
