"""The table `verified_domains`: which domains the verified names on a network lately had."""

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


class VerifiedDomains:
    """The table in a database of this dialect."""

    def __init__(self, dialect: Dialect, statements: Statements) -> None:
        self._write, self._learn = dialect.write, statements.learn_domain

    def learn(self, connection: sa.Connection, sightings: Sequence[Sighting]) -> None:
        """Store the domains that were verified, and remove the oldest ones of a network that has too many."""
        latest = latest_domains(sightings)
        rows = [
            {"network": network, "domain": domain, "last_seen": microseconds(seen)}
            for (network, domain), seen in sorted(latest.items())  # the same order on all nodes prevents deadlocks
        ]
        self._write(connection, self._learn, rows)
        networks = sorted({network for network, _ in latest})
        counted = sa.select(_t.network).where(_t.network.in_(networks)).group_by(_t.network)
        for (network,) in connection.execute(counted.having(sa.func.count() > MOST_DOMAINS)).all():
            self._remove_oldest(connection, network)

    def _remove_oldest(self, connection: sa.Connection, network: str) -> None:
        of_network = sa.select(_t.domain).where(_t.network == network)
        oldest = connection.scalars(of_network.order_by(_t.last_seen.desc(), _t.domain).offset(MOST_DOMAINS)).all()
        connection.execute(sa.delete(verified_domains).where(_t.network == network, _t.domain.in_(oldest)))
