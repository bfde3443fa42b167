"""The engine on Redis or Valkey: one server, a server with Sentinels, or a Cluster.

redis_keys.py names the keys. Records, domains, decisions and counts are written only by the scripts in
redis_scripts.py, which implement core.greylist.merged and united. Records and counts expire by themselves.
"""

import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

from redis.exceptions import RedisClusterException, RedisError

from bley.core.decision import DecisionEntry
from bley.core.errors import RefusedError, StoreError
from bley.core.greylist import Lifetimes, Record, Sighting, Status
from bley.core.history.attempts import block_at
from bley.core.history.audit import MOST_ENTRIES, AuditEntry
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.core.places import Found
from bley.core.triplet import ANY, is_network
from bley.store.driver_errors import VALUE_ERRORS, printable
from bley.store.engine import (
    ANSWER_SECONDS,
    LIFETIMES,
    MOST_DOMAINS,
    Mark,
    Marks,
    Purged,
    RemoteChanges,
    Trimmed,
    is_closed_connection,
)
from bley.store.redis_domain_counts import DomainTrimming
from bley.store.redis_keys import (
    AUDIT,
    DECISIONS,
    KEY_CHECK,
    RECORDS,
    counts_key,
    counts_key_seconds,
    domains_key,
    mails_key,
    record_key,
    triplet_of,
)
from bley.store.redis_scripts import Commands, add_counts, append, learn_domain, merge
from bley.store.rows import audit_row, decision_row, from_microseconds, microseconds, verified_at

__all__ = ["MAX_STREAM", "RedisEngine", "store_errors"]

MAX_STREAM = 100_000
"""Decisions in the stream, of some 500 bytes: 50 MB of Redis' memory. Redis trims whole nodes of 100."""

_VERSION = 1
_PORTION = 1000
_MAX_SEEN = 1_000_000
"""The number of keys, 64 MB of hashes, that are deduplicated while all records are read. Further keys may repeat.

Among a million keys, two have the same hash of 64 bits, so that one is skipped, in one run of 10^7.
"""


