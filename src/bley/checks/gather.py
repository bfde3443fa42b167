"""All checks of one request, run at the same time under one deadline."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from bley.checks.dns_lists import ConfiguredList, ListQueries, add_explanations
from bley.checks.helo import OwnIdentity
from bley.checks.request import check_request
from bley.core.errors import ResolverError
from bley.core.evidence import Evidence, Finding, Gathered
from bley.core.findings import LOG_FIELDS, AnyCheck, Check
from bley.core.mail import Address, Request
from bley.core.policy import Thresholds, settled, spf_can_tip
from bley.core.scores import DEFAULT, Scores
from bley.metrics import FINDINGS, UNKNOWN_FINDINGS
from bley.ports import Resolver

__all__ = ["Checks"]

_NO_IDENTITY = OwnIdentity()
_LATE = "no answer in time"


class _Spf(Protocol):
    async def check(self, request: Request, address: Address) -> Finding: ...


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks as they are configured; without `spf`, there is no SPF check."""

    resolver: Resolver
    dnswls: Sequence[ConfiguredList]
    dnsbls: Sequence[ConfiguredList]
    spf: _Spf | None
    thresholds: Thresholds
    timeout: timedelta
    scores: Scores = DEFAULT
    us: OwnIdentity = _NO_IDENTITY
    sender_spf: _Spf | None = None
    """SPF for senders that are exempt only if it passes, with or without `spf`."""
    known_spf: Finding | None = None
    """The result of SPF, if `check_spf` found it before."""
    is_thorough: bool = False
    """Wait for every answer, even if none can change the judgement, in order to explain it."""

    async def gather(self, request: Request, address: Address) -> Gathered:
        """Return the findings once no missing one can change the judgement, at the latest after `timeout`.

        A finding that is late or failed is unknown. One that was not needed is left out.
        """
        evidence = check_request(request, address, self.us, self.scores)
        asks_spf = self.spf is not None and spf_can_tip(evidence, self.thresholds, self.scores)
        if asks_spf or self.dnswls or self.dnsbls:
            evidence |= await _Gathering(self, request, address, asks_spf=asks_spf).findings()
        if self.known_spf:
            evidence.setdefault(Check.SPF, self.known_spf)
        for check, finding in evidence.items():
            if finding.score is None:
                UNKNOWN_FINDINGS[check].inc()
            elif finding.kind:
                FINDINGS[finding.kind].inc()
        return Gathered(request, {check: evidence[check] for check in LOG_FIELDS if check in evidence})

    async def check_spf(self, request: Request, address: Address) -> "tuple[Finding, Checks]":
        """Return the result of SPF alone, and the checks for the rest of `timeout`, which know it.

        It is unknown if it is late or failed, and for a sender that is not checked.
        """
        loop = asyncio.get_running_loop()
        started, finding = loop.time(), Finding(None, _LATE)
        if self.sender_spf:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.timeout.total_seconds()):
                    finding = await _check_spf(self.sender_spf, request, address, self.scores)
        left = max(self.timeout - timedelta(seconds=loop.time() - started), timedelta(0))
        known = finding if self.spf or finding.score is None else finding._replace(score=0, kind=None)
        spf = None if self.spf is self.sender_spf else self.spf
        return finding, replace(self, spf=spf, known_spf=known, timeout=left)

    async def explain(self, evidence: Evidence, address: Address) -> Evidence:
        """Add the explanations of the DNS lists that list the client."""
        checks = [check for check, finding in evidence.items() if finding.answers]
        findings = await asyncio.gather(
            *(add_explanations(evidence[check], address, self.resolver, self.timeout) for check in checks)
        )
        return {**evidence, **dict(zip(checks, findings, strict=True))}


class _Gathering:
    """The DNS queries for one request. They start at construction."""

    def __init__(self, checks: Checks, request: Request, address: Address, *, asks_spf: bool) -> None:
        self._thresholds, self._timeout, self._is_thorough = checks.thresholds, checks.timeout, checks.is_thorough
        loop = self._loop = asyncio.get_running_loop()
        self._is_settled: asyncio.Future[None] = loop.create_future()
        lists = {Check.DNSBL: checks.dnsbls, Check.DNSWL: checks.dnswls}
        self._queries = {
            check: ListQueries(of_check, address, checks.resolver, self._check_if_settled)
            for check, of_check in lists.items()
            if of_check
        }
        self._is_late = False
        self._spf: asyncio.Task[Finding] | None = None
        if checks.spf and asks_spf:
            self._spf = loop.create_task(_check_spf(checks.spf, request, address, checks.scores))
            self._spf.add_done_callback(self._check_if_settled)
        self._check_if_settled()

    def _check_if_settled(self, _: object = None) -> None:
        """End the wait if no missing answer can change the judgement."""
        if not self._is_settled.done() and (self._is_complete() or (not self._is_thorough and self._is_decided())):
            self._is_settled.set_result(None)

    def _is_complete(self) -> bool:
        return not self._awaits_spf() and all(queries.is_complete for queries in self._queries.values())

    def _is_decided(self) -> bool:
        bounds = {check: queries.bounds for check, queries in self._queries.items()}
        return settled(
            bounds.get(Check.DNSWL), bounds.get(Check.DNSBL), self._thresholds, awaits_spf=self._awaits_spf()
        )

    def _awaits_spf(self) -> bool:
        return self._spf is not None and not self._spf.done()

    async def findings(self) -> dict[AnyCheck, Finding]:
        """Wait until the judgement is settled or the time is up. Return the findings so far."""
        found: dict[AnyCheck, Finding] = {}
        time_is_up = self._loop.call_later(self._timeout.total_seconds(), self._give_up)
        try:
            await self._is_settled
        finally:
            time_is_up.cancel()
            if self._spf and not self._spf.done():
                self._spf.cancel()
                await asyncio.wait([self._spf])
        for check, queries in self._queries.items():
            if finding := queries.finding():
                found[check] = finding
        if self._spf and not self._spf.cancelled():
            found[Check.SPF] = self._spf.result()
        elif self._spf and self._is_late:
            found[Check.SPF] = Finding(None, _LATE)
        return found

    def _give_up(self) -> None:
        self._is_late = True
        for queries in self._queries.values():
            queries.give_up()
        if not self._is_settled.done():
            self._is_settled.set_result(None)


async def _check_spf(spf: _Spf, request: Request, address: Address, scores: Scores) -> Finding:
    try:
        return scores.counted(await spf.check(request, address))
    except ResolverError as error:
        return Finding(None, str(error))
