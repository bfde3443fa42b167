"""The SPF check: whether the client may send for the domain of the sender (RFC 7208).

pyspf evaluates in a greenlet: a lookup suspends it, and the answer of our resolver resumes it.
For a domain without an SPF record, the common case, one lookup is enough, without pyspf.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import NamedTuple, cast
from weakref import WeakSet

import spf
from greenlet import GreenletExit, getcurrent, greenlet

from bley.checks.spf_query import BoundedQuery
from bley.checks.spf_validity import LONGEST_RECORD, NETWORK_BITS, SPF_RECORD, SpfTrail, SpfValidity
from bley.core.errors import ResolverError
from bley.core.evidence import Finding, found
from bley.core.findings import FindingKind
from bley.core.mail import Address, Request
from bley.core.names.domains import a_labels
from bley.metrics import CACHE_HITS, SPF_RESULTS
from bley.ports import CachedResolver, Outcome, ResourceRecord, RrType

__all__ = ["SpfChecker", "running_evaluations"]

_KIND = {"fail": FindingKind.SPF_FAIL, "softfail": FindingKind.SPF_FAIL}
_RESULTS = 20_000
"""Cached results: some 0.7 KB each, 1.4 KB with the longest domain and explanation, so 14 to 27 MB."""

_LONGEST_EXPLANATION = 160
"""Characters of an explanation by pyspf, which may contain a whole record."""

_LONGEST_DOMAIN = 253
"""Characters of a name that can be queried (RFC 1035 2.3.4)."""

_DOMAIN = re.compile(r"(?:[a-z0-9_-]{1,63}\.)+(?![0-9]+\Z)[a-z0-9-]{1,63}")
"""A name of several labels, which can have a record (RFC 7208 4.3). No top-level domain is a number (RFC 3696 2), and
pyspf would expand macros in a name that a sender made up."""

Answers = list[tuple[tuple[str, str], object]]
"""Answers in the form of pyspf: ((name, type), value). A TXT value is a sequence of byte strings."""

_Lookup = tuple[str, RrType] | None
"""The lookup that an evaluation waits for, a name and a type; None: it has yielded to the event loop."""


def _look_up_for_pyspf(name: str, rrtype: RrType, _strict: object = True, _timeout: float = 0) -> Answers:
    return cast(_Evaluation, getcurrent()).look_up(name, rrtype)


spf.DNSLookup = _look_up_for_pyspf  # pyspf has no other interface for a resolver


class _Result(NamedTuple):
    word: str
    """The result in the words of RFC 7208."""
    finding: Finding


class SpfChecker:
    """The SPF check, within `timeout` for each request. `best_guess` also judges domains without a record.

    Results are cached for the shortest TTL of all records involved, but at most an hour; at most `_RESULTS` of them.
    """

    def __init__(self, resolver: CachedResolver, timeout: timedelta, *, best_guess: bool) -> None:
        self._resolver, self._timeout, self._best_guess = resolver, timeout, best_guess
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._results: OrderedDict[tuple[str, bytes], tuple[float, _Result]] = OrderedDict()
        """Expiry and result by domain and by the octets of the client's address, or the fewer ones of its network."""

    @property
    def cached_results(self) -> int:
        """Return the number of cached results."""
        return len(self._results)

    async def check(self, request: Request, address: Address) -> Finding:
        """Check MAIL FROM, or HELO for the null sender. A pass counts 0; a temperror is unknown."""
        return await self.start(request, address)

    def start(self, request: Request, address: Address) -> asyncio.Future[Finding]:
        """Start the check; the finding is there at once if it is cached. To cancel the future ends the check."""
        answer: asyncio.Future[Finding] = self._loop.create_future()
        name = _checked_name(request)
        domain = "" if name.endswith("..") else a_labels(name)
        if cached := self._cached(domain, address, self._loop.time()):
            CACHE_HITS["spf"].inc()
            _give(answer, cached)
        elif len(domain) > _LONGEST_DOMAIN or not _DOMAIN.fullmatch(domain):
            _give(answer, _without_record(name))
        elif self._best_guess:
            self._start_evaluation(answer, domain, request, address)
        else:
            self._resolver.query(domain, "TXT", partial(self._take_texts, answer, domain, request, address))
        return answer

    def _take_texts(
        self, answer: asyncio.Future[Finding], domain: str, request: Request, address: Address, texts: Outcome
    ) -> None:
        """Take the texts of the domain. Most domains of strangers have no SPF record, and need no evaluation."""
        if answer.done():
            return
        if isinstance(texts, ResolverError):
            SPF_RESULTS["temperror"].inc()
            answer.set_exception(texts)
            answer.exception()  # retrieved: nothing may wait for it any more
        elif any(isinstance(text.data, bytes) and SPF_RECORD.match(text.data) for text in texts):
            self._start_evaluation(answer, domain, request, address)
        else:
            _give(answer, _without_record(_checked_name(request)))

    def _start_evaluation(
        self, answer: asyncio.Future[Finding], domain: str, request: Request, address: Address
    ) -> None:
        evaluation = self._loop.create_task(self._result(domain, request, address))
        answer.add_done_callback(lambda _: evaluation.cancel())
        evaluation.add_done_callback(partial(_hand_over, answer))

    async def _result(self, domain: str, request: Request, address: Address) -> _Result:
        trail = SpfTrail(address)
        word, explanation = await self._evaluate(_Evaluation(address, trail), request)
        explanation = explanation[:_LONGEST_EXPLANATION]
        if word == "temperror":
            return _Result(word, Finding(None, f"{word}: {explanation}"))
        detail = f"{word}: {explanation}".rstrip(": ") + f" ({domain})"
        finding = Finding(0, detail) if word == "pass" else found(_KIND.get(word, FindingKind.SPF_NO_PASS), detail)
        result = _Result(word, finding)
        self._cache(domain, trail, address, result, self._loop.time())
        return result

    async def _evaluate(self, evaluation: "_Evaluation", request: Request) -> tuple[str, str]:
        """Return pyspf's result and explanation."""
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                output = await self._step(partial(evaluation.switch, request, self._best_guess))
                while not evaluation.dead:
                    output = await self._step(await self._next_step(evaluation, cast(_Lookup, output)))
        except TimeoutError:
            return "temperror", "DNS took too long"
        finally:
            evaluation.end()
        return cast(tuple[str, str], output)

    async def _step(self, step: Callable[[], object]) -> object:
        """Run one step of an evaluation. In each iteration of the event loop, only one step of all evaluations runs."""
        async with self._turn:
            await asyncio.sleep(0)
            return step()

    async def _next_step(self, evaluation: "_Evaluation", lookup: _Lookup) -> Callable[[], object]:
        """Wait for a lookup, if there is one. Return the next step of the evaluation."""
        if lookup is None:
            return evaluation.switch
        try:
            records = await self._resolver.resolve(*lookup)
        except ResolverError as error:
            return partial(evaluation.throw, spf.TempError(f"DNS {error}", ext=error))
        return partial(evaluation.switch, records)

    def _cached(self, domain: str, address: Address, now: float) -> _Result | None:
        """Return a result that is still valid for the client, by its address or its network."""
        for client in (address.packed, _network_octets(address)):
            expires, result = self._results.get((domain, client), (now, None))
            if now < expires:
                return result
        return None

    def _cache(self, domain: str, trail: SpfTrail, address: Address, result: _Result, now: float) -> None:
        if trail.validity is SpfValidity.REQUEST:
            return
        client = address.packed if trail.validity is SpfValidity.ADDRESS else _network_octets(address)
        self._results.pop((domain, client), None)
        self._results[domain, client] = now + trail.seconds, result
        if len(self._results) > _RESULTS:
            self._results.popitem(last=False)


