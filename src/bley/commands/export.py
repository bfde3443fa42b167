"""`bley export`: write all records as JSON lines."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.json_lines import header, line
from bley.commands.options import complete_files, config_option, load_settings, run
from bley.commands.progress import Interruption, progress
from bley.core.quantity import quantity
from bley.corrections.opened_engine import opened_engine
from bley.durable_files import replacing
from bley.ports import utc_now
from bley.settings.file import Configuration

__all__ = ["export"]


@click.command(cls=DocumentedCommand, examples=["bley export records.jsonl", "bley export | gzip >records.jsonl.gz"])
@config_option
@click.argument("target", default="-", shell_complete=complete_files)
def export(file: Path | None, target: str) -> None:
    """Write all records as JSON lines.

    TARGET is a file that only its owner can read, or - for standard output. It serves as a backup, and for an import on
    another engine.
    """
    configuration, interruption = load_settings(file), Interruption()
    with _open_target(target) as opened:
        count = run(_export(configuration, opened, interruption))
    click.echo(f"{quantity(count, 'record')} exported", err=True)


async def _export(configuration: Configuration, file: TextIO, interruption: Interruption) -> int:
    """Write all records as JSON lines, and return their number."""
    count = 0
    async with opened_engine(configuration, utc_now()) as engine:
        file.write(header(configuration.settings.privacy, configuration.privacy_key) + "\n")
        with progress("exporting records") as advance:
            async for records in engine.records():
                file.writelines(f"{line(*record)}\n" for record in records)
                count += len(records)
                advance(len(records))
                interruption.stop_if_requested("the export is incomplete")
    return count


@contextlib.contextmanager
def _open_target(name: str) -> Iterator[TextIO]:
    """Open a file, for its owner only, that is replaced as a whole at the end. A device or pipe is written directly."""
    if name == "-":
        opened = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
        yield opened
        opened.detach()
        return
    path = Path(os.path.realpath(name))  # Path.resolve fails at links that form a loop
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