class RedisEngine:
    """Stores records in Redis; with `read_only` it writes nothing.

    `place`: the name in messages. `client`: a redis-py client of any kind. `sentinels`: clients to close along with it.
    """

    answer_seconds: float | None = ANSWER_SECONDS

    def __init__(self, place: str, client: Any, sentinels: Sequence[Any] = (), *, read_only: bool = False) -> None:
        self.place, self._client, self._sentinels, self._read_only = place, client, sentinels, read_only
        self._trimming = DomainTrimming(client)

    async def is_prepared(self) -> bool:
        with store_errors(self.place):
            version = int(await self._client.get("bley:schema") or 0)
        if version > _VERSION:
            raise StoreError(
                f"{self.place}: its schema is {version}, of a newer bley; this bley supports {_VERSION}: upgrade bley"
            )
        return version == _VERSION

    async def prepare(self) -> None:
        if self._read_only:
            return
        with store_errors(self.place):
            await self._client.set("bley:schema", _VERSION)

    async def check_writable(self) -> None:
        with store_errors(self.place):
            await self._client.delete("bley:")  # no key, but a replica and missing rights refuse the command

    async def transact(
        self, sightings: Sequence[Sighting], triplets: Sequence[Triplet], marks: Sequence[Mark | None] = ()
    ) -> Found:
        """Merge and find; in a Cluster each server runs its part.

        A second round trip reads the records under domains of a network, if it has some that were not read yet.
        """
        async with self._commands() as commands:
            for sighting, mark in () if self._read_only else zip_longest(sightings, marks):
                forget_before = str(microseconds(sighting.seen - sighting.lifetimes.greylisted))
                key = record_key(sighting.triplet)
                merge(commands, sighting, key, sighting.record, sighting.lifetimes, forget_before, mark)
                if sighting.network:
                    learn_domain(commands, sighting, domains_key(sighting.network))
            _read(commands, triplets)
            for network in {triplet.client for triplet in triplets if is_network(triplet.client)}:
                commands.add([network], "zrevrange", domains_key(network), 0, MOST_DOMAINS - 1, True)  # with scores
            results = await commands.execute()
            domains = {about[0]: _domains(each) for about, each in results if isinstance(about[0], str)}
            under_domains = {
                triplet._replace(client=domain) for triplet in triplets for domain in domains.get(triplet.client, ())
            }
            if further := under_domains.difference(triplets):
                _read(commands, further)
                results += await commands.execute()
        found = Found(_records(results), domains)
        self._raise_if_refused(commands, found)
        return found

    async def add_decisions(
        self, decisions: Sequence[DecisionEntry], counts: Mapping[Count, int], mark: Mark | None = None
    ) -> None:
        mark = mark or Marks().next()
        async with self._commands() as commands:
            if decisions:
                self._add_to_stream(commands, decisions, mark)
            by_key = defaultdict[str, list[tuple[Count, int]]](list)
            for item in counts.items():
                by_key[counts_key(item[0].seconds, item[0].start)].append(item)
            for key, items in by_key.items():
                seconds = items[0][0].seconds
                lifetime = LIFETIMES[seconds] + timedelta(seconds=counts_key_seconds(seconds))
                numbers = {f"{count.start} {count.kind} {count.name}": number for count, number in items}
                add_counts(commands, items, key, numbers, lifetime, mark)
            for about, places in await commands.execute():
                commands.refused += [(about[place], "there is no number") for place in places or ()]
        self._raise_if_refused(commands)

    def _add_to_stream(self, commands: Commands, decisions: Sequence[DecisionEntry], mark: Mark) -> None:
        accepted, rows = [], []
        for decision in decisions:
            try:
                row = decision_row(decision)
                "".join(map(str, row.values())).encode()
            except VALUE_ERRORS as error:
                commands.refused.append((decision, str(error)))
            else:
                accepted.append(decision)
                rows.append(row)
        append(commands, accepted, DECISIONS, rows, MAX_STREAM, mark)

    async def add_audit(self, entries: Sequence[AuditEntry], mark: Mark | None = None) -> None:
        async with self._commands() as commands:
            append(commands, entries, AUDIT, list(map(audit_row, entries)), MOST_ENTRIES, mark or Marks().next())
            await commands.execute()
        self._raise_if_refused(commands)

    async def purge(self, now: datetime, lifetimes: Lifetimes, limit: int) -> Purged:
        """Trim the stream; everything else expires by itself."""
        oldest = microseconds(now - lifetimes.decisions) // 1000
        with store_errors(self.place):
            trimmed = await self._client.xtrim(DECISIONS, minid=oldest, approximate=True, limit=limit)
            if first := await self._client.xrange(DECISIONS, count=1):
                await self._purge_mails(int(first[0][0].partition(b"-")[0]) * 1000)
        return Purged(0, trimmed, 0)

    async def _purge_mails(self, oldest_microseconds: int) -> None:
        """Delete the index of decisions that are no longer in the stream: that of the three days before."""
        block = block_at(from_microseconds(oldest_microseconds))
        await self._client.delete(*map(mails_key, range(block - 18, block - 1)))

    async def trim_domains(self, now: datetime, limit: int) -> Trimmed:
        with store_errors(self.place):
            return await self._trimming.step(now, limit)

    async def remote_changes(self) -> RemoteChanges:
        with store_errors(self.place):
            forgotten = await self._client.get("bley:forgotten")
            has_any = await self._client.get("bley:has_any")
        return RemoteChanges(int(forgotten or 0), bool(has_any))

    async def records(self) -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
        """Yield each record once, though SCAN may return a key several times (Redis manual, "Scan guarantees")."""
        seen: set[int] = set()
        with store_errors(self.place):
            portion: list[Triplet] = []
            async for key in self._client.scan_iter(match=f"{RECORDS}*", count=_PORTION):
                if (number := hash(key)) in seen or not (triplet := triplet_of(key)):
                    continue
                if len(seen) < _MAX_SEEN:
                    seen.add(number)
                portion.append(triplet)
                if len(portion) == _PORTION:
                    yield list((await self.read(portion)).items())
                    portion.clear()
            yield list((await self.read(portion)).items())

    async def read(self, triplets: Sequence[Triplet]) -> Mapping[Triplet, Record]:
        """Return the records of just these triplets; none where another program's value stands under a key."""
        async with self._commands() as commands:
            _read(commands, triplets)
            return _records(await commands.execute())

    async def unite(self, records: Sequence[tuple[Triplet, Record]], now: datetime, lifetimes: Lifetimes) -> None:
        async with self._commands() as commands:
            for item in records:
                triplet, record = item
                age = now - record.last_seen
                left = Lifetimes(
                    lifetimes.greylisted - age, lifetimes.known - age, correspondents=lifetimes.correspondents - age
                )
                merge(commands, item, record_key(triplet), record, left, "", None)
            if any(triplet.recipient == ANY for triplet, _ in records):
                commands.add([], "set", "bley:has_any", 1)
            await commands.execute()
        self._raise_if_refused(commands)

    async def forget(self, triplets: Sequence[Triplet]) -> None:
        async with self._commands() as commands:
            for triplet in triplets:
                commands.add([triplet], "delete", record_key(triplet))
            commands.add([], "incr", "bley:forgotten")
            await commands.execute()
        self._raise_if_refused(commands)

    @contextlib.asynccontextmanager
    async def _commands(self) -> AsyncIterator[Commands]:
        with store_errors(self.place):
            async with self._client.pipeline(transaction=False) as pipeline:
                yield Commands(pipeline)

    def _raise_if_refused(self, commands: Commands, found: Found | None = None) -> None:
        if commands.refused:
            raise RefusedError(f"{self.place}: {_words(commands.refused[0][1])}", commands.refused, found)

    async def key_check(self) -> int | None:
        with store_errors(self.place):
            return int(await self._client.get(KEY_CHECK) or 0) or None

    async def claim_key(self, check: int) -> int:
        with store_errors(self.place):
            await self._client.set(KEY_CHECK, check, nx=True)
            return int(await self._client.get(KEY_CHECK) or check)

    async def release_key(self) -> None:
        with store_errors(self.place):
            await self._client.delete(KEY_CHECK)

    async def close(self) -> None:
        for client in (self._client, *self._sentinels):
            await client.aclose()


