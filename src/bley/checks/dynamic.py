"""Does the client's verified name look like an access line's?"""

from bley.core.evidence import Finding, found
from bley.core.findings import FindingKind
from bley.core.mail import Address
from bley.core.names.host_kind import dynamic_sign

__all__ = ["check_dynamic"]


def check_dynamic(name: str, address: Address) -> Finding:
    """Whether a verified name looks like an access line's; an empty name looks like nothing."""
    if not name:
        return Finding(0, "no name, so none that looks dynamic")
    if sign := dynamic_sign(name, address):
        return found(FindingKind.CLIENT_LOOKS_DYNAMIC, f"{name} {sign}")
    return Finding(0, f"{name} does not look dynamic")
