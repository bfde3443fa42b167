"""From what another greylister knew to bley's records."""

import logging
import re
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import datetime
from functools import partial

from bley.core.greylist import Lifetimes, Record
from bley.core.imported_record import ImportedRecord
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.core.triplet import TripletRules
from bley.predecessors.bley2 import has_bley2, read_bley2
from bley.predecessors.errors import PredecessorError
from bley.predecessors.values import UNREADABLE
from bley.settings.database import Database
from bley.settings.file import Configuration
from bley.store.engine import Engine
from bley.store.opening import open_engine, open_sql

__all__ = ["RecordConverter", "open_own"]

_PORTION = 1000
_UNKEEPABLE = re.compile(r"[\0\r\n]")  # neither PostgreSQL nor Redis' keys take them, and no policy request has them

_log = logging.getLogger(__name__)


class RecordConverter:
    """Takes what can be kept by these rules and lifetimes; counts what is skipped, and why."""

    def __init__(self, rules: TripletRules, lifetimes: Lifetimes, now: datetime) -> None:
        self._rules, self._lifetimes, self._now = rules, lifetimes, now
        self.skipped = Counter[str]()

    async def portions(
        self, items: AsyncIterable[ImportedRecord | tuple[Triplet, Record] | str], size: int
    ) -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
        """The records, so many at a time; a text among the items is why one could not be read."""
        portion: list[tuple[Triplet, Record]] = []
        async for item in items:
            taken = self._take(item)
            if isinstance(taken, str):
                self.skipped[taken] += 1
            else:
                portion.append(taken)
            if len(portion) == size:
                yield portion
                portion = []
        if portion:
            yield portion

    def _take(self, item: ImportedRecord | tuple[Triplet, Record] | str) -> tuple[Triplet, Record] | str:
        """The record, or why it is skipped."""
        if isinstance(item, str):
            return item
        triplet, record = (item.triplet(self._rules), item.record) if isinstance(item, ImportedRecord) else item
        if triplet is None:
            return "of a network whose addresses ipv4_prefix, ipv6_prefix or greylist_by tell apart"
        if _UNKEEPABLE.search("".join((triplet.client, triplet.sender, triplet.recipient))):
            return UNREADABLE
        if isinstance(item, ImportedRecord) and not triplet.recipient:
            return UNREADABLE  # an export has one where an older bley recorded a recipient of blanks
        if record.first_seen > record.last_seen:
            return "first seen after it was last seen"
        if self._lifetimes.are_over(record, self._now):
            return "older than purge_bad_days or purge_days"
        first_seen, last_seen = min(record.first_seen, self._now), min(record.last_seen, self._now)
        return triplet, record._replace(first_seen=first_seen, last_seen=last_seen)  # whose clock was ahead


def open_own(configuration: Configuration, now: datetime, *, read_only: bool = False) -> Engine:
    """The store of this configuration; prepared for the first time, it takes over what bley 2 left there.

    Raises SettingsError when a driver is missing.
    """
    settings = configuration.settings
    inherited = partial(_take_over, settings.store, configuration.triplet_rules, settings.lifetimes, now)
    return open_engine(settings.store, read_only=read_only, take_over=inherited)


async def _take_over(
    database: Database, rules: TripletRules, lifetimes: Lifetimes, now: datetime
) -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
    """What bley 2 left in the database; nothing where it was never used."""
    engine = open_sql(database)
    taking = RecordConverter(rules, lifetimes, now)
    try:
        async with engine.connect() as connection:
            if not await has_bley2(connection):
                return
        async for portion in taking.portions(read_bley2(engine), _PORTION):
            yield portion
    except PredecessorError as error:
        _log.warning("store: %s: nothing is taken over from bley 2: %s", database, error)
    finally:
        await engine.dispose()
    for reason, count in taking.skipped.items():
        not_taken = quantity(count, "record of bley 2 was", "records of bley 2 were")
        _log.info("store: %s not taken over: %s", not_taken, reason)
