"""`bley export`: all records as JSON lines."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click

from bley.commands.ending import utf8_output
from bley.commands.json_lines import header, line
from bley.commands.options import config_option, load_settings, run
from bley.commands.progress import Interruption, progress
from bley.commands.store_access import opened_engine
from bley.core.quantity import quantity
from bley.durable_files import replacing
from bley.ports import utc_now
from bley.settings.file import Configuration

__all__ = ["export"]


@click.command()
@config_option
@click.argument("target", default="-")
@click.pass_obj
def export(before: Path | None, file: Path | None, target: str) -> None:
    """Write all records as JSON lines to FILE, or to standard output."""
    configuration, interruption = load_settings(file or before), Interruption()
    with _writing(target) as opened:
        count = run(_export(configuration, opened, interruption))
    click.echo(f"{quantity(count, 'record')} exported", err=True)


async def _export(configuration: Configuration, file: TextIO, interruption: Interruption) -> int:
    """Write all records as JSON lines; how many."""
    count = 0
    async with opened_engine(configuration, utc_now()) as engine:
        file.write(header(configuration.settings.privacy, configuration.privacy_key) + "\n")
        with progress("exporting records") as advance:
            async for records in engine.records():
                file.writelines(f"{line(*record)}\n" for record in records)
                count += len(records)
                advance(len(records))
                interruption.stop_if_requested("the export is not whole")
    return count


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
