"""The self-tests of one DNS list: at start, every hour, and sooner if its answers raise a doubt."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from bley.checks.lists.schedule import SelfTestSchedule
from bley.checks.lists.self_test import self_test
from bley.core.dnslists.health import HealthNews, ListHealth, diagnose_answer
from bley.core.dnslists.lists import Answer, DnsList, Meaning
from bley.ports import Clock, UncachedResolver

__all__ = ["ListTester"]

_log = logging.getLogger(__name__)


class ListTester:
    """The tests and the health of one list. Changes of its health are logged.

    `flush_cache` is called when the list has recovered: answers of its bad time may still be in a cache.
    `probe_dns` is called when a test has no result: the DNS may be silent.
    """

    def __init__(
        self, dns_list: DnsList, clock: Clock, flush_cache: Callable[[], None], probe_dns: Callable[[], None]
    ) -> None:
        self.dns_list, self._clock = dns_list, clock
        self._flush_cache, self._probe_dns = flush_cache, probe_dns
        self.health = ListHealth(dns_list, clock())
        self.schedule = SelfTestSchedule()
        self.first_test: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done after the first test, whether or not it had a result."""

    async def run(self, resolver: Callable[[], UncachedResolver]) -> None:
        """Test the list again and again, until cancelled."""
        while True:
            is_tested = await self._test(resolver())
            if not self.first_test.done():
                self.first_test.set_result(None)
            await self.schedule.wait(is_tested=is_tested, is_ill=self.health.is_ill)

    async def _test(self, resolver: UncachedResolver) -> bool:
        """Test the list once. Return whether the test had a result."""
        try:
            found = await self_test(self.dns_list, resolver)
        except Exception:  # noqa: BLE001 (the next test may succeed, and mail goes on; logged)
            _log.exception("%s could not be tested; please report it", self.dns_list.name)
            found = None
        self._log_news(self.health.end_test(found, self._clock()))
        if found is None:
            self._probe_dns()
        return found is not None

    def judge_answer(self, version: int, answer: Answer) -> None:
        """Schedule a test if answers about clients raise a doubt. Set a parked list aside at once."""
        if not answer.is_conclusive:
            self.health.last_error = self._clock(), answer.why
        if not self.health.doubts(version, answer):
            return
        if answer.meaning is Meaning.PARKED:
            facts = self.dns_list.facts
            news = self.health.take(facts.versions[0], diagnose_answer(facts, answer), self._clock())
            self._log_news([news] if news else [])
        self.schedule.doubt()

    def _log_news(self, news: Iterable[HealthNews]) -> None:
        for each in news:
            _log.warning("%s", each.text)
            if each.is_recovery:
                self._flush_cache()
