"""Read list files: the exemptions, or every invalid line."""

import re
from collections.abc import Callable, Iterable

from bley.core.errors import Fault, SettingsError
from bley.core.exemptions.entries import add_client, add_mail_address, add_sender, parse_expression
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, Names, Origin, SenderExemptions

__all__ = ["read_clients", "read_mail_addresses", "read_senders"]


def read_clients(files: Iterable[tuple[str, str]]) -> ClientExemptions:
    """Parse client list files, given as (file name, text).

    Raises SettingsError with every invalid line, its file and the expected form.
    """
    clients = ClientExemptions()
    _read(files, clients, lambda entry, origin: add_client(clients, entry, origin))
    return clients


def read_senders(files: Iterable[tuple[str, str]]) -> SenderExemptions:
    """Parse sender list files, given as (file name, text); raises as `read_clients`."""
    senders = SenderExemptions()
    _read(files, senders, lambda entry, origin: add_sender(senders, entry, origin))
    return senders


def read_mail_addresses(files: Iterable[tuple[str, str]]) -> MailExemptions:
    """Parse sender or recipient list files, given as (file name, text); raises as `read_clients`."""
    addresses = MailExemptions()
    _read(files, addresses, lambda entry, origin: add_mail_address(addresses, entry, origin))
    return addresses


def _read(files: Iterable[tuple[str, str]], names: Names, add: Callable[[str, Origin], None]) -> None:
    faults = []
    for file, text in files:
        for number, line in enumerate(text.split("\n"), start=1):
            if not (entry := re.split("[#;]", line, maxsplit=1)[0].strip()):
                continue
            origin = f"{file}:{number}:{entry}"
            try:
                if len(entry) > 2 and entry.startswith("/") and entry.endswith("/"):
                    names.expressions.append((parse_expression(entry), origin))
                else:
                    add(entry.casefold(), origin)
            except ValueError as error:
                faults.append(Fault(file, number, str(error)))
    if faults:
        raise SettingsError(faults)
