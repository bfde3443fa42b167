"""Fakes: a clock that the test sets, a DNS from data, a history from lists, a running bley and its lists."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from bley.checks.lists.news import ListNews
from bley.checks.lists.queried_list import QueriedList
from bley.checks.lists.report import ListReport
from bley.checks.lists.tester import ListTester
from bley.core.dnslists.lists import Answer, DnsList, Subject, query_name, version_of
from bley.core.errors import ResolverError, StoreError
from bley.core.greylist import Record, Status
from bley.core.history.attempts import Attempts, AttemptsQuery
from bley.core.history.audit import AuditEntry, AuditKind
from bley.core.history.delayed_mail import (
    DomainMail,
    MostDelayed,
    domain_mail,
    domain_of,
    first_waiting,
    most_delayed,
)
from bley.core.history.domain_counts import DAY_SECONDS, REST, DomainCounts, came_back_kinds, days_of
from bley.core.history.exempted import ExemptedCount, Exemption, count_exempted
from bley.core.history.list_counts import LIST_KINDS
from bley.core.history.periods import ComparedCounts, Period
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.core.history.statistics import Count
from bley.core.mail import RawRequest, Request, Triplet
from bley.core.places import Found
from bley.core.wire import RequestParser, encode_request
from bley.ports import CachedResolver, Clock, Outcome, Resolver, ResourceRecord, RrType
from bley.status import StateReport
from bley.store.history import PartialResult, WaitingTriplets

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def raw(request: Request) -> RawRequest:
    """Return the request in its form on the wire."""
    parser = RequestParser()
    parser.feed(encode_request(request))
    came = parser.next_request()
    assert came
    return came


SILENT = "silent"
"""A value in the zone of a FakeResolver: it never answers."""

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


ILL_LIST = ListReport(
    name="bl.example",
    setting="dnsbls",
    entries="bl.example",
    state="ill",
    state_ipv6="well",
    since="2026-11-23T12:00:00+00:00",
    what="it is empty; remove it",
    last_error="it is empty",
    last_error_at="2026-11-23T12:00:00+00:00",
    answers={},
    median_seconds=None,
    p95_seconds=None,
)


class FakeClock:
    """A clock that only `advance` moves."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class FakeResolver:
    """A resolver that answers from `zone`: (name, type) to data, to an error, or SILENT; other names do not exist.

    `ttl_seconds` is that of every record; `is_down`: no server answers at all, while SILENT in the zone affects one
    name.
    """

    def __init__(self, zone: Zone | None = None, ttl_seconds: int = 300) -> None:
        self.zone, self.ttl_seconds, self.is_down = dict(zone or {}), ttl_seconds, False
        self.questions: list[tuple[str, str]] = []
        self.name = "192.0.2.53"
        self.invented = frozenset[str]()
        """The addresses of names that do not exist, besides `zone`."""

    @property
    def is_silent(self) -> bool:
        return self.is_down

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        self.questions.append((name, rrtype))
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[ResourceRecord]] = loop.create_future()
        found = self.zone.get((name, rrtype), sorted(self.invented) if rrtype == "A" else ())
        if self.is_down:
            loop.call_soon(_fail, answer, ResolverError(name, rrtype, "no answer in time", is_silence=True))
        elif isinstance(found, ResolverError):
            loop.call_soon(_fail, answer, found)
        elif found != SILENT:
            records = [ResourceRecord(name, rrtype, data, self.ttl_seconds) for data in found]
            loop.call_soon(_give, answer, records)
        return answer

    def query(self, name: str, rrtype: RrType, then: Callable[[Outcome], object]) -> None:
        query_by_future(self, name, rrtype, then)

    async def has_answers(self) -> bool:
        return not self.is_down

    async def invented_addresses(self) -> frozenset[str]:
        return self.invented


def query_by_future(resolver: Resolver, name: str, rrtype: RrType, then: Callable[[Outcome], object]) -> None:
    """Call `then` with the outcome of `resolve`."""

    def take(answer: asyncio.Future[Sequence[ResourceRecord]]) -> None:
        error = answer.exception()
        then(error if isinstance(error, ResolverError) else answer.result())

    answer = resolver.resolve(name, rrtype)
    if answer.done():
        take(answer)
    else:
        answer.add_done_callback(take)


