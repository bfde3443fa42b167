"""The commands `bley import`, `bley export` and `bley forget`."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import click

from bley.commands.documents import print_document, record_document
from bley.commands.ending import WrongInputError, utf8_output
from bley.commands.interruption import Interruption
from bley.commands.json_lines import FormatError, read_lines
from bley.commands.options import WIRE_TEXT, config_option, json_option, load_settings, run
from bley.commands.record_work import ImportCount, StoreCommands
from bley.commands.tables import print_table
from bley.core.greylist import Record
from bley.core.history.record_filter import RecordFilter
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.core.triplet import TripletRules
from bley.durable_files import replacing
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.predecessors.bley2 import read_bley2
from bley.predecessors.errors import PredecessorError
from bley.predecessors.postgrey import read_postgrey
from bley.predecessors.sqlgrey import read_sqlgrey
from bley.settings.database import Database, is_utf8, parse_database, read_password
from bley.store.opening import open_sql

__all__ = ["export", "forget", "import_"]

_PASSWORD_VARIABLE = "BLEY_IMPORT_PASSWORD"
_STANDARD_INPUT = 0
_MAX_REASONS = 20
_MAX_SHOWN = 1000
_READERS = {"sqlgrey": read_sqlgrey, "bley": read_bley2}

_dry_run_option = click.option("--dry-run", is_flag=True, help="Change nothing, only say what would be done.")


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
@_dry_run_option
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
    commands = StoreCommands(configuration, utc_now(), interruption, dry_run=dry_run)
    if source == "postgrey" and place:
        found = read_postgrey(Path(place), timedelta(seconds=delay), auto_whitelist_clients)
        count = run(commands.take(interruption.read(found)))
    elif place:
        count = run(_take_from_database(commands, source, _database(place, password_file)))
    else:
        with _reading(source, interruption) as records:
            count = run(commands.take(interruption.read(records(configuration.triplet_rules))))
    _tell(source, count, dry_run=dry_run)


async def _take_from_database(commands: StoreCommands, source: str, database: Database) -> ImportCount:
    engine = open_sql(database)
    try:
        return await commands.take(_READERS[source](engine))
    except PredecessorError as error:
        raise PredecessorError(f"{database}: {error}") from error
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
        raise click.UsageError("neither sqlgrey nor bley 2 keeps anything in Redis")
    try:
        password = read_password(password_file) if password_file else os.environ.get(_PASSWORD_VARIABLE, "")
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if not is_utf8(password):
        raise WrongInputError(f"{_PASSWORD_VARIABLE} is not UTF-8")
    return replace(database, password=database.password or password)


def _tell(source: str, count: ImportCount, *, dry_run: bool) -> None:
    click.echo(
        f"{source}: {quantity(count.taken, 'record')} {'would be ' if dry_run else ''}taken over, "
        f"{count.skipped.total()} skipped"
    )
    for reason, number in count.skipped.most_common(_MAX_REASONS):
        click.echo(f"{number:>8}  {printable(reason)}")
    if len(count.skipped) > _MAX_REASONS:
        click.echo(f"          and {quantity(len(count.skipped) - _MAX_REASONS, 'reason')} more")


@click.command()
@config_option
@click.argument("target", default="-")
@click.pass_obj
def export(before: Path | None, file: Path | None, target: str) -> None:
    """Write all records as JSON lines to FILE, or to standard output."""
    commands = StoreCommands(load_settings(file or before), utc_now(), Interruption())
    with _writing(target) as opened:
        count = run(commands.export(opened))
    click.echo(f"{quantity(count, 'record')} exported", err=True)


@click.command()
@config_option
@click.option("--client", type=WIRE_TEXT, help="An address, a network, or a domain and what is below it.")
@click.option(
    "--sender", type=WIRE_TEXT, help="A mail address, a domain and what is below it, or '<>', the null sender."
)
@click.option("--recipient", type=WIRE_TEXT, help="A mail address, or a domain and what is below it.")
@click.option("--all", "everything", is_flag=True, help="All records there are.")
@_dry_run_option
@json_option
@click.pass_obj
def forget(
    before: Path | None,
    file: Path | None,
    client: str | None,
    sender: str | None,
    recipient: str | None,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Forget records, so that their mail is a stranger's again; --dry-run shows them.

    Every running bley on this store knows within 20 seconds.
    """
    wanted = RecordFilter(client, sender, recipient)
    if (wanted == RecordFilter()) != everything:
        raise click.UsageError("say which: --client, --sender, --recipient, or --all")
    configuration = load_settings(file or before)
    try:
        wanted.normalised(configuration.triplet_rules)
    except ValueError as error:
        raise click.UsageError(f"--{error}") from error
    commands = StoreCommands(configuration, utc_now(), Interruption(), dry_run=dry_run)
    found = run(commands.forget(wanted))
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


@contextlib.contextmanager
def _writing(name: str) -> Iterator[TextIO]:
    """A file of ours alone, that is there as a whole or not at all; what is no file, a device say, is written to."""
    if name == "-":
        opened = utf8_output()
        yield opened
        opened.detach()
        return
    path = Path(os.path.realpath(name))  # Path.resolve does not take links that lead to each other
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8") as opened:
                yield opened
            return
        with replacing(path, 0o600) as part:
            opened = io.TextIOWrapper(part, encoding="utf-8")
            yield opened
            opened.detach()
    except OSError as error:
        raise click.ClickException(f"{name}: {error.strerror}") from error
