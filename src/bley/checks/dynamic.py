"""Does a client's name look like an access line: dial-up, DSL, cable, mobile?

Only the labels before the registered domain are looked at, one by one, and words match whole: `liverpool.ac.uk`
and `dynamics.com` are nobody's pool. A label that says what server it is (`mail-192-0-2-1`) is no access line,
whatever else it holds; that says nothing of the other labels: `mx.dyn.example.net` is one.
Where any label says `static` or the like, the provider tells that the line is not dynamic.
"""

import re
from functools import lru_cache

from bley.core.domains import delegated_domain, registered_domain
from bley.core.evidence import Finding
from bley.core.mail import Address

__all__ = ["check_dynamic", "dynamic_sign", "server_domain"]

_ACCESS = frozenset(
    {"adsl", "bb", "broadband", "cable", "catv", "cpe", "dhcp", "dial", "dialin", "dialup", "dip", "dsl", "dyn"}
    | {"dynamic", "dynamicip", "dyndsl", "dynip", "fttb", "ftth", "gprs", "hsdpa", "hsi", "lte", "mobile", "pool"}
    | {"pools", "ppp", "pppoe", "rasdial", "sdsl", "umts", "vdsl", "wimax", "wlan", "wwan", "xdsl"}
)
_SERVER = frozenset(
    {"imap", "mail", "mailer", "mailout", "mta", "mx", "mxout", "newsletter", "out", "outbound", "outgoing"}
    | {"relay", "smtp"}
)
_STATIC = frozenset(
    {"colo", "colocation", "dedi", "dedicated", "fix", "fixed", "hosted", "hosting", "server", "servers", "static"}
    | {"staticip", "vps", "vserver"}
)

_WORD = re.compile(r"[a-z]+")
_FOUR_NUMBERS = re.compile(r"(?<![0-9])[0-9]{1,3}(?:[.-][0-9]{1,3}){3}(?![0-9])")
_ZERO_PADDED = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])")


def check_dynamic(name: str, address: Address) -> Finding:
    """Score 1 for a verified name that looks like an access line's, else 0; an empty name looks like nothing."""
    if not name:
        return Finding(0, "no name, so none that looks dynamic")
    sign = dynamic_sign(name, address)
    return Finding(1, f"{name} {sign}") if sign else Finding(0, f"{name} does not look dynamic")


def dynamic_sign(name: str, address: Address) -> str:
    """What makes `name` look like an access line's, in words; empty when it does not."""
    name = name.rstrip(".").lower()
    host = name.removesuffix(delegated_domain(name)).rstrip(".")
    labels = host.split(".")
    words = [set(_WORD.findall(label)) for label in labels]
    if any(words_of_label & _STATIC for words_of_label in words):
        return ""
    others = ".".join(
        label for label, words_of_label in zip(labels, words, strict=True) if not words_of_label & _SERVER
    )
    if numbers := _address_in(others, address):
        return f"has the address {numbers} in it"
    for words_of_label in words:
        if (access := words_of_label & _ACCESS) and not words_of_label & _SERVER:
            return f"has {min(access)!r} in it"
    return ""


def _address_in(host: str, address: Address) -> str:
    """Four numbers in a row, twelve digits, or the client's own address in hexadecimal."""
    if found := _FOUR_NUMBERS.search(host) or _ZERO_PADDED.search(host):
        return found[0]
    own = address.packed.hex() if address.version == 4 else ""
    return own if own and own in host else ""


@lru_cache(maxsize=16_384)
def server_domain(name: str, address: Address) -> str:
    """The registered domain of a verified name, empty where there is none or the name looks dynamic."""
    return "" if not name or dynamic_sign(name, address) else registered_domain(name)
