"""`bley allow`: exempt clients, senders and recipients by list files that bley owns, and which it reads by itself."""

import contextlib
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click

from bley.checks.followed_names import find_unresolved
from bley.commands.documented import DocumentedCommand
from bley.commands.local_file import LocalFile, locked
from bley.commands.options import WIRE_TEXT, config_option, json_option, load_settings, run
from bley.commands.output import print_document, print_table
from bley.core.errors import SettingsError
from bley.core.exemptions.list_files import read_clients
from bley.core.exemptions.local_list import (
    KINDS,
    Kind,
    LocalEntry,
    check_entry,
    entries_of,
    find_same,
    possible_kinds,
)
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions
from bley.dns.uncached import DnspythonResolver
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.list_warnings import find_entry_warnings
from bley.settings.values import parse_duration

__all__ = ["allow"]

_NOTICE = "bley takes the change within 20 seconds, on this node; on other nodes, repeat the command"


class _Change(NamedTuple):
    """The result for one entry."""

    kind: Kind
    entry: LocalEntry
    file: str
    change: str
    """`added`, `replaced`, `removed`, or `unchanged`: it is in that file already."""

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document (docs/json.md)."""
        return _document(self.kind, self.entry) | {"file": self.file, "change": self.change}

    def __str__(self) -> str:
        """Return the change in words."""
        name = f"{self.entry.entry}: {self.kind}"
        match self.change:
            case "unchanged":
                return f"{name} is already in {self.file}"
            case "removed":
                return f"{name} removed from {self.file}"
        until = f" until {self.entry.until}" if self.entry.until else ""
        return f"{name} is exempt{until}, by {self.file}"


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
    with locked(configuration.beside("")):
        if remove:
            changes = _remove(configuration, [kind] if kind else list(KINDS), entries)
        else:
            today = utc_now().date()
            new = [LocalEntry(entry.strip(), until, str(today), comment) for entry in entries]
            changes = _add(configuration, [(kind or _kind_of(each.entry), each) for each in new], today)
    if as_json:
        print_document({"entries": [each.document for each in changes]})
        return
    for each in changes:
        click.echo(printable(str(each)))
    if any(each.change != "unchanged" for each in changes):
        click.echo(_NOTICE)


def _kind_of(entry: str) -> Kind:
    """Return the only kind of list that can have the entry. Raises UsageError."""
    kinds = possible_kinds(entry)
    if len(kinds) == 1:
        return kinds[0]
    if not kinds:
        _check("sender" if "@" in entry else "client", entry)
    raise click.UsageError(f"{entry} may be a {' or a '.join(kinds)}: add {' or '.join(f'--{kind}' for kind in kinds)}")


def _check(kind: Kind, entry: str) -> None:
    try:
        check_entry(kind, entry)
    except ValueError as error:
        raise click.UsageError(f"{kind}: {error}") from error
    for warning in find_entry_warnings(kind, entry):
        click.echo(printable(f"warning: {warning}"), err=True)


def _add(configuration: Configuration, new: Sequence[tuple[Kind, LocalEntry]], today: date) -> list[_Change]:
    """Add the entries to their files. Raises UsageError, before anything is written, if one is invalid."""
    for kind, entry in new:
        _check(kind, entry.entry)
    _check_followed(configuration, [entry.entry for kind, entry in new if kind == "client"])
    changes = []
    for kind in dict.fromkeys(kind for kind, _ in new):
        with LocalFile.opened(configuration, kind) as opened:
            changes += [_add_one(configuration, opened, entry, today) for own, entry in new if own == kind]
    return changes


def _check_followed(configuration: Configuration, entries: Sequence[str]) -> None:
    """Warn of names that do not resolve now. Raises UsageError if bley would follow too many names."""
    followed = [f"dyn:{name}" for name in configuration.clients.followed]
    try:
        read_clients([("", "\n".join([*followed, *entries]))])
    except SettingsError as error:
        raise click.UsageError(f"client: {error.faults[0].text}") from error
    settings, new = configuration.settings, read_clients([("", "\n".join(entries))])
    if new.followed:
        resolver = DnspythonResolver(settings.resolver, settings.check_timeout * 0.9)
        for trouble in run(find_unresolved(new, resolver, settings.check_timeout)):
            click.echo(printable(f"warning: {trouble.split(':', 2)[2]}"), err=True)


def _add_one(configuration: Configuration, opened: LocalFile, entry: LocalEntry, today: date) -> _Change:
    kind, file = opened.kind, str(opened.file)
    if old := opened.find(entry.entry):
        number, present = old
        if (
            not present.is_over(today)
            and entry.until in (None, present.until)
            and entry.comment in ("", present.comment)
        ):
            return _Change(kind, present, f"{file}:{number + 1}", "unchanged")
        replaced = entry._replace(until=entry.until or (None if present.is_over(today) else present.until))
        replaced = replaced._replace(comment=entry.comment or present.comment)
        opened.lines[number] = replaced.line
        return _Change(kind, replaced, f"{file}:{number + 1}", "replaced")
    if origin := find_same(kind, entry.entry, _exemptions(configuration, kind)):
        return _Change(kind, LocalEntry(entry.entry), ":".join(origin.split(":", 2)[:2]), "unchanged")
    opened.lines.append(entry.line)
    return _Change(kind, entry, f"{file}:{len(opened.lines)}", "added")


def _exemptions(configuration: Configuration, kind: Kind) -> ClientExemptions | MailExemptions:
    match kind:
        case "client":
            return configuration.clients
        case "sender":
            return configuration.senders
    return configuration.recipients


def _remove(configuration: Configuration, kinds: Sequence[Kind], entries: Sequence[str]) -> list[_Change]:
    """Remove the entries from each file that has them. Raises ClickException, without a change, if one is missing."""
    changes, missing = [], dict.fromkeys(entries)
    with contextlib.ExitStack() as stack:
        for kind in kinds:
            opened = stack.enter_context(LocalFile.opened(configuration, kind))
            for entry in entries:
                while old := opened.find(entry):
                    number, present = old
                    del opened.lines[number]
                    missing.pop(entry, None)
                    changes.append(_Change(kind, present, str(opened.file), "removed"))
        for entry in missing:
            raise click.ClickException(_why_not_removed(configuration, kinds, entry))
    return changes


def _why_not_removed(configuration: Configuration, kinds: Sequence[Kind], entry: str) -> str:
    for kind in set(kinds).intersection(possible_kinds(entry)):
        if origin := find_same(kind, entry, _exemptions(configuration, kind)):
            return f"{entry} is in a file that bley does not change: remove {origin}, and reload bley"
    return f"{entry} is in no list of `bley allow`: --list shows them"


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


def _document(kind: Kind, entry: LocalEntry) -> dict[str, Any]:
    return {"kind": kind} | entry._asdict() | {"until": entry.until and str(entry.until), "added": entry.added or None}
