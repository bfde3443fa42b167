"""The table `verified_domains`: which domains the verified names on a network lately had."""

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from bley.core.greylist import Sighting
from bley.store.dialects import Dialect
from bley.store.engine import MOST_DOMAINS, latest_domains
from bley.store.rows import microseconds
from bley.store.sql_schema import verified_domains
from bley.store.sql_statements import Statements

__all__ = ["VerifiedDomains"]

_t = verified_domains.c

_MOST_TAUGHT = 10_000
"""Networks whose taught domains are counted, 85 bytes each. A network that is forgotten before is trimmed later."""


class VerifiedDomains:
    """The table in a database of this dialect."""

    def __init__(self, dialect: Dialect, statements: Statements) -> None:
        self._write, self._learn = dialect.write_new, statements.learn_domain
        self._taught = Counter[str]()

    def learn(self, connection: sa.Connection, sightings: Sequence[Sighting]) -> None:
        """Store the domains that were verified.

        The oldest ones of a network that has too many are removed each time that it was taught MOST_DOMAINS more, since
        that takes statements of its own. So a network has at most MOST_DOMAINS more, for each process.
        """
        latest = latest_domains(sightings)
        rows = [
            {"network": network, "domain": domain, "last_seen": microseconds(seen)}
            for (network, domain), seen in sorted(latest.items())  # the same order on all nodes prevents deadlocks
        ]
        self._write(connection, self._learn, rows)
        for network, _ in latest:
            self._taught[network] += 1
            if self._taught[network] >= MOST_DOMAINS:
                del self._taught[network]
                self._trim(connection, network)
        if len(self._taught) > _MOST_TAUGHT:
            self._taught.clear()

    def _trim(self, connection: sa.Connection, network: str) -> None:
        of_network = sa.select(_t.domain).where(_t.network == network)
        oldest = connection.scalars(of_network.order_by(_t.last_seen.desc(), _t.domain).offset(MOST_DOMAINS)).all()
        if oldest:
            connection.execute(sa.delete(verified_domains).where(_t.network == network, _t.domain.in_(oldest)))
