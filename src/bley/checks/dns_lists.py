"""The check of DNS allowlists and blocklists (RFC 5782)."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from bley.checks.lists.queried_list import QueriedList
from bley.core.address_scope import describe_local
from bley.core.dnslists.lists import Answer, DnsList, ListAnswer, Meaning, Subject, query_name, version_of
from bley.core.errors import ResolverError
from bley.core.evidence import Finding, shortened
from bley.core.findings import Check
from bley.core.history.list_counts import ListEvent, list_kind
from bley.core.mail import Address
from bley.core.policy import Bounds
from bley.ports import Resolver

__all__ = ["ConfiguredList", "ListQueries", "add_explanations"]


_LONGEST_NAME = 253
"""Characters of a name to query (RFC 1035 2.3.4). A stranger chooses the domain, and must not make a list look ill."""

_LATE = Answer(Meaning.SILENT, why="no answer in time")
_NO_DOMAIN = Answer(Meaning.NOT_SERVED, why="sender, HELO and client have no domain")


@dataclass(frozen=True, slots=True)
class ConfiguredList:
    """A list with the weights of one setting, and the queries that all settings share."""

    setting: DnsList
    queried: QueriedList


class ListQueries:
    """The queries of all lists of one setting about one client. `on_answer` is called after each answer, later.

    A list has answered once it has answered about all subjects, and `close` was called.
    """

    def __init__(
        self, check: Check, lists: Sequence[ConfiguredList], resolver: Resolver, on_answer: Callable[[], object]
    ) -> None:
        self._check, self._lists, self._resolver, self._on_answer = check, lists, resolver, on_answer
        self._found: dict[str, dict[Subject, Answer | None]] = {each.setting.zone: {} for each in lists}
        """By zone and subject: the answer; None before it."""
        self._asked: set[str] = set()
        """The zones that were queried."""
        self._answers: dict[str, ListAnswer] = {}
        self._score = 0
        self._is_closed = False
        self.bounds = Bounds(sum(each.setting.least for each in lists), sum(each.setting.most for each in lists))
        """The least and the most that the answers can sum up to."""

    def query(self, subjects: Sequence[Subject]) -> None:
        """Query the lists about these subjects, each once; after the last list has answered, about none."""
        for each in self._lists:
            if each.setting.zone not in self._answers:
                for subject in subjects:
                    self._query(each, subject)

    def _query(self, each: ConfiguredList, subject: Subject) -> None:
        zone, found = each.setting.zone, self._found[each.setting.zone]
        if subject in found:
            return
        found[subject] = _not_served(subject, zone) or each.queried.unasked_answer(version_of(subject))
        if not found[subject]:
            self._asked.add(zone)
            each.queried.query(subject, self._resolver, partial(self._answered, each, subject))

    def close(self) -> None:
        """Take the answers of lists that have no further subject to wait for."""
        self._is_closed = True
        for each in self._lists:
            self._take_if_complete(each)

    def _answered(self, each: ConfiguredList, subject: Subject, answer: Answer) -> None:
        if each.setting.zone not in self._answers:  # else the answer is late
            self._found[each.setting.zone][subject] = answer
            self._take_if_complete(each)
            self._on_answer()

    def _take_if_complete(self, each: ConfiguredList) -> None:
        zone = each.setting.zone
        if self._is_closed and zone not in self._answers and None not in self._found[zone].values():
            self._take(each)

    def _take(self, each: ConfiguredList) -> None:
        """Take the answers of one list, and count them."""
        dns_list = each.setting
        found = {subject: answer or _LATE for subject, answer in self._found[dns_list.zone].items()}
        self._answers[dns_list.zone] = taken = _united(dns_list, found)
        least, most = self.bounds
        self.bounds = Bounds(least - dns_list.least + taken.weight, most - dns_list.most + taken.weight)
        self._score += taken.weight
        if dns_list.zone in self._asked:
            self._count(each, taken.answer)

    def _count(self, each: ConfiguredList, answer: Answer) -> None:
        """Count the query, even if its answer came from the cache, or if it was shared with another stranger."""
        events = [ListEvent.QUERIES]
        if not answer.is_conclusive:
            events.append(ListEvent.ERRORS)
        elif each.setting.matching_entries(answer):
            events.append(ListEvent.LISTED)
        for event in events:
            each.queried.count(list_kind(self._check, event), each.setting.name)

    @property
    def is_complete(self) -> bool:
        """Whether every list has answered."""
        return len(self._answers) == len(self._lists)

    def finding(self) -> Finding | None:
        """Return the sum of the weights so far; unknown if no list gave a conclusive answer.

        Return None if there is no conclusive answer yet, but one may still come.
        """
        answers = tuple(self._answers[zone] for each in self._lists if (zone := each.setting.zone) in self._answers)
        is_conclusive = any(each.answer.is_conclusive for each in answers)
        if not is_conclusive and not self.is_complete:
            return None
        is_known = is_conclusive or all(each.answer.meaning is Meaning.NOT_SERVED for each in answers)
        score = self._score if is_known else None
        return Finding(score, ", ".join(map(str, answers)), answers)

    def give_up(self) -> None:
        """Record an unknown answer for each list that has not answered."""
        for each in self._lists:
            if each.setting.zone not in self._answers:
                self._take(each)


def _not_served(subject: Subject, zone: str) -> Answer | None:
    """Return the answer if no list has the subject: a local address, or a domain that is too long for the zone."""
    if isinstance(subject, str):
        is_too_long = len(query_name(subject, zone)) > _LONGEST_NAME
        return Answer(Meaning.NOT_SERVED, why=f"{subject} is too long a name") if is_too_long else None
    local = describe_local(subject)
    return Answer(Meaning.NOT_SERVED, why=local) if local else None


def _united(dns_list: DnsList, found: Mapping[Subject, Answer]) -> ListAnswer:
    """Return what a list says of all subjects: it counts once, whatever number of them it lists."""
    domains = tuple(subject for subject in found if isinstance(subject, str))
    listed = tuple(domain for domain in domains if found[domain].meaning is Meaning.LISTED)
    if listed:
        codes = dict.fromkeys(code for domain in listed for code in found[domain].codes)
        return ListAnswer(dns_list, Answer(Meaning.LISTED, tuple(codes)), domains=listed)
    order = sorted(found.values(), key=lambda answer: (answer.meaning is Meaning.NOT_SERVED, answer.is_conclusive))
    return ListAnswer(dns_list, order[0] if order else _NO_DOMAIN, domains=domains)


async def add_explanations(finding: Finding, address: Address, resolver: Resolver, within: timedelta) -> Finding:
    """Add the explanations of the lists that list the client (TXT, RFC 5782 2.1), as far as they arrive in time."""

    async def with_explanation(each: ListAnswer) -> ListAnswer:
        if each.answer.meaning is not Meaning.LISTED:
            return each
        subject = each.domains[0] if each.domains else address
        with contextlib.suppress(ResolverError, TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                records = await asyncio.shield(resolver.resolve(query_name(subject, each.dns_list.zone), "TXT"))
                texts = [record.data for record in records if isinstance(record.data, bytes)]
                return each._replace(text=shortened(b" ".join(texts).decode(errors="backslashreplace")))
        return each

    return finding._replace(answers=tuple(await asyncio.gather(*map(with_explanation, finding.answers))))
