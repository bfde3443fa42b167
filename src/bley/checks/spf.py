"""May this client send for this sender's domain? (RFC 7208)

pyspf judges, in a greenlet: where it needs a look-up it is suspended, and goes on with what our resolver has found.
A domain without an SPF record, the common case, is seen by one look-up without pyspf.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import NamedTuple, cast
from weakref import WeakSet

import spf
from greenlet import GreenletExit, getcurrent, greenlet

from bley.checks.spf_query import BoundedQuery
from bley.checks.spf_validity import LONGEST_RECORD, SPF_RECORD, SpfTrail, SpfValidity, network_of
from bley.core.errors import ResolverError
from bley.core.evidence import Finding, found
from bley.core.findings import FindingKind
from bley.core.mail import Address, Request
from bley.metrics import CACHE_HITS, SPF_RESULTS
from bley.ports import Resolver, ResourceRecord, RrType

__all__ = ["SpfChecker", "running_evaluations"]

_KIND = {"fail": FindingKind.SPF_FAIL, "softfail": FindingKind.SPF_FAIL}
_RESULTS = 20_000
"""Some 0.7 KB each, 1.4 KB where domain and explanation are as long as can be: 14 to 27 MB."""

_LONGEST_EXPLANATION = 160
"""Characters of pyspf's words, which may hold a whole record."""

_LONGEST_DOMAIN = 253
"""Characters of a name that can be asked for (RFC 1035 2.3.4)."""

Answers = list[tuple[tuple[str, str], object]]
"""As pyspf wants them: ((name, type), value); a TXT value is a sequence of byte strings."""


_Wanted = tuple[str, RrType] | None
"""What an evaluation waits for: the records of a name and type; None: that the event loop has had its turn."""


def _look_up_for_pyspf(name: str, rrtype: RrType, _strict: object = True, _timeout: float = 0) -> Answers:
    return cast(_Evaluation, getcurrent()).look_up(name, rrtype)


spf.DNSLookup = _look_up_for_pyspf  # pyspf has no other way to be given a resolver


class _Result(NamedTuple):
    word: str
    """RFC 7208's."""
    finding: Finding


class SpfChecker:
    """Checks SPF, each time for at most `timeout`; `best_guess` judges domains without a record.

    Results are cached as long as all records involved, at most an hour, at most `_RESULTS` of them.
    """

    def __init__(self, resolver: Resolver, timeout: timedelta, *, best_guess: bool) -> None:
        self._resolver, self._timeout, self._best_guess = resolver, timeout, best_guess
        self._turn = asyncio.Lock()
        self._results: OrderedDict[tuple[str, bytes], tuple[float, _Result]] = OrderedDict()
        """By domain and the octets of the client's address or network, which are fewer."""

    @property
    def cached_results(self) -> int:
        """Return the number of cached results."""
        return len(self._results)

    async def check(self, request: Request, address: Address) -> Finding:
        """What SPF says of MAIL FROM, of HELO for the null sender: nothing for pass, unknown on temperror."""
        try:
            word, finding = await self._result(request, address)
        except ResolverError:
            SPF_RESULTS.labels("temperror").inc()
            raise
        SPF_RESULTS.labels(word).inc()
        return finding

    async def _result(self, request: Request, address: Address) -> _Result:
        domain = (request.sender.rpartition("@")[2] if request.sender else request.helo_name).lower()
        loop = asyncio.get_running_loop()
        if cached := self._cached(domain, address, loop.time()):
            CACHE_HITS["spf"].inc()
            return cached
        if not await self._is_judged(domain):
            return _Result(
                "none", found(FindingKind.SPF_NO_PASS, f"none: {domain or 'the empty name'} has no SPF record")
            )
        trail = SpfTrail(address)
        word, explanation = await self._evaluate(_Evaluation(address, trail), request)
        explanation = explanation[:_LONGEST_EXPLANATION]
        if word == "temperror":
            return _Result(word, Finding(None, f"{word}: {explanation}"))
        detail = f"{word}: {explanation}".rstrip(": ") + f" ({domain})"
        finding = Finding(0, detail) if word == "pass" else found(_KIND.get(word, FindingKind.SPF_NO_PASS), detail)
        result = _Result(word, finding)
        self._cache(domain, trail, address, result, loop.time())
        return result

    async def _evaluate(self, evaluation: "_Evaluation", request: Request) -> tuple[str, str]:
        """Return pyspf's result and explanation."""
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                told = await self._step(partial(evaluation.switch, request, self._best_guess))
                while not evaluation.dead:
                    told = await self._step(await self._next_step(evaluation, cast(_Wanted, told)))
        except TimeoutError:
            return "temperror", "DNS took too long"
        finally:
            evaluation.end()
        return cast(tuple[str, str], told)

    async def _step(self, step: Callable[[], object]) -> object:
        """Do a step of an evaluation, and one of one evaluation only in each turn of the event loop."""
        async with self._turn:
            await asyncio.sleep(0)
            return step()

    async def _next_step(self, evaluation: "_Evaluation", wanted: _Wanted) -> Callable[[], object]:
        """Wait for the records that are wanted, if any; return how the evaluation goes on."""
        if wanted is None:
            return evaluation.switch
        try:
            records = await asyncio.shield(self._resolver.resolve(*wanted))
        except ResolverError as error:
            return partial(evaluation.throw, spf.TempError(f"DNS {error}"))
        return partial(evaluation.switch, records)

    async def _is_judged(self, domain: str) -> bool:
        """Whether there is a record, or a best guess stands for it."""
        if not 0 < len(domain) <= _LONGEST_DOMAIN:
            return False
        if self._best_guess:
            return True
        if domain.startswith("["):
            return False
        records = await asyncio.shield(self._resolver.resolve(domain, "TXT"))
        return any(isinstance(record.data, bytes) and SPF_RECORD.match(record.data) for record in records)

    def _cached(self, domain: str, address: Address, now: float) -> _Result | None:
        """A result that still holds for the client, by its address or its network."""
        for client in (address.packed, _network_octets(address)):
            expires, result = self._results.get((domain, client), (now, None))
            if now < expires:
                return result
        return None

    def _cache(self, domain: str, trail: SpfTrail, address: Address, result: _Result, now: float) -> None:
        if trail.scope is SpfValidity.REQUEST:
            return
        client = address.packed if trail.scope is SpfValidity.ADDRESS else _network_octets(address)
        self._results.pop((domain, client), None)
        self._results[domain, client] = now + trail.seconds, result
        if len(self._results) > _RESULTS:
            self._results.popitem(last=False)


