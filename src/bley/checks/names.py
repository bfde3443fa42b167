"""The names of a client for which the mail server found none: by its PTR records, and by its HELO name.

    PTR                                             finding
    none exists                                     client-has-no-name
    one leads to a name with the client's address   none: that is the client's verified name
    none of them does                               client-name-unverified
    the DNS gives no answer                         unknown

A HELO name with the client's address is `helo-resolves`.

Source: RFC 1912 2.1, RFC 5321 4.1.4.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple

from bley.core.errors import ResolverError
from bley.core.evidence import Finding, found
from bley.core.findings import FindingKind
from bley.core.mail import Address, Request
from bley.core.names.domains import a_labels, registered_domain
from bley.core.names.host_name import is_host_name, is_public_name
from bley.ports import CachedResolver, Outcome, RrType

__all__ = ["NOT_QUERIED", "SILENT", "ClientNames", "NameQueries"]

_MOST_NAMES = 4
"""PTR names whose addresses are queried, since a stranger writes the zone. Postfix uses the first one only.

With the PTR records and the HELO name, a client causes at most 6 queries, and mostly 2.
"""

_LATE = "no answer in time"


class ClientNames(NamedTuple):
    """The names of a client for which the mail server found none."""

    missing: Finding | None
    """The finding if it has no verified name; unknown if the DNS did not answer."""
    helo: Finding | None = None
    """`helo-resolves`, or unknown; None if the HELO name has other addresses, or was not queried."""
    verified: str = ""
    """The name that leads to its address and back."""


NOT_QUERIED = ClientNames(found(FindingKind.CLIENT_HAS_NO_NAME, "no name leads to its address and back"))
"""The mail server's result is taken as it is."""

SILENT = ClientNames(Finding(None, "the DNS does not answer"))
"""The mail server cannot have had an answer."""


class NameQueries:
    """The queries for the names of one client, and `names` so far. `on_answer` is called after each answer."""

    def __init__(
        self, request: Request, address: Address, resolver: CachedResolver, on_answer: Callable[[], object]
    ) -> None:
        self._address, self._resolver, self._on_answer = address, resolver, on_answer
        self._rrtype: RrType = "A" if address.version == 4 else "AAAA"
        self._pointed: Sequence[str] | None = None
        """The names of the PTR records, the best one first; None before the answer."""
        self._missing: Finding | None = None
        self._answers: dict[str, Outcome | None] = {}
        """The answers about addresses, by name; None before the answer."""
        self._is_over = False
        self._helo = a_labels(request.helo_name)
        resolver.query(address.reverse_pointer, "PTR", self._take_pointers)
        if is_public_name(self._helo):
            self._query_addresses(self._helo)

    def _query_addresses(self, name: str) -> None:
        if name not in self._answers:
            self._answers[name] = None
            self._resolver.query(name, self._rrtype, partial(self._take_addresses, name))

    def _take_pointers(self, answer: Outcome) -> None:
        if self._is_over:
            return
        if isinstance(answer, ResolverError):
            self._pointed, self._missing = (), Finding(None, str(answer))
        else:
            targets = (str(record.data) for record in answer if record.rrtype == "PTR")  # in ASCII, with escapes
            names = {name.rstrip(".").lower() for name in targets} - {""}  # the root
            pointed = self._best(names)
            for name in pointed:
                self._query_addresses(name)  # all of them before the names can be complete: a cache answers at once
            self._pointed, self._missing = pointed, self._unverified(names)
        self._on_answer()

    def _take_addresses(self, name: str, answer: Outcome) -> None:
        self._answers[name] = answer
        self._on_answer()

    def _best(self, names: Iterable[str]) -> Sequence[str]:
        """Return the host names to query: the HELO name, then those of its domain, then in alphabetical order.

        The order of DNS answers changes; the client's name must not.
        """
        domain = f".{registered_domain(self._helo)}"
        valid = filter(is_host_name, names)
        order = sorted(valid, key=lambda name: (name != self._helo, not f".{name}".endswith(domain), name))
        return order[:_MOST_NAMES]

    def _unverified(self, names: Iterable[str]) -> Finding:
        """Return the finding if none of these names is verified."""
        if first := min(names, default=None):
            return found(FindingKind.CLIENT_NAME_UNVERIFIED, f"{first} does not lead to {self._address}")
        return found(FindingKind.CLIENT_HAS_NO_NAME, f"{self._address} has no PTR record")

    @property
    def is_complete(self) -> bool:
        """Whether every query is answered, or failed."""
        return self._pointed is not None and None not in self._answers.values()

    def give_up(self) -> None:
        """Send no further queries."""
        self._is_over = True

    @property
    def names(self) -> ClientNames:
        """The names by the answers so far. A finding that depends on a missing answer is unknown."""
        leads = {name: self._leads_back(name) for name in self._answers}
        helo = None
        if leads.get(self._helo):
            helo = found(FindingKind.HELO_RESOLVES, f"{self._helo} leads to the client's address")
        elif leads.get(self._helo, False) is None:
            helo = self._unknown(self._helo)
        if self._pointed is None:
            return ClientNames(Finding(None, f"{self._address.reverse_pointer} PTR: {_LATE}"), helo)
        for name in self._pointed:
            if leads[name]:
                return ClientNames(None, helo, name)
        failed = [name for name in self._pointed if leads[name] is None]
        return ClientNames(self._unknown(failed[0]) if failed else self._missing, helo)

    def _leads_back(self, name: str) -> bool | None:
        """Return whether the name has the client's address; None if that is unknown."""
        answer = self._answers[name]
        if answer is None or isinstance(answer, ResolverError):
            return None
        own, family = self._address.packed, AF_INET if self._rrtype == "A" else AF_INET6
        # Strangers may name 256 addresses for each of five names: ip_address would take 10 ms for them, this 0.5 ms.
        return any(inet_pton(family, str(record.data)) == own for record in answer if record.rrtype == self._rrtype)

    def _unknown(self, name: str) -> Finding:
        answer = self._answers[name]
        return Finding(None, f"{name} {self._rrtype}: {_LATE}" if answer is None else str(answer))
