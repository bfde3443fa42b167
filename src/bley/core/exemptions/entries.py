"""The syntax of one entry in a list file.

    example.com         the name, and all names below it; of a mail address, its domain
    192.0.2.1           an address
    192.0.2.0/24        a network; bits after the prefix are ignored
    192.168.1           a network by its first octets
    2001:db8::/32       the same for IPv6
    postmaster@         a local part, at any domain
    jane@example.org    a mail address
    spf:example.org     a name or mail address, only if SPF passes (senders)
    /^mx\\d+\\.example\\.net$/   a regular expression (Python's), found anywhere in the name or address

A comment starts with `#` or `;`. Case is ignored. A client file takes names, networks and expressions; a sender or
recipient file takes names, mail addresses and expressions.

Source: postgrey(8), the whitelist files.
"""

import re
from ipaddress import IPv4Network

from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, Names, Origin, SenderExemptions
from bley.core.expressions import Expression
from bley.core.mail import Network, parse_network

__all__ = ["add_client", "add_mail_address", "add_sender", "is_mail_address", "is_name", "parse_expression"]

_PART_OF_IPV4 = re.compile(r"\d{1,3}(\.\d{1,3}){1,2}\.?")
_LOOKS_LIKE_ADDRESS = re.compile(r"[\d./]+|.*:.*|.*/.*")
_IF_SPF_PASSES = re.compile("spf:", re.IGNORECASE)
_OF_ANY_DOMAIN = re.compile(r"$|/|<|\*$|[^@]*@\*?$")
_NAME = re.compile(r"\.?(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?")
_MAIL_ADDRESS = re.compile(r"[^@\s]+@(?:[\w-]{1,63}\.)*[\w-]{0,63}")


def is_name(text: str) -> bool:
    """Return whether the text is valid in a list file as the name of a host or domain."""
    return bool(_NAME.fullmatch(text)) and not _LOOKS_LIKE_ADDRESS.fullmatch(text)


def is_mail_address(text: str) -> bool:
    """Return whether the text is valid in a list file as one mail address, and no character starts a comment."""
    local, _, domain = text.rpartition("@")
    return (
        bool(local and domain and _MAIL_ADDRESS.fullmatch(text))
        and text.isprintable()
        and not re.search("[#;]|^/", text)
    )


def parse_expression(entry: str) -> Expression:
    """Parse `/expression/`. Raises ValueError."""
    try:
        return Expression(entry[1:-1])
    except ValueError as error:
        raise ValueError(f"{entry!r} {error}") from error


def add_client(clients: ClientExemptions, entry: str, origin: Origin) -> None:
    """Exempt what a case-folded entry of a client file names. Raises ValueError."""
    _refuse_spf(entry)
    if "@" in entry:
        raise ValueError(f"{entry!r} is a mail address; a client file takes host names, addresses and networks")
    if _PART_OF_IPV4.fullmatch(entry):
        clients.add_network(_network_of_octets(entry), origin)
    elif _LOOKS_LIKE_ADDRESS.fullmatch(entry):
        clients.add_network(_network(entry), origin)
    else:
        _add_name(clients, entry, origin)


def _network_of_octets(entry: str) -> IPv4Network:
    octets = entry.rstrip(".").split(".")
    prefix = 8 * len(octets)
    try:
        return IPv4Network((".".join(octets + ["0"] * (4 - len(octets))), prefix))
    except ValueError as error:
        raise ValueError(f"{entry!r} is not a network: write it as 192.168.1 or 192.168.1.0/24") from error


def _network(entry: str) -> Network:
    try:
        return parse_network(entry)
    except ValueError as error:
        raise ValueError(
            f"{entry!r} is not an address or network: write it as 192.0.2.1, 192.0.2.0/24, 192.168.1 or 2001:db8::/32"
        ) from error


def add_sender(senders: SenderExemptions, entry: str, origin: Origin) -> None:
    """Exempt what an entry of a sender file names. Raises ValueError."""
    if not (match := _IF_SPF_PASSES.match(entry)):
        add_mail_address(senders, entry, origin)
        return
    sender = entry[match.end() :]
    if _OF_ANY_DOMAIN.match(sender):
        raise ValueError(
            f"{entry!r} needs a domain, whose SPF must pass: write spf:example.org or spf:jane@example.org"
        )
    add_mail_address(senders.if_spf_passes, sender, origin)


def add_mail_address(addresses: MailExemptions, entry: str, origin: Origin) -> None:
    """Exempt what a case-folded entry of a sender or recipient file names. Raises ValueError."""
    _refuse_spf(entry)
    if "@" not in entry:
        if _LOOKS_LIKE_ADDRESS.fullmatch(entry):
            raise ValueError(f"{entry!r} is not a mail address or domain; networks belong in whitelist_clients_file")
        _add_name(addresses, entry, origin)
    elif _MAIL_ADDRESS.fullmatch(entry):
        addresses.addresses.setdefault(entry, origin)
    else:
        raise ValueError(f"{entry!r} is not a mail address: write it as user@, user@domain or domain")


def _refuse_spf(entry: str) -> None:
    if _IF_SPF_PASSES.match(entry):
        raise ValueError(f"{entry!r} is about senders: it belongs in whitelist_senders_file")


def _add_name(names: Names, entry: str, origin: Origin) -> None:
    if not _NAME.fullmatch(entry):
        raise ValueError(f"{entry!r} is not a name: write one entry per line, and comments after '#'")
    names.names.setdefault(entry.strip("."), origin)
