"""The domains of a request that domain lists are queried about (RFC 5782 2.2)."""

import re

from bley.core.mail import Request
from bley.core.names.domains import a_labels, registered_domain
from bley.core.names.host_name import is_public_name

__all__ = ["queried_domains"]

_RESERVED = frozenset({"alt", "arpa", "onion"})
"""Further last labels under which there is no registration (RFC 9476, RFC 3172, RFC 7686)."""

_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_REGISTRABLE = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
"""A domain as registries have it (RFC 952, RFC 1123 2.1). Servers may fail for others, so that strangers could make a
list look ill."""


def queried_domains(request: Request) -> tuple[str, ...]:
    """Return the registered domains of the sender, the HELO name and the client's verified name, each once: at most 3.

    Addresses, names of private networks and public suffixes have none. A domain of many senders, such as gmail.com, is
    queried too: the cache has the answer, and to leave out `mail.*` and the like would open a way around the lists.
    """
    _, _, sender = request.sender.rpartition("@")
    names = (sender, request.helo_name, request.verified_name)
    return tuple(dict.fromkeys(domain for name in names if (domain := _registered(a_labels(name)))))


def _registered(name: str) -> str:
    is_public = is_public_name(name) and name.rpartition(".")[2] not in _RESERVED
    domain = registered_domain(name) if is_public else ""
    return domain if _REGISTRABLE.fullmatch(domain) else ""
