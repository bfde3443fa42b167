"""The places of a record: the clients under which the record of one triplet may stand.

    the client's domain    the registered domain of its verified name
    its network            while its name is unknown
    other domains          those that were verified on the network lately: a name can change, or be lost for a moment

The records in all places count as one. It is carried to the best place: the client's domain, else another domain, else
the network. So a retry never waits again because a reverse lookup failed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import reduce
from types import MappingProxyType
from typing import NamedTuple, Self

from bley.core.greylist import Record, Standing, Status, Timing, united
from bley.core.mail import Triplet
from bley.core.triplet import ANY

__all__ = ["Found", "Located", "locate"]


class Found(NamedTuple):
    """The records that a store found, and the domains under which they stand."""

    records: Mapping[Triplet, Record]
    """By the triplets as they are stored."""
    domains: Mapping[str, Mapping[str, datetime]] = MappingProxyType({})
    """By network: when domains were last verified on it, at least those under which they stand."""

    def of_any(self, triplets: Sequence[Triplet]) -> Self:
        """Return the records of these triplets, and those under domains that were verified on their networks."""
        if not self.records:
            return self
        places = triplets
        if self.domains:
            domains_of = self.domains.get
            places = [
                *triplets,
                *(each._replace(client=domain) for each in triplets for domain in domains_of(each.client, ())),
            ]
        return self._replace(records={place: self.records[place] for place in places if place in self.records})


class Located(NamedTuple):
    """The content of the store about a triplet."""

    stored_as: Triplet
    """The best place: the next sighting is recorded there."""
    standing: Standing
    record: Record | None = None
    """The records in all places, united; if none is alive, one that has expired."""
    is_elsewhere: bool = False
    """The record, or its present state, has yet to be carried to the best place."""
    others: tuple[Triplet, ...] = ()
    """The other places where a record is greylisted."""
    clients: tuple[str, ...] = ()
    """The clients under which records stand."""

    @property
    def cause(self) -> str:
        """The reason for which the record was first deferred; empty where it is unknown, or the record expired."""
        return self.record.cause if self.record and self.standing is not Standing.NEW else ""


def locate(own: Triplet, network: str, found: Mapping[Triplet, Record], timing: Timing, now: datetime) -> Located:
    """Return what these records say about the triplet `own`, whose client is on the network.

    A record for any sender or recipient, imported from another greylister, counts where no other has a better status.
    """
    if not found:
        return Located(own, Standing.NEW)
    alive = {place: record for place, record in found.items() if timing.standing(record, now) is not Standing.NEW}
    clients = tuple(place.client for place in found)
    if not alive:
        return Located(own, Standing.NEW, next(iter(found.values())), clients=clients)
    wildcards = {place: alive.pop(place) for place in list(alive) if place.recipient == ANY}
    wildcard = max(wildcards, key=lambda place: wildcards[place].status, default=None)
    if wildcard and all(record.status < wildcards[wildcard].status for record in alive.values()):
        return Located(wildcard, timing.standing(wildcards[wildcard], now), wildcards[wildcard], clients=clients)
    record = reduce(united, alive.values())
    best = own
    if own.client == network:
        by_domain = [place for place in alive if place.client != network]
        best = max(by_domain, key=lambda place: (alive[place].status, alive[place].last_seen), default=own)
    here = alive.get(best)
    return Located(
        stored_as=best,
        standing=timing.standing(record, now),
        record=record,
        is_elsewhere=here is None or here.status < record.status or here.first_seen > record.first_seen,
        others=tuple(place for place in alive if place != best and alive[place].status is Status.GREYLISTED),
        clients=clients,
    )