@contextlib.contextmanager
def store_errors(place: str) -> Iterator[None]:
    """Turn the errors of redis-py and of the connection into StoreError."""
    try:
        yield
    except (RedisError, RedisClusterException, OSError, TimeoutError, ValueError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_closed_connection(error):
            raise
        raise StoreError(f"{place}: {_words(str(error)) or type(error).__name__}") from error


def _words(text: str) -> str:
    return printable(" ".join(text.partition(" script:")[0].split()).removesuffix("."))


def _read(commands: Commands, triplets: Iterable[Triplet]) -> None:
    for triplet in triplets:
        commands.add([triplet], "hmget", record_key(triplet), "status", "first_seen", "last_seen", "attempts", "cause")


def _records(results: Iterable[tuple[Sequence[Any], Any]]) -> dict[Triplet, Record]:
    read = [(about[0], fields) for about, fields in results if isinstance(about[0], Triplet)]
    return {triplet: record for triplet, fields in read if (record := _record(fields))}


def _domains(members: Iterable[tuple[bytes, float]]) -> dict[str, datetime]:
    return {domain.decode(errors="replace"): verified_at(seen) for domain, seen in members}


def _record(fields: Sequence[bytes | None]) -> Record | None:
    """Return the record; None if there is none, or another program wrote these fields."""
    try:
        status, first_seen, last_seen, attempts = (int(field or "") for field in fields[:4])
        cause = (fields[4] or b"").decode(errors="replace")  # an older bley stored none
        return Record(Status(status), from_microseconds(first_seen), from_microseconds(last_seen), attempts, cause)
    except (ValueError, OverflowError):
        return None
