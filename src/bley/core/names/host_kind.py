"""The kind of host that a name indicates: an access line (dial-up, DSL, cable, mobile), a rented machine, or a server.

Only the labels to the left of the delegated domain are examined, one by one. An address in the name decides before any
word, because such a name is generated (`own_address.py`). Words match whole (`words.py`).

A label covers the labels below it, to its left: `mx.dyn.example.net` and `color-123.dsl.example.net` are lines,
`192-0-2-1.smtp-out.example.com` is a mail server. Words like `static` cover the whole name, unless a label to their
right shows that the address is temporary: `static.dyn.example.net`.

Rented machines (`ec2-192-0-2-1.compute.amazonaws.com`) and static lines are neither lines nor servers: their names are
generated, but they may send mail. Such a name counts 0, and its domain does not identify the owner of the host. So are
names of dynamic DNS (`jane.dyndns.org`).
"""

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from bley.core.mail import Address
from bley.core.names.domains import domains_of
from bley.core.names.own_address import own_address_in
from bley.core.names.words import (
    GIVEN_DOMAINS,
    LINE,
    LINE_DOMAINS,
    MAIL,
    MAIL_PARTS,
    RENTED,
    SERVER,
    STATIC,
    TEMPORARY,
)

__all__ = ["HostKind", "NameVerdict", "dynamic_sign", "has_mail_word", "judge_host_name", "server_domain"]

_LONGEST_NAME = 253
"""Characters of a name in the DNS (RFC 1035 2.3.4). A longer text is no host name."""

_WORD = re.compile(r"[^\W\d_]+")
_MAIL_PART = re.compile("|".join(MAIL_PARTS))
_OCTET = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])"
_FOUR_NUMBERS = re.compile(rf"(?<![0-9]){_OCTET}(?:[.-]{_OCTET}){{3}}(?![0-9])")
_NUMBERED_MAIL_SERVER = re.compile(r"m[0-9]{1,3}-[0-9]{1,3}")
"""Two octets of the address may be the number of a mail server: m12-17.163.com [220.181.12.17], m42-10.mailgun.net."""
_ZERO_PADDED = re.compile(r"(?<![0-9])(?:25[0-5]|2[0-4][0-9]|[01][0-9]{2}){4}(?![0-9])")


class HostKind(Enum):
    """The kinds of hosts."""

    NAMED = "named"
    """A name that a person chose: a server, or no indication."""
    DYNAMIC = "dynamic"
    """An access line."""
    RENTED = "rented"
    """A static line or a rented machine with a generated name, or a name of dynamic DNS."""


class NameVerdict(NamedTuple):
    """The kind of host, and the sign in the name that shows it, in words.

    A line is certain by its whole address or by a word, unless the word is the whole first label: `bb.example.edu`.
    """

    kind: HostKind
    sign: str = ""
    is_certain: bool = False


_NAMED, _RENTED = NameVerdict(HostKind.NAMED), NameVerdict(HostKind.RENTED)
_ACCESS = TEMPORARY | LINE


def dynamic_sign(name: str, address: Address) -> str:
    """Return the sign, in words, that the name is that of an access line; empty if there is none."""
    verdict = judge_host_name(name.rstrip(".").lower(), address)
    return verdict.sign if verdict.kind is HostKind.DYNAMIC else ""


def server_domain(name: str, address: Address) -> str:
    """Return the registered domain of a server's verified name; empty for other kinds of hosts."""
    if not name or judge_host_name(name.rstrip(".").lower(), address).kind is not HostKind.NAMED:
        return ""
    return domains_of(name).registered


@lru_cache(maxsize=8192)
def judge_host_name(name: str, address: Address) -> NameVerdict:
    """Judge `name`, in lower case and without a final dot, of the host at `address`."""
    if len(name) > _LONGEST_NAME:
        return _NAMED
    domain = domains_of(name).delegated
    labels = _labels(name, domain)
    words = _words(labels)
    of_mail = _count_of_mail(labels, words)
    labels, words = labels[of_mail:], words[of_mail:]
    if not any(labels):
        return _NAMED
    if _is_static(words) or (domain in GIVEN_DOMAINS and not of_mail):
        return _RENTED
    of_server = _count_of_server(words)
    access = _access_line(".".join(labels[of_server:]), words[of_server:], address, name, domain)
    if access or not of_server:
        return access or _NAMED
    is_rented = any(of_label & RENTED for of_label in words)
    return _RENTED if is_rented or own_address_in(".".join(labels[:of_server]), address) else _NAMED


def has_mail_word(name: str) -> bool:
    """Return whether a label of `name` to the left of the delegated domain shows a mail server."""
    if len(name) > _LONGEST_NAME:
        return False
    labels = _labels(name, domains_of(name).delegated)
    return _count_of_mail(labels, _words(labels)) > 0


def _labels(name: str, domain: str) -> list[str]:
    return name.removesuffix(domain).rstrip(".").split(".")


def _words(labels: list[str]) -> list[set[str]]:
    return [set(_WORD.findall(label)) for label in labels]


def _count_of_mail(labels: list[str], words: list[set[str]]) -> int:
    """Return the number of labels that the word of a mail server covers: its own and those below it, to its left."""
    for count in range(len(labels), 0, -1):
        if not MAIL.isdisjoint(words[count - 1]) or _MAIL_PART.search(labels[count - 1]):
            return count
    return 0


def _count_of_server(words: list[set[str]]) -> int:
    """Return the number of labels that the word of a server covers."""
    for count in range(len(words), 0, -1):
        if not SERVER.isdisjoint(words[count - 1]):
            return count
    return 0


def _is_static(words: list[set[str]]) -> bool:
    """Whether a label shows a static address, and no label to its right a temporary one."""
    for of_label in reversed(words):
        if of_label & STATIC:
            return True
        if of_label & TEMPORARY:
            return False
    return False


def _access_line(host: str, words: list[set[str]], address: Address, name: str, domain: str) -> NameVerdict | None:
    """Return the strongest sign of an access line. A person chose the name if a bare word is its first label."""
    own = None if _NUMBERED_MAIL_SERVER.fullmatch(host) else own_address_in(host, address)
    if own and own.is_whole:
        return NameVerdict(HostKind.DYNAMIC, f"has the address {own.text} in it", is_certain=True)
    if numbers := _FOUR_NUMBERS.search(host) or _ZERO_PADDED.search(host):
        return NameVerdict(HostKind.DYNAMIC, f"has the address {numbers[0]} in it", is_certain=True)
    for at in range(len(words) - 1, -1, -1):
        if access := words[at] & _ACCESS:
            is_certain = at > 0 or name.partition(".")[0] not in _ACCESS
            return NameVerdict(HostKind.DYNAMIC, f"has {min(access)!r} in it", is_certain)
    if host and domain in LINE_DOMAINS:
        return NameVerdict(HostKind.DYNAMIC, f"is in {domain}, which has lines only", is_certain=True)
    return NameVerdict(HostKind.DYNAMIC, f"has {own.text} of its address in it") if own else None
