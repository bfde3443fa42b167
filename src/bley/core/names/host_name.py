"""The form of host names.

Sources: RFC 1035 2.3.4, RFC 1123 2.1. Underscores are accepted, as by Postfix.
"""

import re

__all__ = ["LOCAL", "is_host_name", "is_public_name"]

LOCAL = frozenset(
    {"localhost", "invalid", "test"}  # RFC 6761 6.2 to 6.4
    | {"local"}  # RFC 6762 3
    | {"corp", "home", "internal", "intranet", "lan", "private"}  # RFC 6762 appendix G
    | {"localdomain"}  # the default of Unix systems
)
"""Last labels of names that exist in no public DNS."""

_LONGEST_NAME = 253
"""Characters of a name without its final dot (RFC 1035 2.3.4)."""

_HOST_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*(?![0-9]+\Z)[a-z0-9_-]{1,63}")


def is_host_name(name: str) -> bool:
    """Return whether a name, in the form of `a_labels`, can be that of a host. An address is none."""
    return len(name) <= _LONGEST_NAME and _HOST_NAME.fullmatch(name) is not None


def is_public_name(name: str) -> bool:
    """Return whether a name, in the form of `a_labels`, can be that of a host in the public DNS."""
    return "." in name and name.rpartition(".")[2] not in LOCAL and is_host_name(name)
