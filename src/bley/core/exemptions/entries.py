"""The syntax of one entry in a list file.

    example.com         the name, and all names below it; of a mail address, its domain; also *.example.com
    192.0.2.1           an address; also [192.0.2.1]
    192.0.2.0/24        a network; bits after the prefix are ignored
    192.0.2.1-192.0.2.9 a range; also 192.0.2.1-9
    192.168.1           a network by its first octets; also 192.168.1.* and 192.168.1/24
    2001:db8::/32       the same for IPv6; also [2001:db8::]/32
    dyn:home.example.org  the addresses of a host, which bley follows (clients)
    unknown             a client without a verified name
    postmaster@         a local part, at any domain; also postmaster@*
    @example.org        the addresses of this domain, not of those below it; also *@example.org
    jane@example.org    a mail address; also <jane@example.org>
    <>                  the null sender; also MAILER-DAEMON
    spf:example.org     a name or mail address, only if SPF passes (senders)
    /^mx\\d+\\.example\\.net$/   a regular expression (Python's), found anywhere in the name or address

A client file takes names, networks, hosts and expressions; a sender or recipient file takes names, mail addresses and
expressions. Names may have U-labels or A-labels. Case is ignored.

Source: postgrey(8), the whitelist files.
"""

import re
from ipaddress import IPv4Network

from bley.core.exemptions.foreign_lines import RESERVED, why_no_entry
from bley.core.exemptions.lookup import LONGEST_NAME, ClientExemptions, MailExemptions, Names, Origin, SenderExemptions
from bley.core.expressions import Expression
from bley.core.mail import Network, parse_address, parse_networks
from bley.core.names.domains import a_labels
from bley.core.names.host_name import is_host_name

__all__ = ["add_client", "add_mail_address", "add_sender", "is_mail_address", "is_name"]

_UNKNOWN = ("unknown", "/^unknown$/")
"""Postfix's name of a client without a verified name, which its access tables and postgrey match."""

_NULL_SENDER = ("", "mailer-daemon")
"""`<>` without its brackets, and the name that `mailq` shows for it."""

_EXPRESSION = re.compile("/.+/")
_FIRST_OCTETS = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,2})(?:(\.)|((?:\.\*){1,3})|/(\d{1,2}))?")
_LOOKS_LIKE_ADDRESS = re.compile(r"[\d./*-]+|.*:.*|.*/.*|\[[\d.]+\]")
_ADDRESS_CHARACTERS = re.compile(r"[\da-f:.\[\]]*", re.IGNORECASE)
_TAG = re.compile("ipv6:|ip[46]:")
"""Of an address literal, and of a mechanism of SPF."""
_BRACKETED = re.compile(r"\[([^\[\]]+)\](/\d+)?")
_IF_SPF_PASSES = re.compile("spf:", re.IGNORECASE)
_FOLLOWED = re.compile("dyn:", re.IGNORECASE)
_OF_ANY_DOMAIN = re.compile(r"$|/|<|\*$|[^@]*@\*?$")
_NAME = re.compile(r"(?:[\w-]{1,63}\.)*[\w-]{1,63}")
_LOCAL_PART = re.compile(r"(?!(?:from|to|connect|spam|mailto|sender|recipient):)[^@\s!*][^@\s*]*", re.IGNORECASE)

_MOST_FOLLOWED = 100
"""Names that are followed. With a TTL of a minute, or while they fail, 12,000 queries an hour for each worker."""

_NO_NETWORK = "is not an address or network: write it as 192.0.2.1, 192.0.2.0/24, 192.168.1 or 2001:db8::/32"
_NO_RANGE = "is not a range: write its lowest and its highest address, as 192.0.2.1-192.0.2.9"
_NO_NAME = "is not a name: write one entry per line, and comments after '#'"
_IS_NULL_SENDER = "is the null sender: it belongs in whitelist_senders_file"
_NO_MAIL_ADDRESS = "is not a mail address: write it as user@, user@domain or domain"


def is_name(text: str) -> bool:
    """Return whether the text is valid in a list file as the name of a host or domain."""
    is_word = text.lower() in RESERVED or text.lower() in _UNKNOWN
    return not is_word and not _LOOKS_LIKE_ADDRESS.fullmatch(text) and _dns_name(text) is not None


def is_mail_address(text: str) -> bool:
    """Return whether the text is valid in a list file as one mail address, and no character starts a comment."""
    local, _, domain = text.rpartition("@")
    is_valid = _LOCAL_PART.fullmatch(local) and _dns_name(domain)
    return bool(is_valid) and text.isprintable() and not re.search("[#;]|^[/^]|^spf:", text, re.IGNORECASE)


def add_client(clients: ClientExemptions, entry: str, origin: Origin) -> None:
    """Exempt the clients that an entry names. Raises ValueError, with the reason, if it names none."""
    _refuse_spf(entry)
    if entry.lower() in _UNKNOWN:
        clients.nameless = clients.nameless or origin
    elif match := _FOLLOWED.match(entry):
        _add_followed(clients, entry[match.end() :], origin)
    elif _EXPRESSION.fullmatch(entry):
        _add_expression(clients, entry, origin)
    elif not entry:
        raise ValueError(_IS_NULL_SENDER)
    elif "@" in entry and not entry.startswith("@["):
        raise ValueError("is a mail address; a client file takes host names, addresses and networks")
    elif _LOOKS_LIKE_ADDRESS.fullmatch(entry):
        for network in _networks(entry):
            clients.add_network(network, origin)
    else:
        _add_name(clients, entry, origin)