def _checked_name(request: Request) -> str:
    return request.sender.rpartition("@")[2] if request.sender else request.helo_name


def _network_octets(address: Address) -> bytes:
    return address.packed[: NETWORK_BITS[address.version] // 8]


def _without_record(name: str) -> _Result:
    shown = name.lower() or "the empty name"
    return _Result("none", found(FindingKind.SPF_NO_PASS, f"none: {shown} has no SPF record"))


def _give(answer: asyncio.Future[Finding], result: _Result) -> None:
    SPF_RESULTS[result.word].inc()
    answer.set_result(result.finding)


def _hand_over(answer: asyncio.Future[Finding], evaluation: asyncio.Task[_Result]) -> None:
    """Give the outcome of an evaluation to the answer that waits for it."""
    if evaluation.cancelled() or answer.done():
        answer.cancel()
    elif error := evaluation.exception():
        answer.set_exception(error)
    else:
        _give(answer, evaluation.result())


class _Evaluation(greenlet):
    """One evaluation by pyspf.

    `switch` returns the name and type to look up, None when it has yielded, and at the end the result and explanation.
    """

    def __init__(self, address: Address, trail: SpfTrail) -> None:
        super().__init__()
        self._address, self._trail, self._is_given_up = address, trail, False
        _evaluations.add(self)

    def run(self, request: Request, best_guess: bool) -> tuple[str, str]:
        """Evaluate. The first `switch` starts this, with these arguments."""
        try:
            query = BoundedQuery(self._address, request.sender, request.helo_name, self._suspend)
            result, _, explanation = query.check()
            if result == "none" and best_guess:
                result, _, explanation = query.best_guess()
                self._trail.narrow(SpfValidity.ADDRESS)
                explanation = f"best guess, {explanation}"
        except Exception as error:  # noqa: BLE001 (a bug of pyspf that a malformed record triggers: a permerror)
            return "permerror", f"pyspf: {error!r}"
        return cast(str, result), cast(str, explanation)

    def end(self) -> None:
        """End an evaluation without a caller. It is never suspended again, although pyspf may catch the exception."""
        self._is_given_up = True
        self.throw()

    def look_up(self, name: str, rrtype: RrType) -> Answers:
        """Suspend until the records are there. Raises spf.TempError if the DNS fails.

        A name that has no A-labels has no records (RFC 5890 2.3.2.1): macros may expand to one.
        """
        records = cast(Sequence[ResourceRecord], self._suspend((name, rrtype))) if name.isascii() else ()
        self._trail.add_answer(rrtype, records)
        return [_for_pyspf(record) for record in records]

    def _suspend(self, lookup: _Lookup = None) -> object:
        """Suspend until the lookup is done, or yield to the event loop if there is none."""
        if self._is_given_up:
            raise GreenletExit
        assert self.parent, "only the first greenlet of a thread has none"
        return cast(object, self.parent.switch(lookup))


_evaluations: WeakSet[_Evaluation] = WeakSet()


def running_evaluations() -> int:
    """Return the number of evaluations of this process that have not ended, of all checkers."""
    return sum(not evaluation.dead for evaluation in _evaluations)


def _for_pyspf(record: ResourceRecord) -> tuple[tuple[str, str], object]:
    """Return the record in the form of pyspf. A text that is no SPF record becomes empty.

    Raises spf.PermError for an SPF record that is too long.
    """
    value: object = record.data
    if isinstance(record.data, bytes):
        is_policy = SPF_RECORD.match(record.data)
        if is_policy and len(record.data) > LONGEST_RECORD:
            raise spf.PermError(f"the SPF record is longer than {LONGEST_RECORD} octets", record.name)
        value = (record.data if is_policy else b"",)
    return (record.name.rstrip(".").lower(), record.rrtype), value
