"""The log of the health of all lists. The fault of a resolver is logged in place of those that it causes."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol

from bley.core.dnslists.health import HealthNews, ListHealth
from bley.core.dnslists.resolver_fault import ResolverFault, find_resolver_fault
from bley.ports import Clock

__all__ = ["ListNews", "Tested"]

_log = logging.getLogger(__name__)


class Tested(Protocol):
    """A list with its self-tests, as `ListTester` is."""

    health: ListHealth

    def request_test(self) -> None:
        """Test the list at once."""

    def request_test_if_old(self) -> None:
        """Test the list at once if it is well, unless it was tested within the last minute."""


class ListNews:
    """The news of all lists, logged when no self-test is running or due.

    Only then is it known whether several lists share a fault, so that the resolver is to blame. A fault starts the
    tests of all other lists. A test that no server answers delays the news by four times `check_timeout` at most.
    """

    def __init__(
        self,
        clock: Clock,
        lists: Callable[[], Iterable[Tested]],
        server: Callable[[], str],
        flush_cache: Callable[[], None],
        *,
        names_resolver: bool = True,
    ) -> None:
        self._clock, self._lists, self._server, self._flush_cache = clock, lists, server, flush_cache
        self._names_resolver = names_resolver
        """Log faults of the resolver. Of several workers, which all find them, one does."""
        self.resolver_fault: ResolverFault | None = None
        self._since: datetime
        self._due = set[str]()
        self._news: list[tuple[str, HealthNews]] = []

    def begin_test(self, key: str) -> None:
        """Hold all news back until this list is tested."""
        self._due.add(key)

    def hold(self, key: str, news: HealthNews) -> None:
        """Keep the news of a list until it is tested."""
        self.begin_test(key)
        self._add(key, news)

    def end_test(self, key: str, news: Iterable[HealthNews]) -> None:
        """Take the news of a self-test that has ended."""
        self._due.discard(key)
        for each in news:
            self._add(key, each)
        self._log_if_settled()

    def forget(self, keys: Iterable[str]) -> None:
        """Forget lists that are not used any more."""
        self._due.difference_update(keys)
        self._log_if_settled()

    def _add(self, key: str, news: HealthNews) -> None:
        """Take news of a list, and test the lists that may share its fault or its recovery."""
        self._news.append((key, news))
        shared = self.resolver_fault.keys if self.resolver_fault else frozenset[str]()
        for each in self._lists():
            other = each.health.dns_list.key
            if other == key:
                continue
            if not news.is_recovery:
                each.request_test_if_old()
            elif key in shared and other in shared:
                each.request_test()

    def _log_if_settled(self) -> None:
        healths = {each.health.dns_list.key: each.health for each in self._lists()}
        if not self._due.isdisjoint(healths):  # a late answer of a list that is not used any more makes no test due
            return
        ill = [(health.dns_list, diagnosis) for health in healths.values() if (diagnosis := health.own_diagnosis)]
        before, now = self.resolver_fault, find_resolver_fault(ill, self._server())
        self.resolver_fault = now
        was_shared, shared = (fault.keys if fault else frozenset() for fault in (before, now))
        for key, health in healths.items():
            health.shared = now.diagnosis if now and key in shared else None
        news, self._news = self._news, []
        for key, each in news:
            if key not in shared and not (each.is_recovery and key in was_shared):
                _log.warning("%s", each.text)
        for key in was_shared - shared - {key for key, _ in news}:
            if key in healths and healths[key].own_diagnosis:
                _log.warning("%s", healths[key].warning)
        self._log_resolver(before, now)
        if any(each.is_recovery for _, each in news):
            self._flush_cache()

    def _log_resolver(self, before: ResolverFault | None, now: ResolverFault | None) -> None:
        if now and not before:
            self._since = self._clock()
        if not self._names_resolver:
            return
        if now and not before:
            _log.warning("DNS: %s", now)
        if before and not now:
            duration = str(max(self._clock() - self._since, timedelta(0))).partition(".")[0]
            _log.warning("DNS: the resolver %s answers right again, after %s", self._server(), duration)
