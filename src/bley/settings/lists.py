"""Read the list files that the settings name: the exemptions, and the recipients of each section."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from bley.core.errors import Fault, SettingsError
from bley.core.exemptions.list_files import read_clients, read_mail_addresses, read_senders
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, SenderExemptions
from bley.operator_files import read_text
from bley.settings.foreign import find_mark
from bley.settings.ini_file import IniFile, IniSection
from bley.settings.sections import Section, read_sections
from bley.settings.settings import Settings

__all__ = ["Lists", "read_lists"]

_ALWAYS_EXEMPT = ("built-in", "postmaster@\nabuse@")  # complaints about delayed mail must arrive: RFC 5321 4.5.1
_TABLE = re.compile(r"[a-z]+:/")

_Exemptions = TypeVar("_Exemptions", ClientExemptions, MailExemptions, SenderExemptions)


class Lists(NamedTuple):
    """The content of all list files."""

    recipients: MailExemptions
    clients: ClientExemptions
    senders: SenderExemptions
    sections: tuple[Section, ...]

    @property
    def mail(self) -> list[MailExemptions]:
        """The lists of mail addresses."""
        return [self.recipients, self.senders, *(section.recipients for section in self.sections)]


def read_lists(settings: Settings, ini: IniFile, folder: Path) -> Lists:
    """Read all list files, relative to `folder`. Raises SettingsError with the faults of all of them."""
    faults: list[Fault] = []

    def read(key: str, reader: Callable[[Iterable[tuple[str, str]]], _Exemptions]) -> _Exemptions:
        names = getattr(settings, key)
        is_default = names == Settings.model_fields[key].default
        try:
            return reader(_list_files(names, folder, ini, key, may_be_missing=is_default))
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
        recipients=read("whitelist_recipients_file", lambda files: read_mail_addresses([_ALWAYS_EXEMPT, *files])),
        clients=read("whitelist_clients_file", read_clients),
        senders=read("whitelist_senders_file", read_senders),
        sections=sections(),
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
