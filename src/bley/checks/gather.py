"""All checks of one request, asked at once, under one deadline."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from bley.checks.dnsl import check_dns_lists
from bley.checks.dynamic import check_dynamic
from bley.checks.helo import check_helo
from bley.core.dnslists import DnsList
from bley.core.errors import ResolverError
from bley.core.evidence import Check, Evidence, Finding
from bley.core.mail import Address, Request
from bley.core.policy import Thresholds, settled, spf_can_tip
from bley.ports import Resolver

__all__ = ["Checks"]


class _Spf(Protocol):
    async def check(self, request: Request, address: Address) -> Finding: ...


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks as they are configured; without `spf`, SPF is not asked."""

    resolver: Resolver
    dnswls: tuple[DnsList, ...]
    dnsbls: tuple[DnsList, ...]
    spf: _Spf | None
    thresholds: Thresholds
    timeout: timedelta

    async def gather(self, request: Request, address: Address) -> Evidence:
        """All findings, as soon as no missing one can change the judgement, at the latest after `timeout`.

        What is late or failed is unknown. What was not needed is not in the evidence.
        """
        evidence = check_request(request, address)
        async with _tasks(self._questions(request, address, evidence)) as tasks:
            while not settled(evidence, tasks.values(), self.thresholds):
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                evidence |= {tasks.pop(task): task.result() for task in done}
        return {check: evidence[check] for check in Check if check in evidence}

    def _questions(self, request: Request, address: Address, evidence: Evidence) -> dict[Check, Awaitable[Finding]]:
        """What has to be asked of the DNS, SPF only where it could tip the judgement."""
        questions: dict[Check, Awaitable[Finding]] = {}
        if self.dnswls:
            questions[Check.DNSWL] = check_dns_lists(address, self.dnswls, self.resolver, self.timeout)
        if self.dnsbls:
            questions[Check.DNSBL] = check_dns_lists(address, self.dnsbls, self.resolver, self.timeout)
        if self.spf and spf_can_tip(evidence, self.thresholds):
            questions[Check.SPF] = self._check_spf(self.spf, request, address)
        return questions

    async def _check_spf(self, spf: _Spf, request: Request, address: Address) -> Finding:
        try:
            async with asyncio.timeout(self.timeout.total_seconds()):
                return await spf.check(request, address)
        except ResolverError as error:
            return Finding(None, str(error))
        except TimeoutError:
            return Finding(None, "no answer in time")


def check_request(request: Request, address: Address) -> dict[Check, Finding]:
    """What the request itself tells, without asking anybody."""
    is_own = bool(request.sender) and request.sender.casefold() == request.recipient.casefold()
    return {
        Check.HELO: check_helo(request, address),
        Check.DYNAMIC: check_dynamic(request.verified_name, address),
        Check.SENDER_IS_RECIPIENT: Finding(int(is_own), "sender is recipient" if is_own else "sender is another"),
    }


@contextlib.asynccontextmanager
async def _tasks(questions: dict[Check, Awaitable[Finding]]) -> AsyncIterator[dict[asyncio.Future[Finding], Check]]:
    """The questions on their way, each in a task; those still open at the end are given up."""
    tasks: dict[asyncio.Future[Finding], Check] = {}
    for check, question in questions.items():
        tasks[asyncio.ensure_future(question)] = check
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
