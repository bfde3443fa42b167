"""May this client send for this sender's domain? (RFC 7208)

pyspf judges, in a thread; every look-up it makes goes through our resolver on the event loop.
A domain without an SPF record, the common case, is seen by one look-up without a thread.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookupTimeoutError
from contextvars import ContextVar
from datetime import timedelta
from typing import cast

import spf

from bley.checks.spf_scope import SPF_RECORD, Scope, SpfTrail, network_of
from bley.core.errors import ResolverError
from bley.core.evidence import Fact, Finding
from bley.core.mail import Address, Request
from bley.core.scores import found
from bley.ports import Resolver, ResourceRecord, RrType

__all__ = ["SpfChecker"]

_THREADS = 8
_FACT = {"fail": Fact.SPF_FAIL, "softfail": Fact.SPF_FAIL}
_RESULTS = 20_000
"""Some 0.5 KB each: 10 MB."""

Answers = list[tuple[tuple[str, str], object]]
"""As pyspf wants them: ((name, type), value); a TXT value is a sequence of byte strings."""

_lookup: ContextVar[Callable[[str, RrType], Answers]] = ContextVar("_lookup")


def _look_up_for_pyspf(name: str, rrtype: RrType, _strict: object = True, _timeout: float = 0) -> Answers:
    return _lookup.get()(name, rrtype)


spf.DNSLookup = _look_up_for_pyspf  # pyspf has no other way to be given a resolver


class SpfChecker:
    """Checks SPF with a pool of threads, each for at most `timeout`; `best_guess` judges domains without a record.

    Results are kept as long as all records involved, at most an hour, at most `_RESULTS` of them.
    """

    def __init__(self, resolver: Resolver, timeout: timedelta, *, best_guess: bool) -> None:
        self._resolver, self._timeout, self._best_guess = resolver, timeout, best_guess
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="spf")
        self._results: OrderedDict[tuple[str, object], tuple[float, Finding]] = OrderedDict()

    async def check(self, request: Request, address: Address) -> Finding:
        """What SPF says of MAIL FROM, of HELO for the null sender: nothing for pass, unknown on temperror."""
        domain = (request.sender.rpartition("@")[2] if request.sender else request.helo_name).lower()
        loop = asyncio.get_running_loop()
        if finding := self._kept(domain, address, loop.time()):
            return finding
        if not self._best_guess and not await self._has_record(domain):
            return found(Fact.SPF_NO_PASS, f"none: {domain or 'the empty name'} has no SPF record")
        judge = _Evaluation(self._resolver, loop, address, loop.time() + self._timeout.total_seconds())
        try:
            result, explanation = await loop.run_in_executor(self._threads, judge.run, request, self._best_guess)
        finally:
            judge.give_up()  # where nobody waits any more, its thread is free at once
        if result == "temperror":
            return Finding(None, f"{result}: {explanation}")
        detail = f"{result}: {explanation}".rstrip(": ") + f" ({domain})"
        finding = Finding(0, detail) if result == "pass" else found(_FACT.get(result, Fact.SPF_NO_PASS), detail)
        self._keep(domain, judge.trail, address, finding, loop.time())
        return finding

    async def _has_record(self, domain: str) -> bool:
        if not domain or domain.startswith("["):
            return False
        records = await asyncio.shield(self._resolver.resolve(domain, "TXT"))
        return any(isinstance(record.data, bytes) and SPF_RECORD.match(record.data) for record in records)

    def _kept(self, domain: str, address: Address, now: float) -> Finding | None:
        """A result that still holds for the client, by its address or its network."""
        for client in (address, network_of(address)):
            expires, finding = self._results.get((domain, client), (now, None))
            if now < expires:
                return finding
        return None

    def _keep(self, domain: str, trail: SpfTrail, address: Address, finding: Finding, now: float) -> None:
        if trail.scope is Scope.REQUEST:
            return
        client = address if trail.scope is Scope.ADDRESS else network_of(address)
        self._results.pop((domain, client), None)
        self._results[domain, client] = now + trail.seconds, finding
        if len(self._results) > _RESULTS:
            self._results.popitem(last=False)

    def close(self) -> None:
        """Let go of the threads; those at work end by themselves within the time-out."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Evaluation:
    """One evaluation by pyspf, in a thread; it ends at `deadline`, by the loop's clock."""

    def __init__(self, resolver: Resolver, loop: asyncio.AbstractEventLoop, address: Address, deadline: float) -> None:
        self._resolver, self._loop, self._address, self._deadline = resolver, loop, address, deadline
        self.trail = SpfTrail(address)
        self._asked: Future[Sequence[ResourceRecord]] | None = None

    def give_up(self) -> None:
        """End it: the look-up on its way, and all that would follow, fail."""
        self._deadline = 0.0
        if self._asked:
            self._asked.cancel()

    def run(self, request: Request, best_guess: bool) -> tuple[str, str]:
        """pyspf's result and explanation."""
        _lookup.set(self._look_up)
        seconds = max(self._deadline - self._loop.time(), 0)
        query = spf.query(str(self._address), request.sender, request.helo_name, querytime=seconds)
        if request.sender:
            # pyspf splits at the first @, mail at the last: "x@y"@example.com is example.com's.
            local, _, query.o = request.sender.rpartition("@")
            query.l, query.d = local or "postmaster", query.o
        try:
            result, _, explanation = query.check()
            if result == "none" and best_guess:
                result, _, explanation = query.best_guess()
                self.trail.narrow(Scope.ADDRESS)
                explanation = f"best guess, {explanation}"
        except Exception as error:  # noqa: BLE001 (pyspf's own, by a record that it did not foresee: the record is wrong)
            return "permerror", f"pyspf: {error!r}"
        return cast(str, result), cast(str, explanation)

    def _look_up(self, name: str, rrtype: RrType) -> Answers:
        asked = self._asked = asyncio.run_coroutine_threadsafe(self._resolve(name, rrtype), self._loop)
        try:
            records = asked.result(max(self._deadline - self._loop.time(), 0))
        except (ResolverError, LookupTimeoutError, CancelledError) as error:
            asked.cancel()
            raise spf.TempError(f"DNS {str(error) or 'took too long'}") from error
        self.trail.saw(rrtype, records)
        return [_for_pyspf(record) for record in records]

    async def _resolve(self, name: str, rrtype: RrType) -> Sequence[ResourceRecord]:
        return await asyncio.shield(self._resolver.resolve(name, rrtype))


def _for_pyspf(record: ResourceRecord) -> tuple[tuple[str, str], object]:
    value = (record.data,) if isinstance(record.data, bytes) else record.data
    return (record.name.rstrip(".").lower(), record.rrtype), value
