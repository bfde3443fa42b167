"""Read list files: the exemptions, or the invalid lines.

A text may have bytes that are no UTF-8 as surrogates (PEP 383). They are ignored in comments.
"""

import re
from collections.abc import Callable, Iterable

from bley.core.errors import Fault, FaultList
from bley.core.exemptions.entries import add_client, add_mail_address, add_sender
from bley.core.exemptions.foreign_lines import check_columns, split_columns, without_comment
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, Origin, SenderExemptions

__all__ = ["read_clients", "read_mail_addresses", "read_senders"]

_LONGEST_SHOWN = 100
"""Characters of a line that a fault shows."""

_NO_UTF8 = re.compile("[\udc80-\udcff]")
_NO_TEXT = "is not a text file: it has NUL characters; name the text file from which it was made, in UTF-8"


def read_clients(files: Iterable[tuple[str, str]]) -> ClientExemptions:
    """Parse client list files, given as (file name, text).

    Raises SettingsError with the invalid lines, their file and the expected form.
    """
    clients = ClientExemptions()
    _read(files, lambda entry, origin: add_client(clients, entry, origin))
    return clients


def read_senders(files: Iterable[tuple[str, str]]) -> SenderExemptions:
    """Parse sender list files, given as (file name, text); raises as `read_clients`."""
    senders = SenderExemptions()
    _read(files, lambda entry, origin: add_sender(senders, entry, origin))
    return senders


def read_mail_addresses(files: Iterable[tuple[str, str]]) -> MailExemptions:
    """Parse list files of recipients, given as (file name, text); raises as `read_clients`."""
    addresses = MailExemptions()
    _read(files, lambda entry, origin: add_mail_address(addresses, entry, origin))
    return addresses


def _read(files: Iterable[tuple[str, str]], add: Callable[[str, Origin], None]) -> None:
    faults = FaultList()
    for file, text in files:
        if "\0" in text:
            faults.add(Fault(file, 0, _NO_TEXT))
            continue
        for number, line in enumerate(text.split("\n"), start=1):
            try:
                _read_line(line, f"{file}:{number}", add)
            except ValueError as error:
                text = f"{_shown(line)!r} {error}"
                faults.add(Fault(file, number, text), kind=str(error).partition(":")[0])
    faults.check()


def _read_line(line: str, place: str, add: Callable[[str, Origin], None]) -> None:
    if not (content := without_comment(line)):
        return
    if _NO_UTF8.search(content):
        raise ValueError("is not UTF-8: it looks like Latin-1 or Windows-1252; convert the whole file to UTF-8")
    entry, rest = split_columns(content)
    check_columns(entry, rest)
    add(entry, f"{place}:{entry or content}")


def _shown(line: str) -> str:
    """Return a line for its fault: cut, without its comment, and readable whatever its encoding is."""
    text = " ".join(line.partition("#")[0].split())
    if _NO_UTF8.search(text):
        text = text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
