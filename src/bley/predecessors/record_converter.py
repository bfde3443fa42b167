"""Conversion of other greylisters' records to bley's, and the upgrade of a database of bley 2."""

import asyncio
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
from bley.predecessors.bley2 import file_has_bley2, has_bley2, read_bley2
from bley.predecessors.errors import PredecessorError
from bley.predecessors.values import UNREADABLE
from bley.settings.database import Database
from bley.settings.file import Configuration
from bley.store.engine import Engine
from bley.store.opening import open_engine, open_sql

__all__ = ["RecordConverter", "open_configured_engine"]

_PORTION = 1000
_UNSTORABLE = re.compile(r"[\0\r\n]")  # PostgreSQL and Redis keys reject them, and no policy request has them

_log = logging.getLogger(__name__)


class RecordConverter:
    """A converter of records by these rules and lifetimes; it counts the skipped ones by reason."""

    def __init__(self, rules: TripletRules, lifetimes: Lifetimes, now: datetime) -> None:
        self._rules, self._lifetimes, self._now = rules, lifetimes, now
        self.skipped = Counter[str]()

    async def portions(
        self, items: AsyncIterable[ImportedRecord | tuple[Triplet, Record] | str], size: int
    ) -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
        """Yield the records in portions of this size; a text among the items is the reason why one was not read."""
        portion: list[tuple[Triplet, Record]] = []
        async for item in items:
            converted = self._convert(item)
            if isinstance(converted, str):
                self.skipped[converted] += 1
            else:
                portion.append(converted)
            if len(portion) == size:
                yield portion
                portion = []
        if portion:
            yield portion

    def _convert(self, item: ImportedRecord | tuple[Triplet, Record] | str) -> tuple[Triplet, Record] | str:
        """Return the record, or the reason why it is skipped."""
        if isinstance(item, str):
            return item
        triplet, record = (item.triplet(self._rules), item.record) if isinstance(item, ImportedRecord) else item
        if triplet is None:
            return "its network is larger than one client of ipv4_prefix, ipv6_prefix or greylist_by"
        if _UNSTORABLE.search("".join((triplet.client, triplet.sender, triplet.recipient))):
            return UNREADABLE
        if isinstance(item, ImportedRecord) and not triplet.recipient:
            return UNREADABLE  # only an export can have one: an older bley stored it for a recipient of blanks
        if record.first_seen > record.last_seen:
            return "first seen after it was last seen"
        if self._lifetimes.are_over(record, self._now):
            return "older than purge_bad_days or purge_days"
        first_seen, last_seen = min(record.first_seen, self._now), min(record.last_seen, self._now)
        return triplet, record._replace(first_seen=first_seen, last_seen=last_seen)  # its clock may have been ahead


def open_configured_engine(configuration: Configuration, now: datetime, *, read_only: bool = False) -> Engine:
    """Open the configured engine. When it is prepared for the first time, it imports the records of a bley 2 there.

    Raises SettingsError if a driver is missing.
    """
    settings = configuration.settings
    records = partial(_read_bley2_portions, settings.store, configuration.triplet_rules, settings.lifetimes, now)
    return open_engine(settings.store, read_only=read_only, take_over=records)


async def _read_bley2_portions(
    database: Database, rules: TripletRules, lifetimes: Lifetimes, now: datetime
) -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
    """Yield the records of bley 2 in this database in portions; none if there is no bley 2."""
    if database.dbtype == "sqlite3" and not await asyncio.to_thread(file_has_bley2, database.file):
        return  # almost every new store: the asynchronous engine would take 8 MB until the next start
    engine = open_sql(database)
    converter = RecordConverter(rules, lifetimes, now)
    try:
        async with engine.connect() as connection:
            if not await has_bley2(connection):
                return
        async for portion in converter.portions(read_bley2(engine), _PORTION):
            yield portion
    except PredecessorError as error:
        _log.warning("store: %s: no records of bley 2 are imported: %s", database, error)
    finally:
        await engine.dispose()
    for reason, count in converter.skipped.items():
        not_imported = quantity(count, "record of bley 2 was", "records of bley 2 were")
        _log.info("store: %s not imported: %s", not_imported, reason)
