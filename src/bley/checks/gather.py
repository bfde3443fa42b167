"""All checks of one request, run at the same time under one deadline."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple, Protocol, Self

from bley.checks.dns_lists import ConfiguredList, ListQueries, add_explanations
from bley.checks.helo import OwnIdentity
from bley.checks.names import NOT_QUERIED, SILENT, ClientNames, NameQueries
from bley.checks.queried_domains import queried_domains
from bley.checks.request import check_request
from bley.core.address_scope import describe_local, local_scope
from bley.core.errors import ResolverError
from bley.core.evidence import Evidence, Finding, is_listed
from bley.core.findings import LOG_FIELDS, AnyCheck, Check
from bley.core.greylist import Status
from bley.core.mail import Address, Request
from bley.core.policy import Bounds, Thresholds, decisive_lists, judge, settled, spf_can_tip
from bley.core.scores import DEFAULT, Scores
from bley.metrics import FINDINGS, UNKNOWN_FINDINGS, VERIFIED_NAMES
from bley.ports import CachedResolver

__all__ = ["Checks", "Gathered"]

_NO_IDENTITY = OwnIdentity()
_LATE = "no answer in time"
_LISTS = (Check.DNSWL, Check.DNSBL, Check.DOMAIN_LIST)


class _Spf(Protocol):
    def start(self, request: Request, address: Address) -> asyncio.Future[Finding]: ...


class Gathered(NamedTuple):
    """A request with the evidence about it. The request has the client's name if the checks verified one."""

    request: Request
    evidence: Evidence
    whole: asyncio.Future[Evidence] | None = None
    """The evidence with the missing answers, once they are there or late; None if it makes no difference.

    They cannot change the judgement, but show whether a DNS list has decided it alone.
    """

    def cancel_rest(self) -> None:
        """End the queries for the missing answers."""
        if self.whole:
            self.whole.cancel()


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks as they are configured; without `spf`, there is no SPF check."""

    resolver: CachedResolver
    dnswls: Sequence[ConfiguredList]
    dnsbls: Sequence[ConfiguredList]
    spf: _Spf | None
    thresholds: Thresholds
    timeout: timedelta
    scores: Scores = DEFAULT
    us: OwnIdentity = _NO_IDENTITY
    sender_spf: _Spf | None = None
    """SPF for senders that are exempt only if it passes, with or without `spf`."""
    domain_lists: Sequence[ConfiguredList] = ()
    known_spf: Finding | None = None
    """The result of SPF, if `check_spf` found it before."""
    queries_names: bool = False
    """Query the names of clients for which the mail server found none."""
    is_thorough: bool = False
    """Wait for every answer, even if none can change the judgement, in order to explain it."""

    async def gather(self, request: Request, address: Address) -> Gathered:
        """Return the findings once no missing one can change the judgement, at the latest after `timeout`.

        A finding that is late or failed is unknown. One that was not needed is left out. If the client has a name that
        only the checks found, the request that is returned has it, and the findings are about that request.
        """
        gathered = await _Gathering(self, request, address).result()
        if gathered.request is not request:
            VERIFIED_NAMES.inc()
        for check, finding in gathered.evidence.items():
            if finding.score is None:
                UNKNOWN_FINDINGS[check].inc()
            elif finding.kind:
                FINDINGS[finding.kind].inc()
        return gathered

    async def check_spf(self, request: Request, address: Address) -> "tuple[Finding, Checks]":
        """Return the result of SPF alone, and the checks for the rest of `timeout`, which know it.

        It is unknown if it is late or failed, and for a sender that is not checked.
        """
        started, finding = asyncio.get_running_loop().time(), Finding(None, _LATE)
        if local := describe_local(address):
            finding = Finding(None, f"not queried: {local}")
        elif self.sender_spf:
            checked = self.sender_spf.start(request, address)
            try:
                await asyncio.wait([checked], timeout=self.timeout.total_seconds())
                finding = _spf_finding(checked, self.scores) if checked.done() else finding
            finally:
                checked.cancel()
        known = finding if self.spf or finding.score is None else finding._replace(score=0, kind=None)
        spf = None if self.spf is self.sender_spf else self.spf
        return finding, replace(self, spf=spf, known_spf=known, timeout=self._left(started))

    async def check_domains(self, request: Request, address: Address) -> "tuple[bool, Checks]":
        """Return whether the domain lists alone would delay the mail, and the checks for the rest of `timeout`."""
        if not self.domain_lists:
            return False, self
        started = asyncio.get_running_loop().time()
        lists_only = replace(self, dnswls=(), dnsbls=(), spf=None, queries_names=False)
        gathered = await _Gathering(lists_only, request, address).result()
        gathered.cancel_rest()
        is_listed = (gathered.evidence[Check.DOMAIN_LIST].score or 0) >= self.thresholds.dnsbl_threshold
        return is_listed, replace(self, timeout=self._left(started))

    def _left(self, started: float) -> timedelta:
        """Return the rest of `timeout` since this instant of the loop."""
        return max(self.timeout - timedelta(seconds=asyncio.get_running_loop().time() - started), timedelta(0))

    async def explain(self, evidence: Evidence, address: Address) -> Evidence:
        """Add the explanations of the DNS lists that list the client."""
        checks = [check for check, finding in evidence.items() if finding.answers]
        findings = await asyncio.gather(
            *(add_explanations(evidence[check], address, self.resolver, self.timeout) for check in checks)
        )
        return {**evidence, **dict(zip(checks, findings, strict=True))}

    def judging_by(self, thresholds: Thresholds, scores: Scores) -> Self:
        """Return these checks with other thresholds and scores."""
        return replace(self, thresholds=thresholds, scores=scores)


class _Gathering:
    """The DNS queries for one request. They start at construction, that of SPF once the client's names are known."""

    def __init__(self, checks: Checks, request: Request, address: Address) -> None:
        self._checks, self._request, self._address = checks, request, address
        self._wake: asyncio.Future[None] | None = None
        """The next event that `_wait` waits for; None before it waits."""
        self._whole: asyncio.Future[Evidence] | None = None
        """The evidence with the answers that come after the judgement; None if they are not needed, or not yet."""
        self._time_is_up: asyncio.TimerHandle | None = None
        self._is_late = self._is_over = False
        self._spf: asyncio.Future[Finding] | None = None
        self._lists: dict[Check, ListQueries] = {}
        for check, lists in ((Check.DNSBL, checks.dnsbls), (Check.DNSWL, checks.dnswls)):
            if lists:
                self._lists[check] = queries = ListQueries(check, lists, checks.resolver, self._look)
                queries.query([address])
                queries.close()
        if checks.domain_lists:
            queries = ListQueries(Check.DOMAIN_LIST, checks.domain_lists, checks.resolver, self._look)
            queries.query(queried_domains(request))  # closed in _take_names, which may add a domain
            self._lists[Check.DOMAIN_LIST] = queries
        self._found: dict[AnyCheck, Finding] = {}
        """The findings about the request itself; none until the client's names are known."""
        self._names: NameQueries | None = None
        if request.verified_name or not checks.queries_names:
            is_unknown = not request.verified_name and checks.resolver.is_silent
            self._take_names(SILENT if is_unknown else NOT_QUERIED)
        else:
            self._names = NameQueries(request, address, checks.resolver, self._look)

    def _take_names(self, names: ClientNames) -> None:
        """Check the request by the client's names, and start the query for SPF if it can change the judgement."""
        checks = self._checks
        if names.verified:
            self._request = self._request._replace(client_name=names.verified)
        self._found = check_request(self._request, self._address, checks.us, checks.scores, names)
        if checks.spf and not local_scope(self._address) and spf_can_tip(self._found, checks.thresholds, checks.scores):
            if self._is_late:
                self._found[Check.SPF] = Finding(None, _LATE)
            else:
                self._spf = checks.spf.start(self._request, self._address)
                if not self._spf.done():
                    self._spf.add_done_callback(self._look)
        if domains := self._lists.get(Check.DOMAIN_LIST):
            domains.query(queried_domains(self._request))  # an answer from a cache calls `_look`: all else is ready
            domains.close()

    def _look(self, _: object = None) -> None:
        """Wake `_wait` if an answer makes the client's names complete, or settles the judgement; later, complete it."""
        if self._whole:
            if not self._whole.done():
                self._complete(self._whole)
        elif self._wake and not self._wake.done():
            self._is_over = self._is_late or self._may_end()
            if self._is_over or self._has_new_names():
                self._wake.set_result(None)

    def _has_new_names(self) -> bool:
        return self._names is not None and not self._found and (self._names.is_complete or self._is_late)

    def _may_end(self) -> bool:
        """Return whether no missing answer can change the judgement or its reason."""
        awaits_names, awaits_spf = not self._found, self._spf is not None and not self._spf.done()
        if self._are_lists_complete and not (awaits_names or awaits_spf):
            return True
        if self._checks.is_thorough:
            return False
        dnswl, dnsbl, domains = map(self._bounds, _LISTS)
        return settled(
            dnswl, dnsbl, self._checks.thresholds, domains=domains, awaits_names=awaits_names, awaits_spf=awaits_spf
        )

    def _bounds(self, check: Check) -> Bounds | None:
        queries = self._lists.get(check)
        return queries.bounds if queries else None

    @property
    def _is_complete(self) -> bool:
        """Whether no answer is missing."""
        awaits_spf = self._spf is not None and not self._spf.done()
        return bool(self._found) and not awaits_spf and self._are_lists_complete

    @property
    def _are_lists_complete(self) -> bool:
        return all(queries.is_complete for queries in self._lists.values())

    async def result(self) -> Gathered:
        """Wait until the judgement is settled or the time is up. Return the findings so far."""
        whole = None
        try:
            if (self._lists or self._spf or self._names) and not self._may_end():
                await self._wait()
            evidence = self._evidence()
            if self._lists and self._may_be_decisive(evidence):
                whole = self._await_rest()
        finally:
            if whole is None:
                self._end()
        return Gathered(self._request, evidence, whole)

    def _evidence(self) -> Evidence:
        """Return the findings so far, in the log's order. An error of the SPF check is raised here."""
        found = dict(self._found) or self._found_without_names()
        for check, queries in self._lists.items():
            if finding := queries.finding():
                found[check] = finding
        if self._spf and self._spf.done() and not self._spf.cancelled():
            found[Check.SPF] = _spf_finding(self._spf, self._checks.scores)
        elif self._spf and self._is_late:
            found[Check.SPF] = Finding(None, _LATE)
        if self._checks.known_spf:
            found.setdefault(Check.SPF, self._checks.known_spf)
        return {check: found[check] for check in LOG_FIELDS if check in found}

    def _may_be_decisive(self, evidence: Evidence) -> bool:
        """Return whether the missing answers may show that a DNS list has decided alone, or that none has."""
        if self._is_late or self._is_complete or not is_listed(evidence):
            return False
        thresholds = self._checks.thresholds
        if self._are_lists_complete and judge(evidence, thresholds).status is Status.GREYLISTED:
            return bool(decisive_lists(evidence, thresholds))  # the rest, names and SPF, only adds to a deferral
        return True

    async def _wait(self) -> None:
        """Wait, and take the client's names once they are complete."""
        self._start_timer()
        self._advance()  # answers from the cache came before there was anything to wake
        while not self._is_over:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
            self._advance()

    def _advance(self) -> None:
        """Take the client's names if they are complete, and find out whether the wait is over."""
        if self._names and self._has_new_names():
            self._take_names(self._names.names)
        self._is_over = self._is_late or self._may_end()

    def _start_timer(self) -> None:
        if not self._time_is_up:
            seconds = self._checks.timeout.total_seconds()
            self._time_is_up = asyncio.get_running_loop().call_later(seconds, self._give_up)

    def _await_rest(self) -> asyncio.Future[Evidence]:
        """Return the evidence to come, with the missing answers. The client's names may be in a cache already."""
        self._whole = whole = asyncio.get_running_loop().create_future()
        whole.add_done_callback(lambda _: self._end())
        self._start_timer()
        self._complete(whole)
        return whole

    def _complete(self, whole: asyncio.Future[Evidence]) -> None:
        """Take the client's names once they are complete, and give `whole` its result once no answer is missing."""
        try:
            if self._names and self._has_new_names():
                self._take_names(self._names.names)
            if self._is_late or self._is_complete:
                whole.set_result(self._evidence())
        except Exception as error:  # noqa: BLE001 (an error of a check is that of the future)
            whole.set_exception(error)

    def _give_up(self) -> None:
        self._is_late = True
        for queries in self._lists.values():
            queries.give_up()
        self._look()

    def _end(self) -> None:
        """Cancel what is still running."""
        if self._time_is_up:
            self._time_is_up.cancel()
        if self._names:
            self._names.give_up()
        if self._spf:
            self._spf.cancel()

    def _found_without_names(self) -> dict[AnyCheck, Finding]:
        """Return the findings that need no name of the client, since an allowlist decides."""
        checks, names = self._checks, ClientNames(Finding(None, "not needed"))
        findings = check_request(self._request, self._address, checks.us, checks.scores, names)
        return {check: finding for check, finding in findings.items() if finding.score is not None}


def _spf_finding(checked: asyncio.Future[Finding], scores: Scores) -> Finding:
    """Return the finding of an SPF check that has ended. A bug of the check is raised here."""
    error = checked.exception()
    return Finding(None, str(error)) if isinstance(error, ResolverError) else scores.counted(checked.result())
