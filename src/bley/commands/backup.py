"""`bley backup`: copy the SQLite store to a file, or show the command that backs up a database server."""

import os
import shlex
from pathlib import Path

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.options import config_option, json_option, load_settings, run
from bley.commands.output import print_document
from bley.commands.progress import Interruption, progress
from bley.core.quantity import quantity
from bley.corrections.opened_engine import opened_engine
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.settings.database import DEFAULT_PORTS, Database
from bley.settings.file import Configuration
from bley.store.sqlite_backup import back_up

__all__ = ["backup", "server_command"]


@click.command(cls=DocumentedCommand, examples=["bley backup /var/backups/bley.db"])
@config_option
@json_option
@click.argument("target", type=click.Path(path_type=Path))
def backup(file: Path | None, as_json: bool, target: Path) -> None:
    """Copy the store to a new file while bley runs.

    TARGET is a copy of SQLite's file, which is checked. For a database server, the command of its own backup program is
    shown.
    """
    configuration = load_settings(file)
    place = configuration.settings.store
    if place.dbtype != "sqlite3":
        command = server_command(place, str(target.absolute()))
        export = shlex.join(["bley", "export", str(target)])
        raise click.ClickException(
            f"the backup of {place} is made by its own program: {command}\nThe records alone: {export}"
        )
    if os.path.lexists(target):
        raise click.UsageError(f"{printable(str(target))} exists: name a new file")
    run(_require_store(configuration))
    interruption = Interruption()
    try:
        with progress("copying pages") as advance:

            def report(pages: int) -> None:
                interruption.stop_if_requested("no backup was made")
                advance(pages)

            records = back_up(place.file, target, report)
        size = target.stat().st_size
    except OSError as error:
        raise click.ClickException(f"{target}: no backup was made: {error.strerror}") from error
    if as_json:
        print_document({"file": str(target.absolute()), "records": records, "bytes": size})
    else:
        click.echo(f"{printable(str(target))}: {quantity(records, 'record')}, {size / 1e6:.1f} MB, checked")


async def _require_store(configuration: Configuration) -> None:
    """Raise StoreError if there is no store."""
    async with opened_engine(configuration, utc_now(), is_read_only=True, needs_key=False):
        pass


def server_command(place: Database, target: str) -> str:
    """Return the shell command that backs up a database server to a private file; it asks for the password."""
    host, port = place.hosts[0] if place.hosts else ("", 0)
    if place.dbtype == "pgsql":
        options = _options({"--host": place.socket or host, "--port": port, "--username": place.user})
        command = ["pg_dump", "--format=custom", f"--file={target}", *options, place.name]
    elif place.dbtype == "mysql":
        options = _options({"--socket": place.socket, "--host": host, "--port": port, "--user": place.user})
        password = ["--password"] if place.password else []
        command = ["mariadb-dump", "--single-transaction", f"--result-file={target}", *options, *password, place.name]
    else:
        host, port = ("MASTER", DEFAULT_PORTS["redis"]) if place.redis_kind == "sentinel" else (host, port)
        server = ["-s", place.socket] if place.socket else ["-h", host, "-p", str(port)]
        user = ["--user", place.user] if place.user else []
        password = ["--askpass"] if place.password else []
        tls = ["--tls"] if place.tls != "off" else []
        command = ["redis-cli", *server, *user, *password, *tls, "--rdb", target]
    note = {"sentinel": f", where MASTER is the master of {place.master}", "cluster": ", at each master"}
    return f"umask 077; {shlex.join(command)}{note.get(place.redis_kind, '')}"


def _options(values: dict[str, object]) -> list[str]:
    return [f"{name}={value}" for name, value in values.items() if value]
