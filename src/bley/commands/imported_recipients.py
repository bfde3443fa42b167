"""sqlgrey's tables of recipients, as files and as the sections of bley.conf that read them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from bley.core.exemptions.entries import add_mail_address
from bley.core.exemptions.lookup import MailExemptions
from bley.core.quantity import quantity
from bley.durable_files import replace_file
from bley.log.decision_line import printable

__all__ = ["write_recipients"]

_MODES = {"optin_email": "enforce", "optout_email": "off", "optin_domain": "enforce", "optout_domain": "off"}
"""By table, in the order of their sections: an address comes before its domain."""

_NOTE = """
# With optmethod = optin, write mode = off in [bley], and delete the section optout-domain.
# With optmethod = optout, delete the section optin-domain."""


def write_recipients(folder: Path, tables: Mapping[str, Sequence[str]], *, dry_run: bool) -> Iterator[str]:
    """Write a file for each table that has recipients; yield the lines that show it, and the sections.

    A file with other recipients is not overwritten: raises ClickException.
    """
    sections = [""]
    for table, mode in _MODES.items():
        entries = list(dict.fromkeys(tables.get(table, ())))
        refused = {entry: why for entry in entries if (why := _why_no_recipient(entry))}
        valid = [entry for entry in entries if entry not in refused]
        if not entries:
            continue
        file = folder / table
        if not dry_run:
            _write(file, "".join(f"{entry}\n" for entry in valid).encode())
        yield f"{file}: {quantity(len(valid), 'recipient')} {'would be ' if dry_run else ''}written"
        yield from (printable(f"    skipped {entry!r}, which {why}") for entry, why in refused.items())
        sections += [f"[recipients {table.replace('_', '-')}]", f"match = file:{file.resolve()}", f"mode = {mode}", ""]
    if len(sections) == 1:
        yield "sqlgrey has no recipients with rules of their own"
        return
    yield "Sections for bley.conf:"
    yield from sections
    yield _NOTE.strip()


def _why_no_recipient(entry: str) -> str:
    """Return why a list file cannot have the entry; empty if it can."""
    if entry.startswith(("#", "/")) or not entry.isprintable() or " " in entry:
        return "is no mail address or domain"
    try:
        add_mail_address(MailExemptions(), entry, "sqlgrey")
    except ValueError as error:
        return str(error)
    return ""


def _write(file: Path, content: bytes) -> None:
    try:
        if file.exists() and file.read_bytes() != content:
            raise click.ClickException(f"{file} has other recipients: move it away, and repeat the import")
        replace_file(file, content)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
