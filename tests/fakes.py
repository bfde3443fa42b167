"""Stand-ins for the ports: time that is told, a DNS that is data."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from bley.core.errors import ResolverError
from bley.ports import ResourceRecord, RrType

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

SILENT = "silent"
"""In a FakeResolver's zone: never answers."""

Data = str | bytes | tuple[int, str]
Zone = Mapping[tuple[str, str], Sequence[Data] | ResolverError | str]


class FakeClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class FakeResolver:
    """Answers from `zone`: (name, type) to data, to an error, or SILENT; what is not in it does not exist."""

    def __init__(self, zone: Zone | None = None) -> None:
        self.zone = dict(zone or {})
        self.questions: list[tuple[str, str]] = []

    async def resolve(self, name: str, rrtype: RrType) -> Sequence[ResourceRecord]:
        self.questions.append((name, rrtype))
        await asyncio.sleep(0)
        answer = self.zone.get((name, rrtype), ())
        if answer == SILENT:
            await asyncio.Event().wait()
        if isinstance(answer, ResolverError):
            raise answer
        assert not isinstance(answer, str)
        return [ResourceRecord(name, rrtype, data) for data in answer]
