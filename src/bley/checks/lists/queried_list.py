"""Queries one DNS list about clients or domains, each once at a time, and measures its answers."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence

from bley.checks.lists.self_test import read_answer
from bley.checks.lists.tester import ListTester
from bley.core.dnslists.health import NOT_TESTED
from bley.core.dnslists.lists import Answer, DnsList, Meaning, Subject, query_name, version_of
from bley.core.history.list_counts import latency_kind
from bley.metrics import LIST_ANSWERS
from bley.ports import Resolver, ResourceRecord

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
        self._waiting: dict[str, list[Callable[[Answer], None]]] = {}
        """The callbacks that wait for the answer to each query."""

    def unasked_answer(self, version: int) -> Answer | None:
        """Return the answer for this IP version, or for DOMAINS, while the list is not queried; None if it is."""
        answer = self.tester.health.unasked_answer(version)
        return None if answer is NOT_TESTED and not self.tester.first_test.done() else answer

    def query(self, subject: Subject, resolver: Resolver, then: Callable[[Answer], None]) -> None:
        """Query the list about a client's address or a domain; `then` is called with the answer, later."""
        name, version = query_name(subject, self.dns_list.zone), version_of(subject)
        if name in self._waiting:
            self._waiting[name].append(then)
            return
        self._waiting[name] = [then]
        loop = asyncio.get_running_loop()
        started = loop.time()

        def answered(query: asyncio.Future[Sequence[ResourceRecord]]) -> None:
            answer = read_answer(self.dns_list, query)
            self.answers[answer.meaning] += 1
            LIST_ANSWERS.labels(self.dns_list.name, answer.meaning.value).inc()
            if answer.is_conclusive and not is_cached:
                self.seconds.append(seconds := loop.time() - started)
                self.count(latency_kind(seconds), self.dns_list.name)
            self.tester.judge_answer(version, answer)
            if self.tester.first_test.done():
                deliver(answer)
            else:
                self.tester.first_test.add_done_callback(lambda _: deliver(answer))

        def deliver(answer: Answer) -> None:
            answer = self.unasked_answer(version) or answer
            for callback in self._waiting.pop(name, ()):
                callback(answer)

        query = resolver.resolve(name, "A")
        is_cached = query.done()
        query.add_done_callback(answered)
