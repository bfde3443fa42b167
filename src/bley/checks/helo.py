"""The checks of the HELO name.

How well it matches the client is always logged:

    0   it is the client's verified name
    1   it has the same registered domain, or is the client's address as a literal: [192.0.2.1], [IPv6:2001:db8::1];
        or the client came without a name, and the HELO name leads to its address;
        or both are servers' names, and one of them shows a mail server: companies have several domains
    ?   whether it matches is unknown, since the DNS did not answer
    2   otherwise

Faults of the name itself count only for a mismatch: a client that sends the name which leads to its address keeps the
rules, whatever that name is. Only the check for the name of an access line applies to every HELO.

Source: RFC 5321 2.3.5, 4.1.1.1, 4.1.3 and 4.1.4.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from bley.checks.names import NOT_QUERIED, ClientNames
from bley.core.address_scope import local_scope
from bley.core.evidence import Finding, found
from bley.core.findings import FindingKind
from bley.core.mail import Address, Request, parse_address
from bley.core.names.domains import a_labels, registered_domain
from bley.core.names.host_kind import HostKind, has_mail_word, judge_host_name
from bley.core.names.host_name import LOCAL, is_public_name
from bley.core.names.serial_number import serial_number_in

__all__ = ["NO_IDENTITY", "OwnIdentity", "check_dynamic_helo", "check_helo", "faults_of_mismatch"]

_IPV6_TAG = "ipv6:"


@dataclass(frozen=True, slots=True)
class OwnIdentity:
    """Names of our own: the host name, and the networks whose clients are exempt. No stranger may claim them."""

    hostname: str = ""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()


NO_IDENTITY = OwnIdentity()


def check_helo(
    request: Request, address: Address, names: ClientNames = NOT_QUERIED, us: OwnIdentity = NO_IDENTITY
) -> Finding:
    """Check how well the HELO name matches the client, regardless of case and a final dot."""
    helo, name = a_labels(request.helo_name), a_labels(request.verified_name)
    if name and helo == name:
        return Finding(0, f"{helo} is the client's name")
    if _literal(helo) == address:
        return found(FindingKind.HELO_HALF_MATCH, f"{helo} is the client's address")
    domain = registered_domain(helo)
    if domain and domain == registered_domain(name):
        return found(FindingKind.HELO_HALF_MATCH, f"{helo} is in {domain} like the client's name {name}")
    if not name and names.missing and names.missing.score is None:
        return Finding(None, f"the client's name is unknown: {names.missing.detail}")
    if names.helo:
        return names.helo
    if name and _are_of_mail_server(name, helo, address) and not faults_of_mismatch(request, us):
        return found(FindingKind.HELO_MAIL_SERVER, f"{helo} is a mail server's name, but not the client's, {name}")
    return found(
        FindingKind.HELO_MISMATCH, f"{helo or 'no HELO'} is not the client's name, {name or 'which is unknown'}"
    )


def _are_of_mail_server(name: str, helo: str, address: Address) -> bool:
    """Whether both names are servers' names, one of them shows a mail server, and the client's is more than a domain.

    Hosts of companies and providers have names in their domains.
    """
    return (
        is_public_name(helo)
        and name != registered_domain(name)
        and (has_mail_word(name) or has_mail_word(helo))
        and all(judge_host_name(each, address).kind is HostKind.NAMED for each in (name, helo))
        and not serial_number_in(name, address)
    )


def is_public_helo(helo: str) -> bool:
    """Return whether a host of the Internet may have this HELO name or address, in the form of `a_labels`."""
    if own := parse_address(helo) or _literal(helo):
        return not local_scope(own)
    return is_public_name(helo)


def check_dynamic_helo(request: Request, address: Address) -> Finding | None:
    """Return the finding if the HELO name looks like that of an access line, whether it matches or not."""
    helo = a_labels(request.helo_name)
    verdict = judge_host_name(helo, address)
    if verdict.kind is HostKind.DYNAMIC and verdict.is_certain:
        return found(FindingKind.HELO_LOOKS_DYNAMIC, f"{helo} {verdict.sign}")
    return None


def faults_of_mismatch(request: Request, us: OwnIdentity) -> list[tuple[FindingKind, str]]:
    """Return the faults of a HELO name that does not match, in words."""
    helo = a_labels(request.helo_name)
    if not helo:
        return []
    faults = []
    own = parse_address(helo)
    if own:
        faults.append((FindingKind.HELO_BARE_ADDRESS, f"{helo} is an address without brackets"))
    elif "." not in helo and not helo.startswith("["):
        faults.append((FindingKind.HELO_NOT_FQDN, f"{helo} has no domain"))
    if helo.rpartition(".")[2] in LOCAL:
        faults.append((FindingKind.HELO_IS_LOCAL, f"{helo} is no name in the public DNS"))
    if claim := _claim(helo, own or _literal(helo), request, us):
        faults.append((FindingKind.HELO_CLAIMS_US, f"{helo} is {claim}"))
    return faults


def _claim(helo: str, address: Address | None, request: Request, us: OwnIdentity) -> str:
    """Return the name or address of ours that the HELO name claims; empty if there is none."""
    if address:
        return "an address of ours" if any(address in network for network in us.networks) else ""
    if "." not in helo:
        return ""  # a name without a domain may be that of many hosts
    if helo == a_labels(us.hostname):
        return "our own name"
    return "the recipient's domain" if helo == a_labels(request.recipient.rpartition("@")[2]) else ""


def _literal(helo: str) -> Address | None:
    if not (helo.startswith("[") and helo.endswith("]")):
        return None
    return parse_address(helo[1:-1].removeprefix(_IPV6_TAG))
