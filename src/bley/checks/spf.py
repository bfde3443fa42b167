"""May this client send for this sender's domain? (RFC 7208)

pyspf judges, in a thread; every look-up it makes goes through our resolver on the event loop.
A domain without an SPF record, the common case, is seen by one look-up without a thread.
"""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookupTimeoutError
from contextvars import ContextVar
from datetime import timedelta
from typing import cast

import spf

from bley.core.errors import ResolverError
from bley.core.evidence import Finding
from bley.core.mail import Address, Request
from bley.ports import Resolver, ResourceRecord, RrType

__all__ = ["SpfChecker"]

_THREADS = 8
_SUSPICIOUS = ("fail", "softfail")
_SPF_RECORD = re.compile(rb"v=spf1( |$)", re.IGNORECASE)

Answers = list[tuple[tuple[str, str], object]]
"""As pyspf wants them: ((name, type), value); a TXT value is a sequence of byte strings."""

_lookup: ContextVar[Callable[[str, RrType], Answers]] = ContextVar("_lookup")


def _look_up_for_pyspf(name: str, rrtype: RrType, _strict: object = True, _timeout: float = 0) -> Answers:
    return _lookup.get()(name, rrtype)


spf.DNSLookup = _look_up_for_pyspf  # pyspf has no other way to be given a resolver


class SpfChecker:
    """Checks SPF with a pool of threads, each for at most `timeout`; `best_guess` judges domains without a record."""

    def __init__(self, resolver: Resolver, timeout: timedelta, *, best_guess: bool) -> None:
        self._resolver, self._timeout, self._best_guess = resolver, timeout, best_guess
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="spf")

    async def check(self, request: Request, address: Address) -> Finding:
        """Score 1 for fail and softfail of MAIL FROM (of HELO for the null sender), else 0; unknown on temperror."""
        domain = request.sender.rpartition("@")[2] if request.sender else request.helo_name
        if not self._best_guess and not await self._has_record(domain):
            return Finding(0, f"none: {domain or 'the empty name'} has no SPF record")
        loop = asyncio.get_running_loop()
        result, explanation = await loop.run_in_executor(self._threads, self._judge, request, address, loop)
        if result == "temperror":
            return Finding(None, f"{result}: {explanation}")
        return Finding(int(result in _SUSPICIOUS), f"{result}: {explanation}".rstrip(": ") + f" ({domain})")

    async def _has_record(self, domain: str) -> bool:
        if not domain or domain.startswith("["):
            return False
        records = await self._resolver.resolve(domain, "TXT")
        return any(isinstance(record.data, bytes) and _SPF_RECORD.match(record.data) for record in records)

    def _judge(self, request: Request, address: Address, loop: asyncio.AbstractEventLoop) -> tuple[str, str]:
        """pyspf's result and explanation; runs in a thread."""
        seconds = self._timeout.total_seconds()

        def look_up(name: str, rrtype: RrType) -> Answers:
            asked = asyncio.run_coroutine_threadsafe(self._resolver.resolve(name, rrtype), loop)
            try:
                return [_for_pyspf(record) for record in asked.result(seconds)]
            except (ResolverError, LookupTimeoutError) as error:
                asked.cancel()
                raise spf.TempError(f"DNS {str(error) or 'took too long'}") from error

        _lookup.set(look_up)
        query = spf.query(str(address), request.sender, request.helo_name, querytime=seconds)
        if request.sender:
            # pyspf splits at the first @, mail at the last: "x@y"@example.com is example.com's.
            local, _, query.o = request.sender.rpartition("@")
            query.l, query.d = local or "postmaster", query.o
        try:
            result, _, explanation = query.check()
            if result == "none" and self._best_guess:
                result, _, explanation = query.best_guess()
                explanation = f"best guess, {explanation}"
        except Exception as error:  # noqa: BLE001 (pyspf's own, by a record that it did not foresee: the record is wrong)
            return "permerror", f"pyspf: {error!r}"
        return cast(str, result), cast(str, explanation)

    def close(self) -> None:
        """Let go of the threads; those at work end by themselves within the time-out."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _for_pyspf(record: ResourceRecord) -> tuple[tuple[str, str], object]:
    value = (record.data,) if isinstance(record.data, bytes) else record.data
    return (record.name.rstrip(".").lower(), record.rrtype), value
