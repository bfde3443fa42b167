"""The checks of a client whose HELO is its verified name: did a person give it that name?

Hosters and providers give a name to each address. A client that sends this name keeps the rules, but so does a rented
or an infected machine, and a person who runs a mail server chooses a name for it.
"""

from bley.core.findings import FindingKind
from bley.core.mail import Address, Request
from bley.core.names.domains import a_labels
from bley.core.names.host_kind import HostKind, judge_host_name
from bley.core.names.host_name import is_host_name
from bley.core.names.serial_number import serial_number_in

__all__ = ["faults_of_own_name"]


def faults_of_own_name(request: Request, address: Address) -> list[tuple[FindingKind, str]]:
    """Return the faults of a name that is the client's verified name and its HELO, in words."""
    name = a_labels(request.verified_name)
    if not name or name != a_labels(request.helo_name) or not is_host_name(name):
        return []
    faults = []
    if judge_host_name(name, address).kind is HostKind.RENTED:
        says = f"{name} is the name of a static line, a rented machine or dynamic DNS"
        faults.append((FindingKind.GENERIC_NAME, says))
    if number := serial_number_in(name, address):
        faults.append((FindingKind.SERIAL_NAME, f"{name} has the number {number} in it"))
    return faults
