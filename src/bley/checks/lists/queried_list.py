"""Queries one DNS list about clients or domains, each once at a time, and measures its answers."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable

from bley.checks.lists.self_test import read_outcome
from bley.checks.lists.tester import ListTester
from bley.core.dnslists.health import NOT_TESTED
from bley.core.dnslists.lists import Answer, DnsList, Meaning
from bley.core.history.list_counts import latency_kind
from bley.metrics import count_list_answer
from bley.ports import CachedResolver, Outcome

__all__ = ["CountList", "QueriedList"]

CountList = Callable[[str, str], None]
"""Counts an event about a list, by its kind (core.history.list_counts) and the list's name."""

_LATENCIES = 1000
"""The number of answers whose latency is kept: enough for a 95th percentile, 8 KB a list."""


class QueriedList:
    """One list as it is queried. Until its first self-test is done, its answers wait for that."""

    def __init__(self, dns_list: DnsList, tester: ListTester, count: CountList = lambda _kind, _name: None) -> None:
        self.dns_list, self.tester, self.count = dns_list, tester, count
        self.answers: Counter[Meaning] = Counter()
        self.seconds: deque[float] = deque(maxlen=_LATENCIES)
        """The latencies of the last answers from the network that were conclusive."""
        self._loop = asyncio.get_running_loop()
        self._in_flight: dict[str, _Query] = {}
        """The queries in flight, and those answered before the first self-test, by name."""

    def unasked_answer(self, version: int) -> Answer | None:
        """Return the answer for this IP version, or for DOMAINS, while the list is not queried; None if it is."""
        answer = self.tester.health.unasked_answer(version)
        return None if answer is NOT_TESTED and not self.tester.first_test.done() else answer

    def query(self, name: str, version: int, resolver: CachedResolver, then: Callable[[Answer], object]) -> None:
        """Query a name below the list's zone, about an IP version or DOMAINS.

        `then` is called with the answer, before this returns if a cache has it.
        """
        if query := self._in_flight.get(name):
            query.callbacks.append(then)
            return
        query = self._in_flight[name] = _Query(self, name, version, self._loop.time(), then)
        resolver.query(name, "A", query.receive)
        query.is_cached = False

    def take(self, query: "_Query", answer: Answer) -> None:
        """Count an answer, let it be judged, and deliver it once the list is tested."""
        self.answers[answer.meaning] += 1
        count_list_answer(self.dns_list.name, answer.meaning)
        if answer.is_conclusive and not query.is_cached:
            self.seconds.append(seconds := self._loop.time() - query.started)
            self.count(latency_kind(seconds), self.dns_list.name)
        self.tester.judge_answer(query.version, answer)
        if self.tester.first_test.done():
            self._deliver(query, answer)
        else:
            self.tester.first_test.add_done_callback(lambda _: self._deliver(query, answer))

    def _deliver(self, query: "_Query", answer: Answer) -> None:
        del self._in_flight[query.name]
        answer = self.unasked_answer(query.version) or answer
        for then in query.callbacks:
            then(answer)


class _Query:
    """A query in flight, and the callbacks that wait for the answer."""

    __slots__ = ("_list", "callbacks", "is_cached", "name", "started", "version")

    def __init__(
        self, queried: QueriedList, name: str, version: int, started: float, then: Callable[[Answer], object]
    ) -> None:
        self._list, self.name, self.version, self.started, self.callbacks = queried, name, version, started, [then]
        self.is_cached = True
        """Until it is in flight: an answer that comes at once is from a cache."""

    def receive(self, outcome: Outcome) -> None:
        """Take the outcome of the query."""
        self._list.take(self, read_outcome(self._list.dns_list, outcome))