def _network_octets(address: Address) -> bytes:
    network = network_of(address)
    return network.network_address.packed[: network.prefixlen // 8]


class _Evaluation(greenlet):
    """One evaluation by pyspf.

    `switch` gives the name and type to look up, None for a pause, at the end the result and explanation.
    """

    def __init__(self, address: Address, trail: SpfTrail) -> None:
        super().__init__()
        self._address, self._trail, self._is_given_up = address, trail, False
        _evaluations.add(self)

    def run(self, request: Request, best_guess: bool) -> tuple[str, str]:
        """Judge; the first `switch` starts it, with these arguments."""
        try:
            query = BoundedQuery(self._address, request.sender, request.helo_name, self._suspended)
            result, _, explanation = query.check()
            if result == "none" and best_guess:
                result, _, explanation = query.best_guess()
                self._trail.narrow(SpfValidity.ADDRESS)
                explanation = f"best guess, {explanation}"
        except Exception as error:  # noqa: BLE001 (pyspf's own, by a record that it did not foresee: the record is wrong)
            return "permerror", f"pyspf: {error!r}"
        return cast(str, result), cast(str, explanation)

    def end(self) -> None:
        """End it where nobody waits for it any more: it is never suspended again, though pyspf may catch anything."""
        self._is_given_up = True
        self.throw()

    def look_up(self, name: str, rrtype: RrType) -> Answers:
        """Be suspended until the records are there. Raises spf.TempError where the DNS fails."""
        records = cast(Sequence[ResourceRecord], self._suspended((name, rrtype)))
        self._trail.saw(rrtype, records)
        return [_for_pyspf(record) for record in records]

    def _suspended(self, wanted: _Wanted = None) -> object:
        """Be suspended until what is wanted is there, or the event loop has had its turn."""
        if self._is_given_up:
            raise GreenletExit
        assert self.parent, "only the first greenlet of a thread has none"
        return cast(object, self.parent.switch(wanted))


_evaluations: WeakSet[_Evaluation] = WeakSet()


def running_evaluations() -> int:
    """Return how many evaluations of this process have not ended, whichever checker began them."""
    return sum(not evaluation.dead for evaluation in _evaluations)


def _for_pyspf(record: ResourceRecord) -> tuple[tuple[str, str], object]:
    """Return the record as pyspf wants it; of a text that is no SPF record, that there is one.

    Raises spf.PermError for an SPF record that is too long.
    """
    value: object = record.data
    if isinstance(record.data, bytes):
        is_policy = SPF_RECORD.match(record.data)
        if is_policy and len(record.data) > LONGEST_RECORD:
            raise spf.PermError(f"the SPF record is longer than {LONGEST_RECORD} octets", record.name)
        value = (record.data if is_policy else b"",)
    return (record.name.rstrip(".").lower(), record.rrtype), value
