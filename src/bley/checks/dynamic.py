"""The check whether the client's verified name is that of an access line."""

from bley.core.evidence import Finding, found
from bley.core.findings import FindingKind
from bley.core.mail import Address
from bley.core.names.host_kind import dynamic_sign

__all__ = ["check_dynamic"]

_NO_NAME = Finding(0, "no name, so none that looks dynamic")


def check_dynamic(name: str, address: Address) -> Finding:
    """Check whether the verified name looks like that of an access line. An empty name does not."""
    if not name:
        return _NO_NAME
    if sign := dynamic_sign(name, address):
        return found(FindingKind.CLIENT_LOOKS_DYNAMIC, f"{name} {sign}")
    return Finding(0, f"{name} does not look dynamic")
