"""The border: the own mail servers that received mail from strangers, and the `Received` header that one of them wrote.

The topmost headers are those of the own servers: delivery, filters, an inner server. Below them stands what the border
server wrote about the stranger, and below that anything that the stranger wrote. So headers are read from the top:

    no client, or a client of the own site     an inner hop: the next one is read
    by an own server, from another client      the border
    by another server, from another client     the mail came another way, and no header below is trusted
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bley.core.address_scope import local_scope
from bley.core.mail import parse_address
from bley.core.names.domains import registered_domain
from bley.trial.received import Hop

__all__ = ["Border", "find_border"]

_GATEWAYS = 8
"""Servers of the own site that hand nearly all mail to an inner one: more of them are strangers."""
_NEARLY_ALL = 0.9
_DEPTH = 4
"""Inner servers in a row."""
_POOL = 8
"""Servers of a site that are named; if the sample has headers of more, any host of their domain may write one."""
_PRIVATE = "private addresses"
"""The site of servers that write an address in place of their name, as those of Yahoo do."""


class Border:
    """The own servers, by name or address; with `is_pattern`, also those of the domains that are named.

    `pool`: a site whose hosts wrote headers of the border, while its other hosts may be clients.
    """

    def __init__(self, names: Iterable[str], *, is_pattern: bool = False, pool: str = "") -> None:
        named = tuple(dict.fromkeys(name.lower().strip("[]").rstrip(".") for name in names))
        self._exact = frozenset(named)
        self.names = (pool,) if pool else named
        self._endings = tuple(f".{name}" for name in named) if is_pattern else ()
        self._pool = pool

    def is_own(self, host: str) -> bool:
        """Return whether this is a server of the border or behind it."""
        return host in self._exact or (bool(self._endings) and host.endswith(self._endings))

    def choose(self, hops: Iterable[Hop]) -> Hop | None:
        """Return the hop at the border, from the hops from the top; None if the mail came another way."""
        for hop in hops:
            if not self.is_inner(hop):
                return hop if self._wrote(hop) else None
        return None

    def _wrote(self, hop: Hop) -> bool:
        return self.is_own(hop.by) or (bool(self._pool) and _site(hop.by) == self._pool)

    def is_inner(self, hop: Hop) -> bool:
        """Return whether the client is of the own site."""
        if hop.address is None or local_scope(hop.address):
            return True
        return self.is_own(hop.name.lower()) or str(hop.address) in self._exact


def find_border(sample: Sequence[Sequence[Hop]]) -> Border:
    """Return the servers that wrote the first header about another host in most mails, and those before them.

    If nearly all mail came to such a server from a few others of its own domain, it is an inner one, and the border is
    theirs. Mail that users submitted says nothing about the border.
    """
    own: set[str] = set()
    pool = ""
    for _ in range(_DEPTH):
        firsts = list(_first_outside(sample, own))
        writers = Counter(hop.by for hop in firsts)
        if not writers:
            break
        commonest = writers.most_common(1)[0][0]
        found = {by for by in writers if _is_same_site(by, commonest)}
        clients = Counter(hop.name.lower() for hop in firsts if hop.by in found)
        inner = [(name, number) for name, number in clients.most_common(_GATEWAYS) if _is_same_site(name, commonest)]
        own |= found
        pool = _site(commonest) if len(found) > _POOL else ""
        if sum(number for _, number in inner) < _NEARLY_ALL * clients.total():
            break
        own |= {name for name, _ in inner}
    return Border(sorted(own), pool=pool)


def _first_outside(sample: Sequence[Sequence[Hop]], own: set[str]) -> Iterator[Hop]:
    border = Border(own)
    for hops in sample:
        first = next((hop for hop in hops if not border.is_inner(hop)), None)
        if first and not first.is_authenticated:
            yield first


def _is_same_site(name: str, other: str) -> bool:
    site = _site(name)
    return name == other or (bool(site) and site == _site(other))


def _site(name: str) -> str:
    """Return the registered domain of a host, or the word for private addresses; empty if it has none."""
    if address := parse_address(name.strip("[]")):
        return _PRIVATE if local_scope(address) else ""
    return registered_domain(name)
