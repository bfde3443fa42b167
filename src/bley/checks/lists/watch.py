"""Watches the DNS lists: asks them about clients, tests them at start and every hour, and sets the ill ones aside."""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bley.checks.lists.self_test import answer_of, self_test
from bley.core.dnslists.health import Diagnosis, ListHealth, ListState, diagnose_answer
from bley.core.dnslists.lists import Answer, DnsList, Meaning, question
from bley.core.mail import Address
from bley.metrics import LIST_ANSWERS
from bley.ports import Clock, Resolver, ResourceRecord, UncachedResolver

__all__ = ["ListWatch", "SelfTestIntervals", "WatchedList"]

_LATENCIES = 1000
"""Of so many answers the latency is kept: enough for a 95th percentile, 8 KB a list."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SelfTestIntervals:
    """How long until a list is tested again."""

    well: timedelta = timedelta(hours=1)
    """The design's. A list's death between two tests shows in its answers."""
    ill: timedelta = timedelta(minutes=1)
    """After the first failed test, then each time twice as long, up to `well`: a failure is short, a death is not."""
    doubted: timedelta = timedelta(minutes=1)
    """At least, from one doubt to the test for the next: doubts may come all day."""
    no_dns: timedelta = timedelta(seconds=5)
    """When the DNS is silent, so that the test says nothing of the list."""


class WatchedList:
    """One list: its health for IPv4 and for IPv6 clients, and what it answered so far.

    Until its first self-test is done, its answers wait for that.
    """

    def __init__(
        self,
        dns_list: DnsList,
        clock: Clock,
        forget: Callable[[], None] = lambda: None,
        suspect: Callable[[], None] = lambda: None,
    ) -> None:
        self.dns_list, self._clock, self._forget, self._suspect = dns_list, clock, forget, suspect
        now = clock()
        self.healths = {version: ListHealth(self._first_state(version), now) for version in (4, 6)}
        self.answers: Counter[Meaning] = Counter()
        self.seconds: deque[float] = deque(maxlen=_LATENCIES)
        """How long the last answers took that told something."""
        self.last_error: tuple[datetime, str] | None = None
        self._suspicion: Answer | None = None
        """The last of the answers for which it is not asked until it is tested."""
        self._waiting: dict[str, list[Callable[[Answer], None]]] = {}
        """Who waits for the answer to which question."""
        self._test_wanted = asyncio.Event()
        self._is_doubted, self._deaf_until = False, 0.0
        self._first_test: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _first_state(self, version: int) -> ListState:
        if self.is_dead:
            return ListState.DEAD
        return ListState.UNTESTED if version in self.dns_list.facts.versions else ListState.NOT_SERVED

    @property
    def is_dead(self) -> bool:
        """Whether it is known to be dead: then it is never asked."""
        return self.dns_list.facts.status == "dead"

    def ask(self, address: Address, resolver: Resolver, then: Callable[[Answer], None]) -> None:
        """Ask about a client; `then` is called with the answer, later."""
        name = question(address, self.dns_list.zone)
        if name in self._waiting:
            self._waiting[name].append(then)
            return
        self._waiting[name] = [then]
        loop = asyncio.get_running_loop()
        begun = loop.time()

        def answered(asked: asyncio.Future[Sequence[ResourceRecord]]) -> None:
            answer = answer_of(self.dns_list, asked)
            self._note(address.version, answer, loop.time() - begun)
            if self._first_test.done():
                deliver(answer)
            else:
                self._first_test.add_done_callback(lambda _: deliver(answer))

        def deliver(answer: Answer) -> None:
            answer = self.instead_of_asking(address.version) or answer
            for waiting in self._waiting.pop(name, ()):
                waiting(answer)

        resolver.resolve(name, "A").add_done_callback(answered)

    def instead_of_asking(self, version: int) -> Answer | None:
        """The answer for clients of this IP version while the list is not to be asked, else None."""
        health = self._health(version)
        match health.state:
            case ListState.WELL if self._suspicion:
                return Answer(Meaning.SET_ASIDE, why=f"until it is tested: {self._suspicion.why}")
            case ListState.WELL:
                return None
            case ListState.NOT_SERVED:
                return Answer(Meaning.NOT_SERVED, why=f"it has no IPv{version} addresses")
            case ListState.DEAD:
                facts = self.dns_list.facts
                return Answer(Meaning.SET_ASIDE, why=f"dead since {facts.since}: it {facts.how}")
            case ListState.UNTESTED:
                return Answer(Meaning.SET_ASIDE, why="not tested yet") if self._first_test.done() else None
        return Answer(Meaning.SET_ASIDE, why=f"since {health.since:%Y-%m-%d %H:%M} UTC: {health.diagnosis.what}")

    def _health(self, version: int) -> ListHealth:
        """What counts for clients of this IP version: who is ill for IPv4 is ill."""
        first = self.healths[4]
        return first if first.state is ListState.ILL else self.healths[version]

    def _note(self, version: int, answer: Answer, seconds: float) -> None:
        """Count an answer about a client, and have the list tested if it is odd."""
        self.answers[answer.meaning] += 1
        LIST_ANSWERS.labels(self.dns_list.name, answer.meaning.value).inc()
        if answer.tells:
            self.seconds.append(seconds)
        else:
            self.last_error = self._clock(), answer.why
        health = self.healths[version]
        if health.state is not ListState.WELL:
            return
        if answer.meaning is Meaning.PARKED:
            self._take(self.dns_list.facts.versions[0], diagnose_answer(self.dns_list.facts, answer))
        if health.doubts(answer):
            self._suspicion = answer if answer.meaning in (Meaning.FAILED, Meaning.SILENT) else None
            self._doubt()

    def test_now(self) -> None:
        """Have it tested at once."""
        self._test_wanted.set()

    def _doubt(self) -> None:
        """Have it tested as soon as the last test for a doubt is some time ago."""
        if not self._is_doubted:
            self._is_doubted = True
            loop = asyncio.get_running_loop()
            loop.call_at(max(loop.time(), self._deaf_until), self._test_wanted.set)

    async def watch(self, resolver: Callable[[], UncachedResolver], pauses: SelfTestIntervals) -> None:
        """Test it, again and again, until cancelled."""
        pause = pauses.ill
        while True:
            is_done = await self._test(resolver())
            if not self._first_test.done():
                self._first_test.set_result(None)
            if not is_done:
                await self._wait(pauses.no_dns)
            elif any(health.state is ListState.ILL for health in self.healths.values()):
                await self._wait(pause)
                pause = min(2 * pause, pauses.well)
            elif not await self._wait(pauses.well):
                pause = pauses.ill  # it was well all the time
            if self._is_doubted:
                self._is_doubted = False
                self._deaf_until = asyncio.get_running_loop().time() + pauses.doubted.total_seconds()

    async def _wait(self, pause: timedelta) -> bool:
        """Until a test is wanted, at most so long; whether it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause.total_seconds()):
                await self._test_wanted.wait()
        is_wanted = self._test_wanted.is_set()
        self._test_wanted.clear()
        return is_wanted

    async def _test(self, resolver: UncachedResolver) -> bool:
        """One self-test; whether it could be done."""
        try:
            found = await self_test(self.dns_list, resolver)
        except Exception:  # noqa: BLE001 (the next test may do better, and mail goes on; logged)
            _log.exception("%s could not be tested; please report it", self.dns_list.name)
            found = None
        suspicion, self._suspicion = self._suspicion, None
        if found is None:
            self._suspect()
            return False
        first = next(iter(found))
        if suspicion and not found[first].fault:
            # It passes, but answered no mail: the test entries may be at hand where the list itself is not.
            found = {first: diagnose_answer(self.dns_list.facts, suspicion)}
        for version, diagnosis in found.items():
            self._take(version, diagnosis)
        if not found[first].fault:
            for version in self.healths.keys() - found.keys():
                if self.healths[version].state is not ListState.WELL:  # once well, it was one bad test
                    self.healths[version].not_served(self._clock())
        return True

    def _take(self, version: int, found: Diagnosis) -> None:
        """Take a diagnosis, and tell the operator when it is news."""
        health, now = self.healths[version], self._clock()
        before, since = health.state, health.since
        if found.fault:
            self.last_error = now, found.what
        if not health.take(found, now):
            return
        name = self.dns_list.name + (" for IPv6 clients" if version == 6 else "")
        if found.fault:
            _log.warning("%s is set aside: %s; %s: see docs/lists.md", name, found.what, found.remedy)
        elif before is ListState.ILL:
            _log.warning("%s is well again, after %s", name, str(max(now - since, timedelta(0))).partition(".")[0])
            self._forget()


