"""Stand-ins for the ports: time that is told, a DNS that is data; and a list that is well."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from bley.checks.list_report import ListReport
from bley.core.errors import ResolverError
from bley.ports import ResourceRecord, RrType

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

SILENT = "silent"
"""In a FakeResolver's zone: never answers."""

Data = str | bytes | tuple[int, str]
Zone = Mapping[tuple[str, str], Sequence[Data] | ResolverError | str]

WELL_LIST = ListReport(
    name="zen.spamhaus.org",
    setting="dnsbls",
    entries="zen.spamhaus.org*3",
    state="well",
    state_ipv6="not served",
    since="2026-11-23T12:00:00+00:00",
    what="",
    last_error="",
    last_error_at=None,
    answers={"listed": 3, "clear": 7},
    median_seconds=0.02,
    p95_seconds=0.5,
)


class FakeClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class FakeResolver:
    """Answers from `zone`: (name, type) to data, to an error, or SILENT; what is not in it does not exist.

    `ttl_seconds` is every record's; `is_down`: as if no server answered at all, while the zone's SILENT is one name's.
    """

    def __init__(self, zone: Zone | None = None, ttl_seconds: int = 300) -> None:
        self.zone, self.ttl_seconds, self.is_down = dict(zone or {}), ttl_seconds, False
        self.questions: list[tuple[str, str]] = []

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        self.questions.append((name, rrtype))
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[ResourceRecord]] = loop.create_future()
        found = self.zone.get((name, rrtype), ())
        if self.is_down:
            loop.call_soon(_fail, answer, ResolverError(name, rrtype, "no answer in time", is_silence=True))
        elif isinstance(found, ResolverError):
            loop.call_soon(_fail, answer, found)
        elif found != SILENT:
            records = [ResourceRecord(name, rrtype, data, self.ttl_seconds) for data in found]
            loop.call_soon(_give, answer, records)
        return answer

    async def has_answers(self) -> bool:
        return not self.is_down


def _give(answer: asyncio.Future[Sequence[ResourceRecord]], records: Sequence[ResourceRecord]) -> None:
    if not answer.done():
        answer.set_result(records)


def _fail(answer: asyncio.Future[Sequence[ResourceRecord]], error: ResolverError) -> None:
    if not answer.done():
        answer.set_exception(error)
