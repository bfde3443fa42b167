"""The list files that `bley allow` writes, `whitelist_clients.local` for example.

Their syntax is that of every list file, with a comment that has a meaning:

    192.0.2.7  # until 2026-12-31, added 2026-11-29: telephone call of Jane

From the day after `until` on, in UTC, the entry has no effect. In other list files the same comment means nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from bley.core.errors import Fault, SettingsError
from bley.core.exemptions.foreign_lines import split_columns, without_comment
from bley.core.exemptions.list_files import read_clients, read_mail_addresses, read_senders
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, Origin, SenderExemptions

__all__ = [
    "KINDS",
    "Kind",
    "LocalEntry",
    "check_entry",
    "entries_of",
    "find_same",
    "in_force",
    "is_same",
    "possible_kinds",
]

Kind = Literal["client", "sender", "recipient"]
KINDS: Mapping[Kind, Callable[..., ClientExemptions | MailExemptions]] = {
    "client": read_clients,
    "sender": read_senders,
    "recipient": read_mail_addresses,
}
"""The reader of each kind of list file."""

_COMMENT = re.compile(
    r"\s*(?:until\s+(?P<until>\d[^\s,:]*))?,?\s*(?:added\s+(?P<added>\d{4}-\d\d-\d\d))?:?\s*(?P<text>.*)"
)

Part = tuple[Any, ...]


class LocalEntry(NamedTuple):
    """An entry of a local list; `until` is the last day on which it has an effect, None: every day."""

    entry: str
    until: date | None = None
    added: str = ""
    """The day on which it was added; empty: unknown."""
    comment: str = ""

    @property
    def line(self) -> str:
        """The line of the list file."""
        dates = [f"until {self.until}"] if self.until else []
        dates += [f"added {self.added}"] if self.added else []
        words = ": ".join(filter(None, (", ".join(dates), self.comment)))
        return f"{self.entry}  # {words}" if words else self.entry

    def is_over(self, today: date) -> bool:
        """Return whether it has no effect any more."""
        return self.until is not None and self.until < today


def entries_of(file: str, text: str) -> list[tuple[int, LocalEntry]]:
    """Return the entries of a local list with their lines, from 0. Raises SettingsError if an end is not a date."""
    entries, faults = [], []
    for number, line in enumerate(text.split("\n")):
        try:
            if entry := _entry(line):
                entries.append((number, entry))
        except ValueError as error:
            faults.append(Fault(file, number + 1, str(error)))
    if faults:
        raise SettingsError(faults)
    return entries


def _entry(line: str) -> LocalEntry | None:
    """Return the entry of a line; None if there is none. Raises ValueError if its end is not a date."""
    own, *comments = re.split("[#;]", line, maxsplit=1)
    if not own.strip():
        return None
    match = _COMMENT.fullmatch("".join(comments).rstrip())
    if not match:  # a control character
        return LocalEntry(own.strip())
    try:
        until = date.fromisoformat(match["until"]) if match["until"] else None
    except ValueError as error:
        raise ValueError(f"{match['until']!r} is not a date: write # until 2026-12-31") from error
    return LocalEntry(own.strip(), until, match["added"] or "", match["text"])


def in_force(file: str, text: str, today: date) -> tuple[str, date | None]:
    """Return the text with empty lines for entries that are over, and the first day on which another one ends.

    Raises SettingsError if an end is not a date.
    """
    lines, ends = text.split("\n"), []
    for number, entry in entries_of(file, text):
        if entry.is_over(today):
            lines[number] = ""
        elif entry.until:
            ends.append(entry.until)
    return "\n".join(lines), min(ends, default=None)


def check_entry(kind: Kind, entry: str) -> None:
    """Raise ValueError, with the reader's own reason, if this is not one entry of such a list."""
    content = without_comment(entry)
    if not content or "\n" in entry or not entry.isprintable():
        raise ValueError(f"{entry!r} is not an entry")
    if content != entry.strip():
        raise ValueError(f"{entry!r} has # or ;, which begin a comment: give it by --comment")
    if split_columns(content)[1]:
        raise ValueError(f"{entry!r} has several words: write one entry")
    try:
        KINDS[kind]([("", entry)])
    except SettingsError as error:
        raise ValueError(error.faults[0].text) from error


def possible_kinds(entry: str) -> list[Kind]:
    """Return the kinds of lists in which the entry is valid."""
    return [kind for kind in KINDS if _is_valid(kind, entry)]


def _is_valid(kind: Kind, entry: str) -> bool:
    try:
        check_entry(kind, entry)
    except ValueError:
        return False
    return True


def is_same(kind: Kind, one: str, other: str) -> bool:
    """Return whether two entries exempt the same, however they are written."""
    return _meaning(kind, one) == _meaning(kind, other)


@lru_cache(maxsize=10_000)
def _meaning(kind: Kind, entry: str) -> frozenset[Part]:
    """Return the parts of the entry, or of an invalid one its text."""
    try:
        return frozenset(part for part, _ in _parts(KINDS[kind]([("", entry)])))
    except SettingsError:
        return frozenset([(entry.casefold(),)])


def find_same(kind: Kind, entry: str, exemptions: ClientExemptions | MailExemptions) -> Origin | None:
    """Return the entry among these that exempts the same; None if there is none."""
    wanted = _meaning(kind, entry)
    found = {part: origin for part, origin in _parts(exemptions) if part in wanted}
    return next(iter(found.values())) if found.keys() == wanted else None


def _parts(exemptions: ClientExemptions | MailExemptions) -> Iterator[tuple[Part, Origin]]:
    """Yield what the entries consist of, comparable, and the entry of each part."""
    yield from ((("name", name), origin) for name, origin in exemptions.names.items())
    yield from ((("expression", expression.text), origin) for expression, origin in exemptions.expressions)
    if isinstance(exemptions, ClientExemptions):
        for size, networks in exemptions.networks.items():
            yield from ((("network", size, number), origin) for number, origin in networks.items())
        yield from ((("followed", name), origin) for name, origin in exemptions.followed.items())
        if exemptions.nameless is not None:
            yield ("nameless",), exemptions.nameless
        return
    yield from ((("address", address), origin) for address, origin in exemptions.addresses.items())
    if isinstance(exemptions, SenderExemptions):
        yield from ((("spf", *part), origin) for part, origin in _parts(exemptions.if_spf_passes))