class ListWatch:
    """All configured lists. It outlives a reload: a list stays as ill as it was, and is tested again."""

    def __init__(self, clock: Clock, pauses: SelfTestIntervals | None = None) -> None:
        self._clock, self._pauses = clock, pauses or SelfTestIntervals()
        self.lists: dict[str, WatchedList] = {}
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._resolver: UncachedResolver
        self._forget: Callable[[], None]
        self._suspect: Callable[[], None]

    def follow(
        self,
        lists: Iterable[DnsList],
        resolver: UncachedResolver,
        forget: Callable[[], None] = lambda: None,
        suspect: Callable[[], None] = lambda: None,
    ) -> None:
        """Watch these lists from now on, as `switch` does."""
        self.switch(self.prepare(lists), resolver, forget, suspect)

    def prepare(self, lists: Iterable[DnsList]) -> dict[str, WatchedList]:
        """These lists by zone, for `switch`: those that are watched already, and new ones, which nobody tests yet."""
        return {dns_list.zone: self.lists.get(dns_list.zone) or self._new(dns_list) for dns_list in lists}

    def _new(self, dns_list: DnsList) -> WatchedList:
        return WatchedList(dns_list, self._clock, lambda: self._forget(), lambda: self._suspect())

    def switch(
        self,
        lists: dict[str, WatchedList],
        resolver: UncachedResolver,
        forget: Callable[[], None],
        suspect: Callable[[], None],
    ) -> None:
        """Watch these lists from now on, and no others; test by `resolver`. Cannot fail.

        When a list is well again, `forget` is called: answers of its bad time may still be in a cache. When a test says
        nothing of the list, `suspect` is: the DNS may be silent.
        """
        self._resolver, self._forget, self._suspect = resolver, forget, suspect
        for zone in self.lists.keys() - lists.keys():
            if zone in self._watching:
                self._watching.pop(zone).cancel()
        old, self.lists = self.lists, lists
        for zone, watched in lists.items():
            if zone in old:
                watched.test_now()
            elif not watched.is_dead:
                watching = watched.watch(lambda: self._resolver, self._pauses)
                self._watching[zone] = asyncio.get_running_loop().create_task(watching)

    async def close(self) -> None:
        """Test no more."""
        for watching in self._watching.values():
            watching.cancel()
        await asyncio.gather(*self._watching.values(), return_exceptions=True)
