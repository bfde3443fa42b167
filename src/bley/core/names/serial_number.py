"""Serial numbers in host names: a machine gave such a name, no person.

    letters and digits   vps12345.example.net, euve254305.example.net, host.mara15874.example
    an address           static-192-0-2-1.example.net, where the host is a static line or a rented machine
    hexadecimal          vps-0a1b2c3d.vps.example.net, the same

A mail server may be numbered: a name with a word like `mail` has no serial number.
"""

import re

from bley.core.mail import Address
from bley.core.names.domains import domains_of
from bley.core.names.host_kind import HostKind, has_mail_word, judge_host_name
from bley.core.names.own_address import own_address_in

__all__ = ["serial_number_in"]

_LETTERS_AND_DIGITS = re.compile(r"(?:^|\.)([a-z]+-?[0-9]{5,})(?=\.|$)")
_HEXADECIMAL = re.compile(r"(?<![0-9a-z])(?=[a-f]*[0-9])[0-9a-f]{8}(?![0-9a-z])")


def serial_number_in(name: str, address: Address) -> str:
    """Return the serial number in `name`, in lower case and without a final dot, of the host at `address`; or ""."""
    number = _LETTERS_AND_DIGITS.search(name)
    is_rented = judge_host_name(name, address).kind is HostKind.RENTED
    if not (number or is_rented) or has_mail_word(name):
        return ""
    if number:
        return number[1]
    if number := _HEXADECIMAL.search(name):
        return number[0]
    own = own_address_in(name.removesuffix(domains_of(name).delegated).rstrip("."), address)
    return own.text if own else ""
