"""The self-tests of one DNS list: at start, every hour, and sooner if its answers raise a doubt."""

import asyncio
import logging
from collections.abc import Callable

from bley.checks.lists.news import ListNews
from bley.checks.lists.schedule import SelfTestSchedule
from bley.checks.lists.self_test import self_test
from bley.core.dnslists.health import ListHealth, diagnose_answer
from bley.core.dnslists.lists import Answer, DnsList, Meaning
from bley.ports import Clock, UncachedResolver

__all__ = ["ListTester"]

_OLD_SECONDS = 60.0
"""The age of a test from which a list is tested again because another has a fault: each at most once a minute."""

_log = logging.getLogger(__name__)


class ListTester:
    """The tests and the health of one list. Changes of its health are logged.

    `probe_dns` is called when a test has no result: the DNS may be silent.
    """

    def __init__(self, dns_list: DnsList, clock: Clock, news: ListNews, probe_dns: Callable[[], None]) -> None:
        self.dns_list, self._clock, self._news, self._probe_dns = dns_list, clock, news, probe_dns
        self._tested_at = 0.0
        self.health = ListHealth(dns_list, clock())
        self.schedule = SelfTestSchedule()
        self.first_test: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done after the first test, whether or not it had a result."""

    async def run(self, resolver: Callable[[], UncachedResolver]) -> None:
        """Test the list again and again, until cancelled."""
        while True:
            self._news.begin_test(self.dns_list.key)
            is_tested = await self._test(resolver())
            if not self.first_test.done():
                self.first_test.set_result(None)
            health = self.health
            await self.schedule.wait(is_tested=is_tested, is_ill=health.is_ill, is_shared=bool(health.shared))

    def request_test(self) -> None:
        """Test the list at once."""
        self._news.begin_test(self.dns_list.key)
        self.schedule.request()

    def request_test_if_old(self) -> None:
        """Test the list at once if it is well, unless it was tested within the last minute."""
        is_old = asyncio.get_running_loop().time() - self._tested_at >= _OLD_SECONDS
        if is_old and not (self.health.is_ill or self.health.is_dead):
            self.request_test()

    async def _test(self, resolver: UncachedResolver) -> bool:
        """Test the list once. Return whether the test had a result."""
        self._tested_at = asyncio.get_running_loop().time()
        try:
            found = await self_test(self.dns_list, resolver)
        except Exception:  # noqa: BLE001 (the next test may succeed, and mail goes on; logged)
            _log.exception("%s could not be tested; please report it", self.dns_list.name)
            found = None
        without_ipv6 = self.health.without_ipv6
        self._news.end_test(self.dns_list.key, self.health.end_test(found, self._clock()))
        if self.health.without_ipv6 and not without_ipv6:
            _log.info("%s: %s: see docs/lists.md", self.dns_list.name, self.health.without_ipv6)
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
            if news := self.health.take(self.dns_list.versions[0], diagnose_answer(facts, answer), self._clock()):
                self._news.hold(self.dns_list.key, news)
        self.schedule.doubt()
