"""The part of a Redis client that RedisHistory needs, in memory: one stream and hashes, with Redis's answers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self

from bley.core.decision import DecisionEntry
from bley.core.greylist import Record
from bley.core.mail import Triplet
from bley.store.redis_keys import RECORDS
from bley.store.rows import decision_row, microseconds

__all__ = ["FakeRedisClient"]

Entry = tuple[bytes, dict[bytes, bytes]]


class FakeRedisClient:
    """A client that answers from `entries`, the oldest first, and `hashes`. SCAN returns each key twice, as it may;
    `calls` counts."""

    def __init__(self, kept: Sequence[DecisionEntry], records: Mapping[Triplet, Record]) -> None:
        self.calls = 0
        self.entries: list[Entry] = [
            (f"{1000 + number}-0".encode(), {name.encode(): str(text).encode() for name, text in _fields(each)})
            for number, each in enumerate(kept)
        ]
        self.hashes = {(RECORDS + "\n".join(triplet)).encode(): _hash(record) for triplet, record in records.items()}

    async def xrevrange(self, _name: str, newest: str, oldest: str, count: int) -> list[Entry]:
        self.calls += 1
        begin = len(self.entries)
        if newest != "+":
            begin = [number for number, _ in self.entries].index(newest.removeprefix("(").encode())
        at_least = 0 if oldest == "-" else int(oldest)
        found = [entry for entry in reversed(self.entries[:begin]) if int(entry[0].partition(b"-")[0]) >= at_least]
        return found[:count]

    async def scan_iter(self, match: str, count: int) -> AsyncIterator[bytes]:
        for _ in range(2):
            for number, key in enumerate(self.hashes):
                self.calls += number % count == 0
                yield key

    def pipeline(self, *, transaction: bool) -> "_Pipeline":
        return _Pipeline(self)

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""


class _Pipeline:
    """A pipeline that reads hashes."""

    def __init__(self, client: FakeRedisClient) -> None:
        self._client, self._keys = client, list[bytes]()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing: there is no connection."""

    def hmget(self, key: bytes, *names: str) -> None:
        self._keys.append(key)

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        self._client.calls += 1
        return [self._client.hashes.get(key, [None] * 5) for key in self._keys]


def _fields(kept: DecisionEntry) -> Sequence[tuple[str, Any]]:
    return list(decision_row(kept).items())


def _hash(record: Record) -> list[bytes]:
    numbers = record.status, microseconds(record.first_seen), microseconds(record.last_seen), record.attempts
    return [*(str(int(number)).encode() for number in numbers), record.cause.encode()]
