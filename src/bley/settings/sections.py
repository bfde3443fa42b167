"""The sections [recipients NAME] of `bley.conf`: rules of some recipients.

    [recipients finance]
    match = finance.example.org, jane@example.net, file:more_recipients
    greylist_period = 15m

`match` has entries as a list file of recipients has, or names such files. The other keys replace those of [bley]. The
first section that has the recipient is in force.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from pydantic import ValidationError

from bley.core.errors import Fault, FaultList, SettingsError
from bley.core.exemptions.first_list import FirstList
from bley.core.exemptions.list_files import read_mail_addresses
from bley.core.exemptions.lookup import MailExemptions
from bley.core.greylist import Timing
from bley.settings.fault_texts import hide_secrets, invalid_value
from bley.settings.foreign import suggest_key
from bley.settings.ini_file import IniFile, IniSection
from bley.settings.settings import Settings, show_values

__all__ = ["Section", "Timings", "read_sections", "show_sections"]

_KEYS = ("mode", "greylist_period", "greylist_max", "rfc_threshold", "dnsbl_threshold", "scores", "classic")
_MATCH = "match"
_FILE = "file:"
_ENTRY = re.compile(r"/(?:\\.|[^/\\])*/(?=[,\s]|$)|[^,\s]+")
"""An entry: a regular expression may have commas and blanks, any other entry ends there."""

_WRONG = {
    r"[#;]": "has # or ;: write a comment in a line of its own",
    r"^\*(@\*)?$": "is every recipient: write the rules of all others in [bley]",
    r"^(?!file:)[a-z]+:/": f"has the type of a table: write a text file as {_FILE}PATH",
    r"^file:$": f"names no file: write {_FILE}PATH without blanks",
}
"""Expressions for wrong entries, and their faults."""

_T = TypeVar("_T")

ReadFiles = Callable[[Sequence[str], IniSection], list[tuple[str, str]]]
"""Returns the names and texts of list files that a section names. Raises SettingsError."""


@dataclass(frozen=True, slots=True)
class Section:
    """The rules of some recipients."""

    name: str
    match: str
    """The entries, in one line."""
    recipients: MailExemptions
    values: Mapping[str, object]
    """The settings that differ from those of [bley]."""


class Timings:
    """The durations of the greylist, which differ by recipient."""

    def __init__(self, main: Timing, sections: Sequence[tuple[MailExemptions, Timing]]) -> None:
        self._main, self._of_sections = main, [timing for _, timing in sections]
        self._place = FirstList([recipients for recipients, _ in sections])

    def of(self, recipient: str) -> Timing:
        """Return those in force for a triplet's recipient. A hash (`privacy`) is in no section."""
        place = self._place.find(recipient)
        return self._main if place is None else self._of_sections[place]

    @property
    def longest(self) -> timedelta:
        """The longest wait of all."""
        return max(timing.longest for timing in (self._main, *self._of_sections))


def read_sections(ini: IniFile, main: Settings, read_files: ReadFiles) -> tuple[Section, ...]:
    """Return the sections in the order of the file. `read_files` reads list files that `match` names.

    Raises SettingsError with the faults of all sections.
    """
    faults = list[Fault]()

    def collected(work: Callable[[], _T]) -> _T | None:
        try:
            return work()
        except SettingsError as error:
            faults.extend(error.faults)
            return None

    sections = []
    for name, section in ini.recipients.items():
        values = collected(partial(_values, section, main))
        entries = _ENTRY.findall(section.texts.get(_MATCH, ""))
        recipients = collected(partial(_recipients, name, entries, section, read_files))
        if values is not None and recipients:
            sections.append(Section(name, ", ".join(entries), recipients, values))
    if faults:
        raise SettingsError(faults)
    return tuple(sections)


def _recipients(name: str, entries: Sequence[str], ini: IniSection, read_files: ReadFiles) -> MailExemptions:
    if not entries:
        text = f"[recipients {name}] needs a key {_MATCH}: write the recipients, or {_FILE}PATH"
        raise SettingsError([ini.fault(_MATCH, text)])
    for entry in entries:
        if why := next((why for wrong, why in _WRONG.items() if re.search(wrong, entry)), ""):
            raise SettingsError([ini.fault(_MATCH, f"{_MATCH}: {entry!r} {why}")])
    here = f"[recipients {name}] {_MATCH}"
    own = "\n".join(entry for entry in entries if not entry.startswith(_FILE))
    files = read_files([entry.removeprefix(_FILE) for entry in entries if entry.startswith(_FILE)], ini)
    try:
        return read_mail_addresses([(here, own), *files])
    except SettingsError as error:
        faults = (ini.fault(_MATCH, f"{_MATCH}: {each.text}") if each.file == here else each for each in error.faults)
        raise SettingsError(list(faults)) from error


def _values(ini: IniSection, main: Settings) -> Mapping[str, object]:
    """Return the valid values of the section's settings. Raises SettingsError with the fault of each key."""
    faults = FaultList()
    for key in (key for key in ini.texts if key not in (*_KEYS, _MATCH)):
        faults.add(ini.fault(key, _unknown(key)), kind="unknown key")
    texts = {key: text for key, text in ini.texts.items() if key in _KEYS}
    settings = main
    try:
        settings = Settings.model_validate({**dict(main), **texts})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            key = str(detail["loc"][0])
            text = invalid_value(key, texts.get(key) or show_values({key: getattr(main, key)})[key], detail)
            faults.add(ini.fault(key if key in texts else next(filter(text.count, texts), ""), text))
    faults.check()
    return {key: getattr(settings, key) for key in texts}


def _unknown(key: str) -> str:
    if key in Settings.model_fields:
        return f"{key} is for all recipients: write it in [bley]. A section takes {_MATCH}, {', '.join(_KEYS)}"
    return f"unknown key {hide_secrets(key)!r}{suggest_key(key, (_MATCH, *_KEYS))}"


def show_sections(sections: Iterable[Section]) -> str:
    """Return the sections as an equivalent part of `bley.conf`."""
    return "".join(
        f"\n[recipients {section.name}]\n{_MATCH} = {section.match}\n"
        + "".join(f"{key} = {text}\n" for key, text in show_values(section.values).items())
        for section in sections
    )
