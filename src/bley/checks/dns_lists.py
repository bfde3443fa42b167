"""The check of DNS allowlists and blocklists (RFC 5782)."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from bley.checks.lists.queried_list import QueriedList
from bley.core.address_scope import describe_local
from bley.core.dnslists.lists import (
    Answer,
    DnsList,
    ListAnswer,
    Meaning,
    Subject,
    query_labels,
    query_name,
    version_of,
)
from bley.core.errors import ResolverError
from bley.core.evidence import Finding, shortened
from bley.core.findings import Check
from bley.core.history.list_counts import ListEvent, list_kind
from bley.core.mail import Address
from bley.core.policy import Bounds
from bley.ports import CachedResolver, Resolver

__all__ = ["ConfiguredList", "ListQueries", "add_explanations"]


_LONGEST_NAME = 253
"""Characters of a name to query (RFC 1035 2.3.4). A stranger chooses the domain, and must not make a list look ill."""

_MOST_TAKEN = 256
"""Answers of one list whose evaluation is cached. A list has some twenty return codes."""

_LATE = Answer(Meaning.SILENT, why="no answer in time")
_NO_DOMAIN = Answer(Meaning.NOT_SERVED, why="sender, HELO and client have no domain")


class TakenAnswer(NamedTuple):
    """The answer of a list of a setting, with all that follows from it."""

    answer: ListAnswer
    weight: int
    text: str
    event: ListEvent | None
    """The event that is counted besides the query."""


@dataclass(frozen=True, slots=True)
class ConfiguredList:
    """A list with the weights of one setting, and the queries that all settings share."""

    setting: DnsList
    queried: QueriedList
    _taken: dict[Answer, TakenAnswer] = field(default_factory=dict, repr=False, compare=False)
    """The last answers about addresses: a list has few different ones."""

    def take(self, answer: Answer) -> TakenAnswer:
        """Evaluate an answer about an address."""
        taken = self._taken.get(answer)
        if taken is None:
            if len(self._taken) >= _MOST_TAKEN:
                self._taken.clear()
            taken = self._taken[answer] = self.evaluate(ListAnswer(self.setting, answer))
        return taken

    def evaluate(self, listed: ListAnswer) -> TakenAnswer:
        """Evaluate an answer."""
        event = None
        if not listed.answer.is_conclusive:
            event = ListEvent.ERRORS
        elif self.setting.matching_entries(listed.answer):
            event = ListEvent.LISTED
        return TakenAnswer(listed, listed.weight, str(listed), event)


class _Questions:
    """The questions to one list about one client."""

    __slots__ = ("answers", "each", "is_asked", "taken")

    def __init__(self, each: ConfiguredList) -> None:
        self.each = each
        self.answers: dict[str, Answer | None] = {}
        """By the labels before the zone: the answer; None before it."""
        self.is_asked = False
        """The list was queried."""
        self.taken: TakenAnswer | None = None
        """The answer to all questions."""


class ListQueries:
    """The queries of all lists of one setting about one client. `on_answer` is called after each answer.

    A list has answered once it has answered about all subjects, and `close` was called.
    """

    def __init__(
        self, check: Check, lists: Sequence[ConfiguredList], resolver: CachedResolver, on_answer: Callable[[], object]
    ) -> None:
        self._check, self._resolver, self._on_answer = check, resolver, on_answer
        self._lists = [_Questions(each) for each in lists]
        self._missing = len(lists)
        self._score = self._least = self._most = 0
        for each in lists:
            self._least += each.setting.least
            self._most += each.setting.most
        self._is_closed = False

    @property
    def bounds(self) -> Bounds:
        """The least and the most that the answers can sum up to."""
        return Bounds(self._least, self._most)

    def query(self, subjects: Sequence[Subject]) -> None:
        """Query the lists about these subjects, each once; after the last list has answered, about none."""
        for subject in subjects:
            labels, version = query_labels(subject), version_of(subject)
            why = "" if isinstance(subject, str) else describe_local(subject)
            for questions in self._lists:
                if not questions.taken and labels not in questions.answers:
                    self._query(questions, labels, version, why)

    def _query(self, questions: _Questions, labels: str, version: int, why_not: str) -> None:
        """Query one list about a subject, unless no list has it, for the reason `why_not` or because of its length."""
        queried = questions.each.queried
        name = f"{labels}.{questions.each.setting.zone}"
        if len(name) > _LONGEST_NAME:
            why_not = f"{labels} is too long a name"
        answer = Answer(Meaning.NOT_SERVED, why=why_not) if why_not else queried.unasked_answer(version)
        questions.answers[labels] = answer
        if answer is None:
            questions.is_asked = True
            queried.query(name, version, self._resolver, partial(self._answered, questions, labels))

    def close(self) -> None:
        """Take the answers of lists that have no further subject to wait for."""
        self._is_closed = True
        for questions in self._lists:
            self._take_if_complete(questions)

    def _answered(self, questions: _Questions, labels: str, answer: Answer) -> None:
        if not questions.taken:  # else the answer is late
            questions.answers[labels] = answer
            self._take_if_complete(questions)
            self._on_answer()

    def _take_if_complete(self, questions: _Questions) -> None:
        if self._is_closed and not questions.taken and None not in questions.answers.values():
            self._take(questions)

    def _take(self, questions: _Questions) -> None:
        """Take the answers of one list. Count them, even if a cache or the query of another stranger had them."""
        each, setting = questions.each, questions.each.setting
        answers = {labels: answer or _LATE for labels, answer in questions.answers.items()}
        if setting.is_of_domains:
            taken = each.evaluate(_united(setting, answers))
        else:
            (answer,) = answers.values()
            taken = each.take(answer)
        questions.taken = taken
        self._missing -= 1
        self._score += taken.weight
        self._least += taken.weight - setting.least
        self._most += taken.weight - setting.most
        if questions.is_asked:
            each.queried.count(list_kind(self._check, ListEvent.QUERIES), setting.name)
            if taken.event:
                each.queried.count(list_kind(self._check, taken.event), setting.name)

    @property
    def is_complete(self) -> bool:
        """Whether every list has answered."""
        return not self._missing

    def finding(self) -> Finding | None:
        """Return the sum of the weights so far; unknown if no list gave a conclusive answer.

        Return None if there is no conclusive answer yet, but one may still come.
        """
        taken = [each.taken for each in self._lists if each.taken]
        answers = tuple([each.answer for each in taken])
        is_conclusive = any(each.answer.is_conclusive for each in answers)
        if not is_conclusive and self._missing:
            return None
        is_known = is_conclusive or all(each.answer.meaning is Meaning.NOT_SERVED for each in answers)
        return Finding(self._score if is_known else None, ", ".join([each.text for each in taken]), answers)

    def give_up(self) -> None:
        """Record an unknown answer for each list that has not answered."""
        for questions in self._lists:
            if not questions.taken:
                self._take(questions)


def _united(dns_list: DnsList, found: Mapping[str, Answer]) -> ListAnswer:
    """Return what a list says of all domains: it counts once, whatever number of them it lists."""
    listed = tuple(domain for domain, answer in found.items() if answer.meaning is Meaning.LISTED)
    if listed:
        codes = dict.fromkeys(code for domain in listed for code in found[domain].codes)
        return ListAnswer(dns_list, Answer(Meaning.LISTED, tuple(codes)), domains=listed)
    order = sorted(found.values(), key=lambda answer: (answer.meaning is Meaning.NOT_SERVED, answer.is_conclusive))
    return ListAnswer(dns_list, order[0] if order else _NO_DOMAIN, domains=tuple(found))


async def add_explanations(finding: Finding, address: Address, resolver: Resolver, within: timedelta) -> Finding:
    """Add the explanations of the lists that list the client (TXT, RFC 5782 2.1), as far as they arrive in time."""

    async def with_explanation(each: ListAnswer) -> ListAnswer:
        if each.answer.meaning is not Meaning.LISTED:
            return each
        subject = each.domains[0] if each.domains else address
        with contextlib.suppress(ResolverError, TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                records = await resolver.resolve(query_name(subject, each.dns_list.zone), "TXT")
                texts = [record.data for record in records if isinstance(record.data, bytes)]
                return each._replace(text=shortened(b" ".join(texts).decode(errors="backslashreplace")))
        return each

    return finding._replace(answers=tuple(await asyncio.gather(*map(with_explanation, finding.answers))))
