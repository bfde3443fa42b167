"""Read the list files that the settings name: the exemptions, and the recipients of each section."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple, TypeVar

from bley.core.errors import Fault, SettingsError
from bley.core.exemptions.list_files import read_clients, read_mail_addresses, read_senders
from bley.core.exemptions.local_list import Kind, in_force
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, SenderExemptions
from bley.operator_files import read_text
from bley.settings.foreign import find_mark
from bley.settings.ini_file import IniFile, IniSection
from bley.settings.sections import Section, read_sections
from bley.settings.settings import Settings

__all__ = ["FileIdentity", "Lists", "LocalLists", "first_list_file", "local_list_file", "read_lists"]

_ALWAYS_EXEMPT = ("built-in", "postmaster@\nabuse@")  # complaints about delayed mail must arrive: RFC 5321 4.5.1
_TABLE = re.compile(r"[a-z]+:/")

_Exemptions = TypeVar("_Exemptions", ClientExemptions, MailExemptions, SenderExemptions)


FileIdentity = tuple[int, ...]
"""Changes when the file does; empty if there is none."""


@dataclass(frozen=True, slots=True)
class LocalLists:
    """The list files that `bley allow` writes, as they were read."""

    identities: Mapping[Path, FileIdentity] = field(default_factory=dict)
    ends: date | None = None
    """The first day on which an entry ends."""

    def changes(self, today: date) -> tuple[tuple[Path, FileIdentity], ...]:
        """Return the files that have changed since; all of them if an entry has ended."""
        is_over = self.ends is not None and self.ends < today
        now = [(file, file_identity(file)) for file in self.identities]
        return tuple((file, found) for file, found in now if is_over or found != self.identities[file])


def file_identity(file: Path) -> FileIdentity:
    """Return the identity of a file."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def local_list_file(settings: Settings, kind: Kind, folder: Path) -> Path:
    """Return the list file of this kind that `bley allow` writes: next to the first one that the settings name."""
    (default,) = Settings.model_fields[f"whitelist_{kind}s_file"].default
    return first_list_file(settings, kind, folder).with_name(f"{default}.local")


def first_list_file(settings: Settings, kind: Kind, folder: Path) -> Path:
    """Return the first list file of this kind that the settings name, or the default one."""
    key = f"whitelist_{kind}s_file"
    names: tuple[str, ...] = getattr(settings, key) or Settings.model_fields[key].default
    return folder / names[0]


class Lists(NamedTuple):
    """The content of all list files."""

    recipients: MailExemptions
    clients: ClientExemptions
    senders: SenderExemptions
    sections: tuple[Section, ...]
    local: LocalLists

    @property
    def mail(self) -> list[MailExemptions]:
        """The lists of mail addresses."""
        return [self.recipients, self.senders, *(section.recipients for section in self.sections)]


def read_lists(settings: Settings, ini: IniFile, folder: Path, today: date) -> Lists:
    """Read all list files, relative to `folder`. Raises SettingsError with the faults of all of them."""
    faults: list[Fault] = []
    identities: dict[Path, FileIdentity] = {}
    ends: list[date] = []

    def read_local(kind: Kind) -> list[tuple[str, str]]:
        file = local_list_file(settings, kind, folder)
        identities[file] = file_identity(file)  # before it is read, so that no later change is missed
        texts = []
        for name, text in _list_files([str(file.absolute())], folder, ini, "", may_be_missing=True):
            own, end = in_force(name, text, today)
            texts.append((name, own))
            ends.extend([end] if end else [])
        return texts

    def read(kind: Kind, reader: Callable[[Iterable[tuple[str, str]]], _Exemptions]) -> _Exemptions:
        key: str = f"whitelist_{kind}s_file"
        names: tuple[str, ...] = getattr(settings, key)
        is_default: bool = names == Settings.model_fields[key].default
        try:
            return reader([*_list_files(names, folder, ini, key, may_be_missing=is_default), *read_local(kind)])
        except SettingsError as error:
            faults.extend(error.faults)
            return reader([])

    def sections() -> tuple[Section, ...]:
        try:
            return read_sections(ini, settings, lambda names, section: _list_files(names, folder, section, "match"))
        except SettingsError as error:
            faults.extend(error.faults)
            return ()

    lists = Lists(
        recipients=read("recipient", lambda files: read_mail_addresses([_ALWAYS_EXEMPT, *files])),
        clients=read("client", read_clients),
        senders=read("sender", read_senders),
        sections=sections(),
        local=LocalLists(identities, min(ends, default=None)),
    )
    if faults:
        raise SettingsError(faults)
    return lists


def _mark(ini: IniSection, key: str, name: str) -> str:
    if _TABLE.match(name):
        return ": write the name of a text file alone, without the type of a table of Postfix"
    mark = find_mark(ini.texts.get(key, ""))
    return f"; {mark}" if mark else ""


def _list_files(
    names: Iterable[str], folder: Path, ini: IniSection, key: str, *, may_be_missing: bool = False
) -> list[tuple[str, str]]:
    """Return the texts of the list files that `key` names."""
    texts, faults = [], []
    for name in names:
        path = folder / name
        try:
            texts.append((str(path), read_text(path, "utf-8-sig", "surrogateescape")))
        except FileNotFoundError:
            if not may_be_missing:
                faults.append(ini.fault(key, f"{key}: {path} does not exist{_mark(ini, key, name)}"))
        except OSError as error:
            faults.append(Fault(str(path), 0, f"cannot be read: {error.strerror}"))
        except UnicodeDecodeError:
            faults.append(Fault(str(path), 0, "is not UTF-16, as its byte order mark says: save it as UTF-8"))
    if faults:
        raise SettingsError(faults)
    return texts