def add_sender(senders: SenderExemptions, entry: str, origin: Origin) -> None:
    """Exempt the senders that an entry names, as `add_mail_address`."""
    if entry.lower() in _NULL_SENDER:
        senders.addresses.setdefault("", origin)
    elif match := _IF_SPF_PASSES.match(entry):
        if _OF_ANY_DOMAIN.match(sender := entry[match.end() :]):
            raise ValueError("needs a domain, whose SPF must pass: write spf:example.org or spf:jane@example.org")
        add_mail_address(senders.if_spf_passes, sender, origin)
    else:
        add_mail_address(senders, entry, origin)


def add_mail_address(addresses: MailExemptions, entry: str, origin: Origin) -> None:
    """Exempt the mail addresses that an entry names. Raises ValueError, with the reason, if it names none."""
    _refuse_spf(entry)
    if _FOLLOWED.match(entry):
        raise ValueError("is about clients: it belongs in whitelist_clients_file")
    local, at, domain = entry.rpartition("@")
    if _EXPRESSION.fullmatch(entry):
        _add_expression(addresses, entry, origin)
    elif not entry:
        raise ValueError(_IS_NULL_SENDER)
    elif not at and _LOOKS_LIKE_ADDRESS.fullmatch(entry):
        why = "is not a mail address or domain; networks belong in whitelist_clients_file"
        raise ValueError(why_no_entry(entry, why))
    elif not at or (local in ("", "*") and domain.startswith(("*.", "."))):
        _add_name(addresses, domain, origin)
    else:
        addresses.addresses.setdefault(_mail_address(local, domain, entry), origin)


def _refuse_spf(entry: str) -> None:
    if _IF_SPF_PASSES.match(entry):
        raise ValueError("is about senders: it belongs in whitelist_senders_file")


def _add_followed(clients: ClientExemptions, text: str, origin: Origin) -> None:
    name = a_labels(text)
    if parse_address(text):
        raise ValueError("is an address, which is not resolved: write it without dyn:")
    if not is_host_name(name) or "." not in name:
        raise ValueError("is not the full name of one host: write dyn:home.example.org")
    if name not in clients.followed and len(clients.followed) >= _MOST_FOLLOWED:
        raise ValueError(f"is one too many: bley follows at most {_MOST_FOLLOWED} names; write networks instead")
    clients.followed.setdefault(name, origin)


def _mail_address(local: str, domain: str, entry: str) -> str:
    """Return `user@domain`, `user@` or `@domain`, as mail compares with it."""
    is_any_user, is_any_domain = local in ("", "*"), domain in ("", "*")
    name = "" if is_any_domain else _dns_name(domain)
    if entry == "@":
        raise ValueError("has no user and no domain: the null sender is <> in whitelist_senders_file")
    if name is None or (is_any_user and is_any_domain) or not (is_any_user or _LOCAL_PART.fullmatch(local)):
        raise ValueError(why_no_entry(entry, _NO_MAIL_ADDRESS))
    return f"{'' if is_any_user else local.casefold()}@{name}"


def _add_expression(names: Names, entry: str, origin: Origin) -> None:
    names.expressions.append((Expression(entry[1:-1]), origin))


def _add_name(names: Names, entry: str, origin: Origin) -> None:
    name = _dns_name(entry.removeprefix("*.") if entry.startswith("*") else entry.removeprefix("."))
    if name is None:
        raise ValueError(why_no_entry(entry, _NO_NAME))
    names.names.setdefault(name, origin)


def _dns_name(text: str) -> str | None:
    """Return the name in lower case with A-labels; None if it is no name."""
    name = a_labels(text)
    return name if len(name) <= LONGEST_NAME and _NAME.fullmatch(name) else None


def _networks(entry: str) -> list[Network]:
    """Return the networks that the entry consists of: one, of a range at most 62 of IPv4 or 254 of IPv6."""
    if match := _FIRST_OCTETS.fullmatch(entry):
        return [_network_of_octets(*match.groups())]
    first, hyphen, last = entry.partition("-")
    if last.isdigit():
        last = f"{first.rpartition('.')[0]}.{last}"
    try:
        return parse_networks(_without_brackets(first) + hyphen + _without_brackets(last))
    except ValueError as error:
        is_range = hyphen and _ADDRESS_CHARACTERS.fullmatch(first)
        raise ValueError(why_no_entry(entry, _NO_RANGE if is_range else _NO_NETWORK)) from error


def _network_of_octets(first: str, dot: str | None, wildcards: str | None, prefix: str | None) -> Network:
    octets = first.split(".")
    count = len(octets)
    if not (dot or wildcards or prefix or count > 1) or count + (wildcards or "").count("*") > 4:
        raise ValueError(_NO_NETWORK)
    try:
        return IPv4Network((".".join(octets + ["0"] * (4 - count)), int(prefix or 8 * count)), strict=False)
    except ValueError as error:
        raise ValueError("is not a network: write it as 192.168.1 or 192.168.1.0/24") from error


def _without_brackets(address: str) -> str:
    if match := _BRACKETED.fullmatch(address):
        address = match[1] + (match[2] or "")
    return _TAG.sub("", address.lower()).rstrip(".")
