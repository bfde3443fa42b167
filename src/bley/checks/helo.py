"""Does the HELO name fit the client?

    0   it equals the client's verified name
    1   it has the same registered domain, or is the client's address as a literal: [192.0.2.1], [IPv6:2001:db8::1]
    2   otherwise, and always where the client has no verified name and gives no literal

Source: RFC 5321 4.1.1.1 and 4.1.3.
"""

from bley.core.domains import registered_domain
from bley.core.evidence import Finding
from bley.core.mail import Address, Request, parse_address

__all__ = ["check_helo"]

_IPV6_TAG = "ipv6:"


def check_helo(request: Request, address: Address) -> Finding:
    """Score how badly the HELO name fits; case and a trailing dot do not matter."""
    helo, name = request.helo_name.rstrip(".").lower(), request.verified_name
    if name and helo == name:
        return Finding(0, f"{helo} is the client's name")
    if _literal(helo) == address:
        return Finding(1, f"{helo} is the client's address")
    domain = registered_domain(helo)
    if domain and domain == registered_domain(name):
        return Finding(1, f"{helo} is in {domain} like the client's name {name}")
    return Finding(2, f"{helo or 'no HELO'} is not the client's name, {name or 'which is unknown'}")


def _literal(helo: str) -> Address | None:
    if not (helo.startswith("[") and helo.endswith("]")):
        return None
    return parse_address(helo[1:-1].removeprefix(_IPV6_TAG))