def _give(answer: asyncio.Future[Sequence[ResourceRecord]], records: Sequence[ResourceRecord]) -> None:
    if not answer.done():
        answer.set_result(records)


def _fail(answer: asyncio.Future[Sequence[ResourceRecord]], error: ResolverError) -> None:
    if not answer.done():
        answer.set_exception(error)


def query_list(
    queried: QueriedList, subject: Subject, resolver: CachedResolver, then: Callable[[Answer], object]
) -> None:
    """Query a list about a client or a domain."""
    queried.query(query_name(subject, queried.dns_list.zone), version_of(subject), resolver, then)


def queried_list(dns_list: DnsList, clock: Clock) -> QueriedList:
    """Return a list that nothing tests."""
    news = ListNews(clock, list, lambda: "", lambda: None)
    return QueriedList(dns_list, ListTester(dns_list, clock, news, lambda: None))


class FakeHistory:
    """A History of these decisions, the newest first; every method raises `error`."""

    place = "memory"

    def __init__(
        self,
        decisions: Sequence[StoredDecision] = (),
        records: Mapping[Triplet, Record] | None = None,
        counts: Mapping[Count, int] | None = None,
    ) -> None:
        self._decisions, self._records, self._counts = decisions, records or {}, counts or {}
        self.audit_entries: Sequence[AuditEntry] = ()
        self.error = ""
        self.unfinished = ""
        """If not empty, all searches end early, those for decisions with this one."""

    def _fail_if_wanted(self) -> None:
        if self.error:
            raise StoreError(self.error)

    async def counts(self, period: Period, now: datetime, kinds: Collection[str] = ()) -> Mapping[Count, int]:
        self._fail_if_wanted()
        first, last = period.since(now).timestamp(), now.timestamp()
        meant = {count: number for count, number in self._counts.items() if first <= count.start <= last}
        meant = {
            count: number
            for count, number in meant.items()
            if count.seconds != DAY_SECONDS and count.kind not in LIST_KINDS
        }
        return {count: number for count, number in meant.items() if not kinds or count.kind in kinds}

    async def compared_counts(self, period: Period, now: datetime) -> ComparedCounts:
        until = period.before(now)
        before = await self.counts(period, until)
        covers_it = any(count.start <= period.since(until).timestamp() for count in self._counts)
        of_lists = await self.list_counts(period, now)
        return ComparedCounts(await self.counts(period, now), before if covers_it else None, of_lists)

    async def list_counts(self, period: Period, now: datetime) -> Mapping[Count, int]:
        self._fail_if_wanted()
        first, last = period.since(now).timestamp(), now.timestamp()
        of_lists = {count: number for count, number in self._counts.items() if count.kind in LIST_KINDS}
        return {count: number for count, number in of_lists.items() if first <= count.start <= last}

    async def domain_counts(self, domain: str, since: datetime, until: datetime) -> DomainCounts:
        self._fail_if_wanted()
        of_domains = {count: number for count, number in self._counts.items() if count.seconds == DAY_SECONDS}
        days, names = days_of(since, until), (domain, REST)
        found = {key: number for key, number in of_domains.items() if key.start in days and key.name in names}
        return DomainCounts(domain, min((count.start for count in of_domains), default=None), found)

    async def decisions(
        self, query: DecisionQuery, limit: int, before: str = "", enough: int | None = None
    ) -> Sequence[StoredDecision]:
        self._fail_if_wanted()
        numbers = [decision.number for decision in self._decisions]
        found = list(filter(query.fits, self._decisions[numbers.index(before) + 1 if before else 0 :]))[:limit]
        return PartialResult(found, self.unfinished) if self.unfinished else found

    async def decision(self, number: str) -> StoredDecision | None:
        self._fail_if_wanted()
        return next((decision for decision in self._decisions if decision.number == number), None)

    async def attempts(self, query: AttemptsQuery) -> Attempts:
        self._fail_if_wanted()
        found = sorted(filter(query.fits, self._decisions), key=lambda each: each.at)
        judgments = filter(query.judgment.fits, self._decisions) if query.judgment else ()
        return Attempts(found, len(found), max(judgments, key=lambda each: each.at, default=None))

    async def count_exempted(
        self, exemptions: Sequence[Exemption], since: datetime, seconds: float
    ) -> Sequence[ExemptedCount]:
        self._fail_if_wanted()
        found = [each for each in self._decisions if each.at >= since]
        return count_exempted(exemptions, found, is_whole=not self.unfinished)

    async def audit(
        self,
        since: datetime,
        until: datetime | None,
        kinds: frozenset[AuditKind],
        limit: int,
        *,
        with_settings: bool = False,
    ) -> Sequence[AuditEntry]:
        self._fail_if_wanted()
        meant = [
            each
            for each in self.audit_entries
            if since <= each.at and (until is None or each.at < until) and (not kinds or each.kind in kinds)
        ]
        return meant[:limit]

    def _waiting(self, since: datetime) -> list[tuple[Triplet, Record]]:
        self._fail_if_wanted()
        return [
            item for item in self._records.items() if item[1].status is Status.GREYLISTED and item[1].last_seen >= since
        ]

    async def waiting(
        self, since: datetime, limit: int, suspected: Sequence[Collection[str]] | None = None
    ) -> WaitingTriplets:
        found = self._waiting(since)
        return WaitingTriplets(len(found), first_waiting(found, limit, suspected))

    async def waiting_domains(self, since: datetime, limit: int) -> Sequence[str]:
        found = [domain_of(triplet.sender) for triplet, _ in self._waiting(since) if triplet.sender]
        return list(dict.fromkeys(found))[:limit]

    def _of_days(self, since: datetime, until: datetime) -> dict[tuple[str, str], int]:
        self._fail_if_wanted()
        sums, days = Counter[tuple[str, str]](), days_of(since, until)
        for count, number in self._counts.items():
            if count.seconds == DAY_SECONDS and count.start in days:
                sums[count.kind, count.name] += number
        return sums

    async def most_delayed(self, since: datetime, until: datetime, limit: int) -> MostDelayed:
        kinds = came_back_kinds("from")
        found = {key: number for key, number in self._of_days(since, until).items() if key[0] in kinds}
        return most_delayed(datetime.fromtimestamp(days_of(since, until)[0], UTC), found, limit)

    async def domain_mail(self, names: Collection[str], since: datetime, until: datetime) -> Mapping[str, DomainMail]:
        return domain_mail({key: number for key, number in self._of_days(since, until).items() if key[1] in names})

    async def records(
        self, query: RecordQuery, limit: int, seconds: float | None = None
    ) -> Sequence[tuple[Triplet, Record]]:
        self._fail_if_wanted()
        found = [item for item in self._records.items() if query.fits(*item)][:limit]
        return PartialResult(found) if self.unfinished else found

    async def find(self, triplets: Sequence[Triplet]) -> Found:
        self._fail_if_wanted()
        return Found({triplet: self._records[triplet] for triplet in triplets if triplet in self._records})

    async def close(self) -> None:
        """Do nothing: there is no connection."""


class FakeBley:
    """A running bley with a given state."""

    def __init__(self) -> None:
        self.state = StateReport(
            lists=[WELL_LIST, ILL_LIST],
            dns_is_silent=False,
            store_is_down=False,
            connections=3,
            waiting={"writes": 1, "decisions": 20},
            cached={"requests": 4, "triplets": 5, "clients": 6, "spf": 7},
            running={"tasks": 8, "spf": 0},
        )
        self.lives = True
        """False: no process answers."""
        self.processes = {"main": os.getpid()}
        self.settings_file = "/etc/bley/bley.conf"
        self.places = ["127.0.0.1:1337", "unix:/run/bley/bley.sock"]
        self.list_readings = 0

    def read_local_lists(self) -> None:
        self.list_readings += 1

    async def is_alive(self) -> bool:
        return self.lives

    async def report_state(self) -> StateReport | None:
        return self.state if self.lives else None

    def process_ids(self) -> Mapping[str, int]:
        return self.processes
