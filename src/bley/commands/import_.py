"""`bley import`: merge records of another greylister, or of an export, into the store."""

import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import click
from click.shell_completion import CompletionItem

from bley.commands.documented import DocumentedCommand
from bley.commands.ending import WrongInputError
from bley.commands.imported_recipients import write_recipients
from bley.commands.json_lines import FormatError, read_lines
from bley.commands.options import config_option, dry_run_option, load_settings, run
from bley.commands.progress import Interruption, progress
from bley.core.errors import PrivacyKeyError, RefusedError, StoreError
from bley.core.greylist import Record
from bley.core.imported_record import ImportedRecord
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.core.triplet import ANY, TripletRules
from bley.corrections.opened_engine import opened_engine
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.predecessors.bley2 import read_bley2
from bley.predecessors.errors import PredecessorError
from bley.predecessors.postgrey import read_postgrey
from bley.predecessors.record_converter import RecordConverter
from bley.predecessors.sqlgrey import OF_SECTIONS, read_recipients, read_sqlgrey
from bley.settings.database import Database, is_utf8, parse_database, read_password
from bley.settings.file import Configuration
from bley.store.engine import Engine
from bley.store.opening import open_sql

__all__ = ["import_"]

_PASSWORD_VARIABLE = "BLEY_IMPORT_PASSWORD"
_STANDARD_INPUT = 0
_PORTION = 1000
_LONGEST_LINE = 65_536
"""Bytes of a line of a file of `bley export`. A record has at most 3 parts of 255 bytes, each byte escaped as 6."""

_MAX_REASONS = 20
_POLL = "20 s"
"""The time after which each node looks for these records at all (daemon/instance.py), if it had none."""
_READERS = {"sqlgrey": read_sqlgrey, "bley": read_bley2}

_Item = ImportedRecord | tuple[Triplet, Record] | str
"""A record, or the reason why one could not be read."""


@dataclass(frozen=True, slots=True)
class _ImportCount:
    """The number of imported records, and the number of skipped ones by reason."""

    imported: int
    skipped: Counter[str]
    wildcards: int = 0
    """The number of imported records for any recipient, and mostly any sender, of a client."""

    def without_recipients(self) -> "_ImportCount":
        """Return the count without sqlgrey's recipients, which are written to files."""
        skipped = {reason: number for reason, number in self.skipped.items() if not reason.endswith(OF_SECTIONS)}
        return replace(self, skipped=Counter(skipped))


def _complete_source(_context: click.Context, _parameter: click.Parameter, text: str) -> list[CompletionItem]:
    names = [CompletionItem(name) for name in ("postgrey", *_READERS) if name.startswith(text)]
    return [*names, CompletionItem(text, type="file")]


@click.command(
    "import",
    cls=DocumentedCommand,
    examples=[
        "bley import postgrey /var/lib/postgrey",
        "bley import sqlgrey sqlite:///sqlgrey.db --recipients /etc/bley",
        "bley import bley sqlite:////var/lib/bley2/bley.db --dry-run",
        "bley import records.jsonl",
    ],
)
@config_option
@click.option(
    "--delay",
    metavar="SECONDS",
    type=click.IntRange(0, 10**9),
    default=300,
    show_default=True,
    help="Value of postgrey's --delay, which decides whether a triplet has waited.",
)
@click.option(
    "--auto-whitelist-clients",
    metavar="COUNT",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Value of postgrey's option of that name: the passes after which a client passes with any mail.",
)
@click.option(
    "--password-file", metavar="FILE", type=click.Path(path_type=Path), help="File with the password for URL."
)
@click.option(
    "--recipients",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Write sqlgrey's opt-in and opt-out recipients into files there, and show their sections for bley.conf.",
)
@dry_run_option
@click.argument("source", shell_complete=_complete_source)
@click.argument("place", required=False)
def import_(
    file: Path | None,
    delay: int,
    auto_whitelist_clients: int,
    password_file: Path | None,
    folder: Path | None,
    dry_run: bool,
    source: str,
    place: str | None,
) -> None:
    """Import records of a greylister, or exported ones.

    \b
    SOURCE PLACE    PLACE is
    postgrey DIR    postgrey's folder; its Berkeley DB needs db5.3-util
    sqlgrey URL     sqlgrey's database
    bley URL        the database of bley 2
    FILE            a file of bley export; - is standard input

    bley may run meanwhile. The number of skipped records is shown by reason. An import is idempotent: it can be
    repeated after an interruption. The password for URL is read from --password-file, or from the environment variable
    BLEY_IMPORT_PASSWORD.
    """
    configuration = load_settings(file)
    if (source in ("postgrey", *_READERS)) != (place is not None):
        raise click.UsageError("write: bley import postgrey DIR, sqlgrey URL, bley URL, or FILE")
    if folder and source != "sqlgrey":
        raise click.UsageError("--recipients is for sqlgrey, whose recipients can have rules of their own")
    interruption = Interruption()
    importer = _Importer(configuration, interruption, dry_run=dry_run)
    lines: list[str] = []
    if source == "postgrey" and place:
        found = read_postgrey(Path(place), timedelta(seconds=delay), auto_whitelist_clients)
        count = run(importer.import_items(interruption.read(found)))
    elif place:
        database = _database(place, password_file)
        count = run(importer.import_database(source, database))
        if folder:
            tables = run(_read_recipients(database))
            lines = list(write_recipients(folder, tables, dry_run=dry_run))
            count = count.without_recipients()
    else:
        with _open_source(source, interruption) as records:
            count = run(importer.import_items(interruption.read(records(configuration.triplet_rules))))
    _print_count(source, count, dry_run=dry_run)
    for line in lines:
        click.echo(line)


