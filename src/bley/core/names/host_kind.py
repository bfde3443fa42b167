"""What does a host's name say of it: an access line (dial-up, DSL, cable, mobile), a rented machine, or a server?

Only the labels before the domain that a registry delegated are looked at, one by one. The address in the name decides
before any word, since a name with it was made by a machine (`own_address.py`). Words match whole (`words.py`).

A label speaks for what is below it, to its left: `mx.dyn.example.net` and `color-123.dsl.example.net` are lines,
`192-0-2-1.smtp-out.example.com` is a mail server. `static` and the like speak for the whole name, but where the label
to its right says that the address is lent: `static.dyn.example.net`.

Rented machines (`ec2-192-0-2-1.compute.amazonaws.com`) and static lines are neither lines nor servers: nobody has
named them, but they may send mail. Such a name counts nothing, and its domain is not its owner's.
"""

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from bley.core.mail import Address
from bley.core.names.domains import delegated_domain, registered_domain
from bley.core.names.own_address import own_address_in
from bley.core.names.words import HOSTING_DOMAINS, LINE, LINE_DOMAINS, MAIL, RENTED, SERVER, STATIC, TEMPORARY

__all__ = ["HostKind", "NameVerdict", "dynamic_sign", "judge_host_name", "server_domain"]

_LONGEST_NAME = 253
"""Characters of a name in the DNS: RFC 1035 2.3.4. What is longer is no host's name."""

_WORD = re.compile(r"[^\W\d_]+")
_OCTET = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])"
_FOUR_NUMBERS = re.compile(rf"(?<![0-9]){_OCTET}(?:[.-]{_OCTET}){{3}}(?![0-9])")
_ZERO_PADDED = re.compile(r"(?<![0-9])(?:25[0-5]|2[0-4][0-9]|[01][0-9]{2}){4}(?![0-9])")


class HostKind(Enum):
    """What a name says of its host."""

    NAMED = "named"
    """Somebody's server, or nothing: a name that was given by hand."""
    DYNAMIC = "dynamic"
    """An access line."""
    RENTED = "rented"
    """A static line or a rented machine that nobody has named."""


class NameVerdict(NamedTuple):
    """What a name says, and the sign of it in words.

    A line is certain by all of its address, or by a word that is not its whole first label: `bb.example.edu` is not.
    """

    kind: HostKind
    sign: str = ""
    is_certain: bool = False


_NAMED, _RENTED = NameVerdict(HostKind.NAMED), NameVerdict(HostKind.RENTED)
_ACCESS = TEMPORARY | LINE


def dynamic_sign(name: str, address: Address) -> str:
    """What makes `name` look like an access line's, in words; empty when it does not."""
    look = judge_host_name(name.rstrip(".").lower(), address)
    return look.sign if look.kind is HostKind.DYNAMIC else ""


def server_domain(name: str, address: Address) -> str:
    """The registered domain of a verified name, empty where there is none or its neighbours are strangers to it."""
    if not name or judge_host_name(name.rstrip(".").lower(), address).kind is not HostKind.NAMED:
        return ""
    return registered_domain(name)


@lru_cache(maxsize=8192)
def judge_host_name(name: str, address: Address) -> NameVerdict:
    """What `name`, in lower case and without a trailing dot, says of the host at `address`."""
    if len(name) > _LONGEST_NAME:
        return _NAMED
    domain = delegated_domain(name)
    labels = name.removesuffix(domain).rstrip(".").split(".")
    words = [set(_WORD.findall(label)) for label in labels]
    below = _below(words, MAIL)
    labels, words = labels[below:], words[below:]
    if not any(labels):
        return _NAMED
    if domain in HOSTING_DOMAINS or _is_static(words):
        return _RENTED
    below = _below(words, SERVER)
    if look := _line(".".join(labels[below:]), words[below:], address, name.partition(".")[0], domain):
        return look
    if any(of_label & RENTED for of_label in words) or own_address_in(".".join(labels[:below]), address):
        return _RENTED
    return _NAMED


def _below(words: list[set[str]], of_server: frozenset[str]) -> int:
    """How many labels a server's word speaks for: its own and all below it."""
    for count in range(len(words), 0, -1):
        if not words[count - 1].isdisjoint(of_server):
            return count
    return 0


def _is_static(words: list[set[str]]) -> bool:
    """Whether a label says that the address stays, and none above it that it is lent."""
    for of_label in reversed(words):
        if of_label & STATIC:
            return True
        if of_label & TEMPORARY:
            return False
    return False


def _line(host: str, words: list[set[str]], address: Address, first_label: str, domain: str) -> NameVerdict | None:
    """The sign that labels are an access line's, the surest one; what begins with a bare word was named by hand."""
    own = own_address_in(host, address)
    if own and own.is_whole:
        return NameVerdict(HostKind.DYNAMIC, f"has the address {own.text} in it", is_certain=True)
    if numbers := _FOUR_NUMBERS.search(host) or _ZERO_PADDED.search(host):
        return NameVerdict(HostKind.DYNAMIC, f"has the address {numbers[0]} in it", is_certain=True)
    for at, of_label in reversed(list(enumerate(words))):
        if access := of_label & _ACCESS:
            return NameVerdict(
                HostKind.DYNAMIC, f"has {min(access)!r} in it", is_certain=at > 0 or first_label not in _ACCESS
            )
    if host and domain in LINE_DOMAINS:
        return NameVerdict(HostKind.DYNAMIC, f"is in {domain}, which has lines only", is_certain=True)
    return NameVerdict(HostKind.DYNAMIC, f"has {own.text} of its address in it") if own else None
