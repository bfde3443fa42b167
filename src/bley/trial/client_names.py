"""Which mail servers verify the names of clients. One that does not, such as Exim without `host_lookup`, names none.

To its mails `unknown` is no evidence: without this module, every client would count as one without a name.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from bley.trial.facts import NO_NAME, Facts

__all__ = ["ClientNames"]

_ENOUGH = 10
"""Clients that are hardly all without a name by chance, also in spam."""
_MOST_CLIENTS = 10_000
"""Clients of a server that are counted, some 100 bytes each, until one has a name."""
_MOST_SERVERS = 20
"""Servers that are counted each; all others count as one."""


class ClientNames:
    """The clients by the server that wrote about them."""

    def __init__(self) -> None:
        self._nameless: defaultdict[str, set[str]] = defaultdict(set)
        """The clients of each server that has named none of them."""
        self._naming: set[str] = set()
        """The servers that have named a client."""

    def add(self, facts: Facts) -> None:
        """Count the client."""
        server = self._key(facts.server)
        if facts.client_name != "unknown":
            self._naming.add(server)
            self._nameless.pop(server, None)
        elif server not in self._naming and len(clients := self._nameless[server]) < _MOST_CLIENTS:
            clients.add(facts.client_address)

    def _key(self, server: str) -> str:
        is_known = server in self._naming or server in self._nameless
        return server if is_known or len(self._naming) + len(self._nameless) < _MOST_SERVERS else ""

    @property
    def nameless(self) -> int:
        """The clients of servers that name none."""
        return sum(len(self._nameless[server]) for server in self._not_naming)

    @property
    def _not_naming(self) -> frozenset[str]:
        """The servers that name none; one with few clients is like the others."""
        if not self._naming and sum(map(len, self._nameless.values())) >= _ENOUGH:
            return frozenset(self._nameless)
        return frozenset(server for server, clients in self._nameless.items() if len(clients) >= _ENOUGH)

    def marked(self, mails: Iterable[Facts]) -> Iterator[Facts]:
        """Yield the mails; those of servers that name no client lack the name."""
        servers = self._not_naming
        for facts in mails:
            is_nameless = bool(servers) and self._key(facts.server) in servers
            yield facts._replace(lacks=facts.lacks | NO_NAME) if is_nameless else facts