async def _read_recipients(database: Database) -> dict[str, list[str]]:
    engine = open_sql(database)
    try:
        return await read_recipients(engine)
    finally:
        await engine.dispose()


def _database(url: str, password_file: Path | None) -> Database:
    if not is_utf8(url):
        raise click.UsageError("the URL is not UTF-8: write other bytes as %ff")
    try:
        database = parse_database(url)
    except ValueError as error:
        raise click.UsageError(f"the URL {error}") from error
    if database.dbtype == "redis":
        raise click.UsageError("neither sqlgrey nor bley 2 stores records in Redis")
    try:
        password = read_password(password_file) if password_file else os.environ.get(_PASSWORD_VARIABLE, "")
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if not is_utf8(password):
        raise WrongInputError(f"{_PASSWORD_VARIABLE} is not UTF-8")
    return replace(database, password=database.password or password)


def _print_count(source: str, count: _ImportCount, *, dry_run: bool) -> None:
    click.echo(
        f"{source}: {quantity(count.imported, 'record')} {'would be ' if dry_run else ''}imported, "
        f"{count.skipped.total()} skipped"
    )
    for reason, number in count.skipped.most_common(_MAX_REASONS):
        click.echo(f"{number:>8}  {printable(reason)}")
    if len(count.skipped) > _MAX_REASONS:
        click.echo(f"          and {quantity(len(count.skipped) - _MAX_REASONS, 'reason')} more")
    if count.wildcards and not dry_run:
        click.echo(
            f"{quantity(count.wildcards, 'record')} for all mail of a client: a running bley knows within {_POLL}"
        )


def _bounded_lines(opened: BinaryIO) -> Iterator[bytes]:
    """Yield the lines; of one that is too long, the beginning, which is no valid line."""
    while line := opened.readline(_LONGEST_LINE):
        yield line
        while len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            line = opened.readline(_LONGEST_LINE)


@contextlib.contextmanager
def _open_source(
    name: str, interruption: Interruption
) -> Iterator[Callable[[TripletRules], Iterator[tuple[Triplet, Record] | str]]]:
    def records(rules: TripletRules) -> Iterator[tuple[Triplet, Record] | str]:
        try:
            yield from read_lines(_bounded_lines(opened), rules)
        except FormatError as error:
            raise FormatError(f"{name}: {error}") from error

    try:
        with interruption.input(_STANDARD_INPUT) if name == "-" else Path(name).open("rb") as opened:
            yield records
    except OSError as error:
        raise click.ClickException(f"{name}: {error.strerror}") from error


class _Importer:
    """An import of records into the store; a dry run only counts them."""

    def __init__(self, configuration: Configuration, interruption: Interruption, *, dry_run: bool) -> None:
        self._configuration, self._interruption, self._dry_run = configuration, interruption, dry_run
        self._now = utc_now()

    async def import_items(self, items: AsyncIterable[_Item]) -> _ImportCount:
        """Import the items in portions. Those written before an interruption stay; a repetition is idempotent."""
        lifetimes = self._configuration.settings.lifetimes
        converter = RecordConverter(self._configuration.triplet_rules, lifetimes, self._now)
        imported = wildcards = 0
        portions = converter.portions(items, _PORTION)
        records = await anext(portions, None)  # first, so that an invalid file creates no store
        if self._dry_run:
            await self._check_key()
        async with contextlib.nullcontext() if self._dry_run else self._engine(creates=True) as engine:
            with progress("importing records") as advance:
                while records:
                    refused = await self._merge(engine, records) if engine else []
                    converter.skipped.update(f"the store refuses it: {why}" for _, why in refused)
                    imported += len(records) - len(refused)
                    wildcards += sum(triplet.recipient == ANY for triplet, _ in records)
                    advance(len(records))
                    self._stop_after(imported)
                    records = await anext(portions, None)
        self._stop_after(imported)
        return _ImportCount(imported, converter.skipped, wildcards)

    async def import_database(self, source: str, database: Database) -> _ImportCount:
        """Import all records of sqlgrey or bley 2 from this database."""
        engine = open_sql(database)
        try:
            return await self.import_items(_READERS[source](engine))
        except PredecessorError as error:
            raise PredecessorError(f"{database}: {error}") from error
        finally:
            await engine.dispose()

    async def _merge(
        self, engine: Engine, records: Sequence[tuple[Triplet, Record]]
    ) -> Sequence[tuple[tuple[Triplet, Record], str]]:
        """Merge the records into the store; return those that the store refuses, each with the reason."""
        try:
            await engine.unite(records, self._now, self._configuration.settings.lifetimes)
        except RefusedError as error:
            return error.refused
        return []

    async def _check_key(self) -> None:
        """Raise PrivacyKeyError if there is a store with another key."""
        try:
            async with self._engine(creates=False):
                return
        except PrivacyKeyError:
            raise
        except StoreError:
            return  # a dry run needs no store

    def _engine(self, *, creates: bool) -> contextlib.AbstractAsyncContextManager[Engine]:
        return opened_engine(self._configuration, self._now, creates=creates, is_read_only=self._dry_run)

    def _stop_after(self, imported: int) -> None:
        text = f"{quantity(imported, 'record was', 'records were')} imported; repeat the import to complete it"
        self._interruption.stop_if_requested(text)
