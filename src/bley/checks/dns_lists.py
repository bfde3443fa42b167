"""What the DNS allowlists and blocklists say of a client (RFC 5782)."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from bley.checks.lists.queried_list import QueriedList
from bley.core.dnslists.lists import Answer, DnsList, ListAnswer, Meaning, query_name
from bley.core.errors import ResolverError
from bley.core.evidence import Finding, shortened
from bley.core.mail import Address
from bley.core.policy import Bounds
from bley.ports import Resolver

__all__ = ["ConfiguredList", "ListQueries", "explained"]


@dataclass(frozen=True, slots=True)
class ConfiguredList:
    """A list as a setting has it, which says what an answer counts, and as it is queried for all settings."""

    setting: DnsList
    queried: QueriedList


class ListQueries:
    """The lists of one setting, all asked at once about one client; `then` is called after each answer, later."""

    def __init__(
        self, lists: Sequence[ConfiguredList], address: Address, resolver: Resolver, then: Callable[[], object]
    ) -> None:
        self._lists, self._then = lists, then
        self._answers: dict[str, ListAnswer] = {}
        self.bounds = Bounds(sum(asked.setting.least for asked in lists), sum(asked.setting.most for asked in lists))
        for asked in lists:
            if instead := asked.queried.unasked_answer(address.version):
                self._take(asked.setting, instead)
            else:
                asked.queried.query(address, resolver, partial(self._answered, asked.setting))

    def _answered(self, dns_list: DnsList, answer: Answer) -> None:
        if dns_list.zone not in self._answers:  # else it comes too late
            self._take(dns_list, answer)
            self._then()

    def _take(self, dns_list: DnsList, answer: Answer) -> None:
        weight = dns_list.weight(answer)
        least, most = self.bounds
        self.bounds = Bounds(least - dns_list.least + weight, most - dns_list.most + weight)
        self._answers[dns_list.zone] = ListAnswer(dns_list, answer)

    @property
    def is_complete(self) -> bool:
        """Whether every list has answered."""
        return len(self._answers) == len(self._lists)

    def finding(self) -> Finding | None:
        """The summed weight of the lists that named the client; unknown when none could tell.

        What has not answered yet is not in it; None when that is all that could tell.
        """
        answers = tuple(
            self._answers[asked.setting.zone] for asked in self._lists if asked.setting.zone in self._answers
        )
        tells = any(each.answer.is_conclusive for each in answers)
        if not tells and not self.is_complete:
            return None
        is_known = tells or all(each.answer.meaning is Meaning.NOT_SERVED for each in answers)
        score = sum(each.weight for each in answers) if is_known else None
        return Finding(score, ", ".join(map(str, answers)), answers)

    def give_up(self) -> None:
        """Take what has not answered yet as unknown."""
        for asked in self._lists:
            if asked.setting.zone not in self._answers:
                self._take(asked.setting, Answer(Meaning.SILENT, why="no answer in time"))


async def explained(finding: Finding, address: Address, resolver: Resolver, within: timedelta) -> Finding:
    """The same finding with the lists' own words (TXT, RFC 5782 2.1) why they name the client, as far as they come."""

    async def with_text(each: ListAnswer) -> ListAnswer:
        if each.answer.meaning is not Meaning.LISTED:
            return each
        with contextlib.suppress(ResolverError, TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                records = await asyncio.shield(resolver.resolve(query_name(address, each.dns_list.zone), "TXT"))
                texts = [record.data for record in records if isinstance(record.data, bytes)]
                return each._replace(text=shortened(b" ".join(texts).decode(errors="backslashreplace")))
        return each

    return finding._replace(answers=tuple(await asyncio.gather(*map(with_text, finding.answers))))
