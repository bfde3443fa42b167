"""The check of DNS allowlists and blocklists (RFC 5782)."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from bley.checks.lists.queried_list import QueriedList
from bley.core.address_scope import describe_local
from bley.core.dnslists.lists import Answer, DnsList, ListAnswer, Meaning, query_name
from bley.core.errors import ResolverError
from bley.core.evidence import Finding, shortened
from bley.core.findings import Check
from bley.core.history.list_counts import ListEvent, list_kind
from bley.core.mail import Address
from bley.core.policy import Bounds
from bley.ports import Resolver

__all__ = ["ConfiguredList", "ListQueries", "add_explanations"]


@dataclass(frozen=True, slots=True)
class ConfiguredList:
    """A list with the weights of one setting, and the queries that all settings share."""

    setting: DnsList
    queried: QueriedList


class ListQueries:
    """The queries of all lists of one setting about one client. `on_answer` is called after each answer, later."""

    def __init__(
        self,
        check: Check,
        lists: Sequence[ConfiguredList],
        address: Address,
        resolver: Resolver,
        on_answer: Callable[[], object],
    ) -> None:
        self._check, self._lists, self._on_answer = check, lists, on_answer
        self._answers: dict[str, ListAnswer] = {}
        self._score = 0
        self.bounds = Bounds(sum(each.setting.least for each in lists), sum(each.setting.most for each in lists))
        """The least and the most that the answers can sum up to."""
        local = describe_local(address)
        not_asked = Answer(Meaning.NOT_SERVED, why=local) if local else None
        for each in lists:
            if answer := not_asked or each.queried.unasked_answer(address.version):
                self._take(each.setting, answer)
            else:
                each.queried.query(address, resolver, partial(self._answered, each))

    def _answered(self, each: ConfiguredList, answer: Answer) -> None:
        if each.setting.zone not in self._answers:  # else the answer is late
            self._take(each.setting, answer)
            self._count(each, answer)
            self._on_answer()

    def _count(self, each: ConfiguredList, answer: Answer) -> None:
        """Count the query, even if its answer came from the cache, or if it was shared with another stranger."""
        events = [ListEvent.QUERIES]
        if not answer.is_conclusive:
            events.append(ListEvent.ERRORS)
        elif each.setting.matching_entries(answer):
            events.append(ListEvent.LISTED)
        for event in events:
            each.queried.count(list_kind(self._check, event), each.setting.name)

    def _take(self, dns_list: DnsList, answer: Answer) -> None:
        weight = dns_list.weight(answer)
        least, most = self.bounds
        self.bounds = Bounds(least - dns_list.least + weight, most - dns_list.most + weight)
        self._score += weight
        self._answers[dns_list.zone] = ListAnswer(dns_list, answer)

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
                late = Answer(Meaning.SILENT, why="no answer in time")
                self._take(each.setting, late)
                self._count(each, late)


async def add_explanations(finding: Finding, address: Address, resolver: Resolver, within: timedelta) -> Finding:
    """Add the explanations of the lists that list the client (TXT, RFC 5782 2.1), as far as they arrive in time."""

    async def with_explanation(each: ListAnswer) -> ListAnswer:
        if each.answer.meaning is not Meaning.LISTED:
            return each
        with contextlib.suppress(ResolverError, TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                records = await asyncio.shield(resolver.resolve(query_name(address, each.dns_list.zone), "TXT"))
                texts = [record.data for record in records if isinstance(record.data, bytes)]
                return each._replace(text=shortened(b" ".join(texts).decode(errors="backslashreplace")))
        return each

    return finding._replace(answers=tuple(await asyncio.gather(*map(with_explanation, finding.answers))))
