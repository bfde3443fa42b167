"""`bley allow`: exempt clients, senders and recipients by list files that bley owns, and which it reads by itself."""

import contextlib
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.options import WIRE_TEXT, config_option, json_option, load_settings, run
from bley.commands.output import print_document, print_table
from bley.core.exemptions.local_list import KINDS, Kind, LocalEntry, entries_of, possible_kinds
from bley.corrections.audit import Auditor, unix_user
from bley.corrections.errors import InvalidEntryError, NotAuditedError
from bley.corrections.exemptions import (
    Change,
    add_entries,
    audit_changes,
    check_entries,
    check_kind,
    find_unresolved_names,
    remove_entries,
)
from bley.corrections.local_file import LocalFile
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.values import parse_duration

__all__ = ["allow"]

_NOTICE = "bley takes the change within 20 seconds, on this node; on other nodes, repeat the command"


def _parse_end(_context: click.Context, _parameter: click.Parameter, value: str | None) -> date | None:
    """Return the date, or the day after a duration. Raises BadParameter."""
    if value is None:
        return None
    today = utc_now().date()
    with contextlib.suppress(ValueError):
        if (end := date.fromisoformat(value)) >= today:
            return end
        raise click.BadParameter(f"{value} is in the past")
    try:
        return (utc_now() + parse_duration(value)).date()
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"{value} is neither a date, as {today + timedelta(days=30)}, nor a time, as 30d"
        ) from error


def _check_comment(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value.isprintable():
        raise click.BadParameter("must be one line of printable characters")
    return value.strip()


@click.command(
    cls=DocumentedCommand,
    examples=[
        'bley allow 192.0.2.7 --until 30d --comment "call of Jane"',
        "bley allow --sender jane@example.com example.net",
        "bley allow dyn:home.example.org",
        "bley allow --list",
        "bley allow --remove 192.0.2.7",
    ],
    statuses={1: "An entry to remove is in no list of bley allow, or the command failed."},
)
@config_option
@click.option(
    "--client", "kind", flag_value="client", help="The entries are host names, addresses, networks or dyn:NAME."
)
@click.option("--sender", "kind", flag_value="sender", help="The entries are mail addresses or domains of senders.")
@click.option(
    "--recipient", "kind", flag_value="recipient", help="The entries are mail addresses or domains of recipients."
)
@click.option(
    "--until",
    metavar="DAY",
    callback=_parse_end,
    help="Last day, in UTC, such as 2026-12-31, or a time from now, such as 30d.",
)
@click.option(
    "--comment", metavar="TEXT", default="", callback=_check_comment, help="Reason, which is written behind the entry."
)
@click.option("--remove", is_flag=True, help="Remove the entries.")
@click.option("--list", "shows", is_flag=True, help="Show the entries.")
@json_option
@click.argument("entries", nargs=-1, type=WIRE_TEXT)
def allow(
    file: Path | None,
    kind: Kind | None,
    until: date | None,
    comment: str,
    remove: bool,
    shows: bool,
    as_json: bool,
    entries: Sequence[str],
) -> None:
    """Exempt clients, senders or recipients from delays.

    An ENTRY is written as in a list file: 192.0.2.0/24, mail.example.com, jane@example.org. An address or network is a
    client; a name or mail address needs --client, --sender or --recipient. The entries are in the files
    whitelist_clients.local, whitelist_senders.local and whitelist_recipients.local, next to those of the settings. bley
    reads the change within 20 seconds, on this node.
    """
    if shows == bool(entries) or (shows and (remove or until or comment)) or (remove and (until or comment)):
        raise click.UsageError("name entries, or --list; --until and --comment belong to new entries")
    configuration = load_settings(file)
    if shows:
        _show(configuration, [kind] if kind else list(KINDS), as_json=as_json)
        return
    changes = _remove(configuration, kind, entries) if remove else _add(configuration, kind, until, comment, entries)
    try:
        run(audit_changes(configuration, changes, Auditor(configuration, unix_user())))
    except NotAuditedError as error:
        click.echo(printable(f"warning: {error}"), err=True)
    if as_json:
        print_document({"entries": [_change_document(each) for each in changes]})
        return
    for each in changes:
        click.echo(printable(str(each)))
    if any(each.is_real for each in changes):
        click.echo(_NOTICE)


def _add(
    configuration: Configuration, kind: Kind | None, until: date | None, comment: str, entries: Sequence[str]
) -> list[Change]:
    """Add the entries. Raises UsageError, before anything is written, if one is invalid."""
    today = utc_now().date()
    try:
        new = [(kind or _kind_of(entry), LocalEntry(entry.strip(), until, str(today), comment)) for entry in entries]
        warnings = check_entries(configuration, new)
    except InvalidEntryError as error:
        raise click.UsageError(str(error)) from error
    for warning in [*warnings, *run(find_unresolved_names(configuration, new))]:
        click.echo(printable(f"warning: {warning}"), err=True)
    return add_entries(configuration, new, today)


def _remove(configuration: Configuration, kind: Kind | None, entries: Sequence[str]) -> list[Change]:
    return remove_entries(configuration, [kind] if kind else list(KINDS), entries)


def _kind_of(entry: str) -> Kind:
    """Return the only kind of list that can have the entry. Raises UsageError, and InvalidEntryError."""
    kinds = possible_kinds(entry)
    if len(kinds) == 1:
        return kinds[0]
    if not kinds:
        check_kind("sender" if "@" in entry else "client", entry)
    raise click.UsageError(f"{entry} may be a {' or a '.join(kinds)}: add {' or '.join(f'--{kind}' for kind in kinds)}")


def _show(configuration: Configuration, kinds: Sequence[Kind], *, as_json: bool) -> None:
    today, found = utc_now().date(), []
    for kind in kinds:
        with LocalFile.opened(configuration, kind) as opened:
            found += [(kind, entry) for _, entry in entries_of(str(opened.file), "\n".join(opened.lines))]
    if as_json:
        print_document({"entries": [_document(*each) | {"is_over": each[1].is_over(today)} for each in found]})
        return
    rows = [
        [
            kind,
            entry.entry,
            f"{entry.until or ''}{' (over)' if entry.is_over(today) else ''}",
            entry.added,
            entry.comment,
        ]
        for kind, entry in found
    ]
    if rows:
        print_table(("kind", "entry", "until", "added", "comment"), rows)
    else:
        click.echo("no entry")


def _change_document(change: Change) -> dict[str, Any]:
    return _document(change.kind, change.entry) | {"file": change.file, "change": change.change}


def _document(kind: Kind, entry: LocalEntry) -> dict[str, Any]:
    return {"kind": kind} | entry._asdict() | {"until": entry.until and str(entry.until), "added": entry.added or None}
