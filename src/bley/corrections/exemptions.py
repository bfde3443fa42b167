"""Changes of the list files that bley owns, by `bley allow` and on the dashboard.

`add_entries` and `remove_entries` block: they read and write files, and may wait for another change.
"""

import contextlib
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from bley.checks.followed_names import find_unresolved
from bley.core.errors import SettingsError, StoreError
from bley.core.exemptions.list_files import read_clients
from bley.core.exemptions.local_list import Kind, LocalEntry, check_entry, find_same, possible_kinds
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions
from bley.corrections.audit import Auditor
from bley.corrections.errors import CorrectionError, InvalidEntryError, NoStoreError, NotAuditedError
from bley.corrections.local_file import LocalFile, locked
from bley.corrections.opened_engine import opened_engine
from bley.dns.uncached import DnspythonResolver
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.list_warnings import find_entry_warnings

__all__ = [
    "Change",
    "NewEntry",
    "add_entries",
    "audit_changes",
    "check_entries",
    "check_kind",
    "find_unresolved_names",
    "preview_entry",
    "preview_removal",
    "remove_entries",
]

NewEntry = tuple[Kind, LocalEntry]


class Change(NamedTuple):
    """The result for one entry."""

    kind: Kind
    entry: LocalEntry
    file: str
    """The list file, with the number of the line unless that is gone."""
    change: str
    """`added`, `replaced`, `removed`, or `unchanged`: it is in that file already."""

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

    @property
    def is_real(self) -> bool:
        """Return whether a file has changed."""
        return self.change != "unchanged"

    def in_audit(self, *, is_private: bool) -> str:
        """Return the change for the audit; with `is_private` without the entry, which the store must not contain."""
        if is_private:
            return f"{self.kind} {self.change}: {self.file}"
        return f"{self}: {self.entry.comment}" if self.entry.comment else str(self)


def check_entries(configuration: Configuration, new: Sequence[NewEntry]) -> list[str]:
    """Return the warnings about new entries. Raises InvalidEntryError if one is invalid."""
    warnings = [warning for kind, entry in new for warning in check_kind(kind, entry.entry)]
    followed = [f"dyn:{name}" for name in configuration.clients.followed]
    try:
        read_clients([("", "\n".join([*followed, *_clients(new)]))])
    except SettingsError as error:  # more names than bley follows
        raise InvalidEntryError(f"client: {error.faults[0].text}") from error
    return warnings


def check_kind(kind: Kind, entry: str) -> list[str]:
    """Return the warnings about an entry. Raises InvalidEntryError if a list of this kind cannot have it."""
    try:
        check_entry(kind, entry)
    except ValueError as error:
        raise InvalidEntryError(f"{kind}: {error}") from error
    return list(find_entry_warnings(kind, entry))


async def find_unresolved_names(configuration: Configuration, new: Sequence[NewEntry]) -> list[str]:
    """Return a warning for each name among valid entries that bley would follow, but that does not resolve now."""
    settings, clients = configuration.settings, read_clients([("", "\n".join(_clients(new)))])
    if not clients.followed:
        return []
    resolver = DnspythonResolver(settings.resolver, settings.check_timeout * 0.9)
    return [each.split(":", 2)[2] for each in await find_unresolved(clients, resolver, settings.check_timeout)]


def _clients(new: Sequence[NewEntry]) -> list[str]:
    return [entry.entry for kind, entry in new if kind == "client"]


def add_entries(configuration: Configuration, new: Sequence[NewEntry], today: date) -> list[Change]:
    """Add valid entries to their files. Raises CorrectionError."""
    changes = []
    with locked(configuration.beside("")):
        for kind in dict.fromkeys(kind for kind, _ in new):
            with LocalFile.opened(configuration, kind) as opened:
                changes += [_add(configuration, opened, entry, today) for own, entry in new if own == kind]
    return changes


def _add(configuration: Configuration, opened: LocalFile, entry: LocalEntry, today: date) -> Change:
    kind, file = opened.kind, str(opened.file)
    if old := opened.find(entry.entry):
        number, present = old
        if (
            not present.is_over(today)
            and entry.until in (None, present.until)
            and entry.comment in ("", present.comment)
        ):
            return Change(kind, present, f"{file}:{number + 1}", "unchanged")
        replaced = entry._replace(until=entry.until or (None if present.is_over(today) else present.until))
        replaced = replaced._replace(comment=entry.comment or present.comment)
        opened.lines[number] = replaced.line
        return Change(kind, replaced, f"{file}:{number + 1}", "replaced")
    if origin := find_same(kind, entry.entry, _exemptions(configuration, kind)):
        return Change(kind, LocalEntry(entry.entry), ":".join(origin.split(":", 2)[:2]), "unchanged")
    opened.lines.append(entry.line)
    return Change(kind, entry, f"{file}:{len(opened.lines)}", "added")


def preview_entry(configuration: Configuration, kind: Kind, entry: LocalEntry, today: date) -> Change:
    """Return the change that `add_entries` would make. Raises CorrectionError if it could not make it."""
    return _add(configuration, LocalFile.read(configuration, kind), entry, today)


def preview_removal(configuration: Configuration, kind: Kind, entry: str) -> Change:
    """Return the change that `remove_entries` would make. Raises CorrectionError if it could not make it."""
    opened = LocalFile.read(configuration, kind)
    if not (found := opened.find(entry)):
        raise CorrectionError(_why_not_removed(configuration, [kind], entry))
    number, present = found
    return Change(kind, present, f"{opened.file}:{number + 1}", "removed")


def _exemptions(configuration: Configuration, kind: Kind) -> ClientExemptions | MailExemptions:
    match kind:
        case "client":
            return configuration.clients
        case "sender":
            return configuration.senders
    return configuration.recipients


def remove_entries(configuration: Configuration, kinds: Sequence[Kind], entries: Sequence[str]) -> list[Change]:
    """Remove the entries from each file that has them. Raises CorrectionError, without a change, if one is missing."""
    changes, missing = [], dict.fromkeys(entries)
    with locked(configuration.beside("")), contextlib.ExitStack() as stack:
        for kind in kinds:
            opened = stack.enter_context(LocalFile.opened(configuration, kind))
            for entry in entries:
                while old := opened.find(entry):
                    number, present = old
                    del opened.lines[number]
                    missing.pop(entry, None)
                    changes.append(Change(kind, present, str(opened.file), "removed"))
        for entry in missing:
            raise CorrectionError(_why_not_removed(configuration, kinds, entry))
    return changes


def _why_not_removed(configuration: Configuration, kinds: Sequence[Kind], entry: str) -> str:
    for kind in set(kinds).intersection(possible_kinds(entry)):
        if origin := find_same(kind, entry, _exemptions(configuration, kind)):
            return f"{entry} is in a file that bley does not change: remove {origin}, and reload bley"
    return f"{entry} is in no list of `bley allow`: --list shows them"


async def audit_changes(configuration: Configuration, changes: Sequence[Change], auditor: Auditor) -> None:
    """Record the changes in the audit, if there is a store. Raises NotAuditedError if that is unavailable."""
    texts = [each.in_audit(is_private=bool(configuration.privacy_key)) for each in changes if each.is_real]
    if not texts:
        return
    try:
        async with opened_engine(configuration, utc_now(), needs_key=False) as engine:
            for text in texts:
                await auditor.record(engine, "allow", text)
    except NoStoreError:
        return
    except StoreError as error:
        raise NotAuditedError(error) from error
