"""Warnings about entries of list files that are valid but hardly meant, each beginning with its place."""

from collections.abc import Iterator

from bley.core.exemptions.list_files import read_clients
from bley.core.exemptions.local_list import KINDS, Kind
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions
from bley.core.names.domains import domains_of
from bley.core.names.host_name import LOCAL

__all__ = ["find_entry_warnings", "find_list_warnings"]


def find_list_warnings(clients: ClientExemptions, *addresses: MailExemptions) -> Iterator[str]:
    """Yield a warning for entries that exempt most clients, and one for local parts that are read as domains."""
    if clients.nameless:
        yield f"{clients.nameless}: exempts every client without a verified name, as most senders of spam are"
    for network in ((4, 32), (6, 128)):
        for origin in clients.networks.get(network, {}).values():
            yield f"{origin}: exempts every address of IPv{network[0]}"
    for each in addresses:
        yield from _local_parts(each)


def find_entry_warnings(kind: Kind, entry: str) -> Iterator[str]:
    """Yield the warnings about one entry, each beginning with the entry."""
    own = KINDS[kind]([("", entry)])
    found = find_list_warnings(own) if isinstance(own, ClientExemptions) else find_list_warnings(read_clients([]), own)
    yield from (warning.removeprefix(":1:") for warning in found)


def _local_parts(addresses: MailExemptions) -> Iterator[str]:
    """Warn once of names such as `postmaster`, which no mail address has as its domain."""
    words = [name for name in addresses.names if "." not in name and name not in LOCAL]
    if found := [addresses.names[word] for word in words if not domains_of(word).is_known]:
        entry = found[0].rpartition(":")[2]
        others = f"; {len(found) - 1:,} more like this" if len(found) > 1 else ""
        yield f"{found[0]}: is read as a domain, which does not exist: write {entry}@ for a local part{others}"
