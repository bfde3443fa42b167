"""All configured DNS lists: each is queried about clients, and tested in a task of its own."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta

from bley.checks.lists.news import ListNews
from bley.checks.lists.queried_list import CountList, QueriedList
from bley.checks.lists.tester import ListTester
from bley.core.dnslists.lists import DnsList
from bley.ports import Clock, UncachedResolver

__all__ = ["ListWatch"]


class ListWatch:
    """The lists of the current configuration. They outlive a reload: a list keeps its health, and is tested again.

    `count` counts the events about them.
    """

    def __init__(
        self, clock: Clock, *, names_resolver: bool = True, count: CountList = lambda _kind, _name: None
    ) -> None:
        self._clock, self._count = clock, count
        self.news = ListNews(
            clock,
            lambda: (queried.tester for queried in self.lists.values()),
            lambda: self._resolver.name,
            lambda: self._flush_cache(),
            names_resolver=names_resolver,
        )
        self.lists: dict[str, QueriedList] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._resolver: UncachedResolver
        self._flush_cache: Callable[[], None]
        self._probe_dns: Callable[[], None]

    def follow(
        self,
        lists: Iterable[DnsList],
        resolver: UncachedResolver,
        flush_cache: Callable[[], None] = lambda: None,
        probe_dns: Callable[[], None] = lambda: None,
    ) -> None:
        """Watch these lists from now on, as `switch` does."""
        self.switch(self.prepare(lists), resolver, flush_cache, probe_dns)

    def prepare(self, lists: Iterable[DnsList]) -> dict[str, QueriedList]:
        """Return these lists by key, for `switch`: those that are watched already, and new ones without a test."""
        return {dns_list.key: self.lists.get(dns_list.key) or self._new(dns_list) for dns_list in lists}

    def _new(self, dns_list: DnsList) -> QueriedList:
        tester = ListTester(dns_list, self._clock, self.news, lambda: self._probe_dns())
        return QueriedList(dns_list, tester, self._count)

    def switch(
        self,
        lists: dict[str, QueriedList],
        resolver: UncachedResolver,
        flush_cache: Callable[[], None],
        probe_dns: Callable[[], None],
    ) -> None:
        """Watch these lists from now on, and no others. Cannot fail.

        `resolver` makes the self-tests. `flush_cache` is called when a list has recovered: answers of its bad time may
        still be in a cache. `probe_dns` is called as by `ListTester`.
        """
        self._resolver, self._flush_cache, self._probe_dns = resolver, flush_cache, probe_dns
        for key in self.lists.keys() - lists.keys():
            if key in self._tasks:
                self._tasks.pop(key).cancel()
        old, self.lists = self.lists, lists
        self.news.forget(old.keys() - lists.keys())
        for key, queried in lists.items():
            if queried.tester.health.is_dead:
                continue
            if key in old:
                queried.tester.request_test()
            else:
                tests = queried.tester.run(lambda: self._resolver)
                self._tasks[key] = asyncio.get_running_loop().create_task(tests)

    async def wait_tested(self, within: timedelta) -> None:
        """Wait until all lists are tested, at most so long: until it is known whether the resolver is at fault."""
        tests = [queried.tester.first_test for key, queried in self.lists.items() if key in self._tasks]
        if tests:
            await asyncio.wait(tests, timeout=within.total_seconds())

    async def close(self) -> None:
        """Stop all self-tests."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
