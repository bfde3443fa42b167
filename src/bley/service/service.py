"""One request, from question to answer: the nine steps of the decision, top to bottom."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bley.core.caches import ExpiringCache
from bley.core.decision import Decision
from bley.core.dnslists.lists import Meaning
from bley.core.errors import StoreError
from bley.core.evidence import NO_EVIDENCE, Evidence
from bley.core.exemptions import MailExemptions
from bley.core.findings import AnyReason
from bley.core.greylist import Record, Sighting, Standing, Status
from bley.core.mail import Action, Address, RawRequest, Request, Triplet, parse_address
from bley.core.names.host_kind import server_domain
from bley.core.policy import judge
from bley.core.reasons import Reason
from bley.core.triplet import ANY, any_sender_like
from bley.metrics import CACHE_HITS, count, observe_answer
from bley.ports import Clock, Store, steady_now, utc_now
from bley.service.actions import DUNNO, Actions
from bley.service.known_mail import KnownMail
from bley.service.rule_set import ChecksOfRules, RuleSet, make_rule_set
from bley.settings.file import Configuration

__all__ = ["Service"]

_REFRESH = timedelta(hours=1)
"""How often at most a known triplet's `last_seen` is written, and how long it is known without the store."""

_TELLING = 100
"""For so many deferred clients at once the lists' own words are fetched; each may take check_timeout."""

_WARN_AGAIN = timedelta(minutes=1)

_log = logging.getLogger(__name__)


class _PendingRequest(NamedTuple):
    """A request that steps 1 to 5 left open."""

    rules: RuleSet
    request: Request
    address: Address
    triplet: Triplet
    now: datetime
    begun: float
    """`now`, by the clock that measures time."""
    kept_under: Triplet
    """What its record is kept under: the triplet, or what was found in its place."""
    record: Record | None = None
    """What was found."""
    standing: Standing | None = None

    def decided(self, reason: AnyReason, **more: Any) -> Decision:
        """With what is known of the case."""
        return Decision(self.request, reason, triplet=self.triplet, record=self.record, standing=self.standing, **more)


class Service:
    """Decides and answers; keeps the short memories of known triplets and of clients just judged."""

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        checks: ChecksOfRules,
        clock: Clock,
        hostname: str,
        steady: Clock | None = None,
    ) -> None:
        self._store, self._clock = store, clock
        # A test's clock, which is never set, measures durations too.
        self._steady = steady or (steady_now if clock is utc_now else clock)
        settings = configuration.settings
        self._known = KnownMail(_REFRESH, settings.cache_size, self._tell_known)
        self._clients = ExpiringCache[str, bool](settings.cache_valid, settings.cache_size)
        self._warned: datetime | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self.finds_any = False
        """The store has records that hold for any sender or recipient."""
        self._actions = Actions(settings, hostname)
        self._rules = self.rules_of(configuration, checks)

    def rules_of(self, configuration: Configuration, checks: ChecksOfRules) -> RuleSet:
        """The rules that `switch` takes. Nothing changes until then."""
        return make_rule_set(configuration, checks, self._actions)

    def switch(self, rules: RuleSet) -> None:
        """Decide new requests by these rules; what is remembered stays, as far as it is the store's. Cannot fail."""
        self._known.forget_requests()
        self._clients.valid = rules.settings.cache_valid
        self._rules = rules

    def reconfigure(self, configuration: Configuration, checks: ChecksOfRules) -> None:
        """Decide new requests by these settings and checks."""
        self.switch(self.rules_of(configuration, checks))

    def age(self) -> None:
        """Forget what is too old; to be called now and then."""
        self._known.age(self._steady())

    def forget(self) -> None:
        """Somebody has made the store forget something: remember nothing that was in it."""
        self._known.clear()
        self._clients.clear()

    @property
    def cache_entries(self) -> dict[str, int]:
        """How much is remembered, by memory."""
        return {**self._known.entries, "clients": len(self._clients)}

    def answer(self, raw: RawRequest) -> Action | Coroutine[None, None, Action]:
        """The action where neither store nor DNS is needed for it, else what to await for it.

        Whatever fails, there is an action.
        """
        if self._known.recognises(raw):
            return DUNNO
        now, rules = self._clock(), self._rules
        request = raw.read_bounded()
        try:
            case = self._first_steps(request, now, rules)
        except Exception:  # noqa: BLE001 (a bug must not leave Postfix without an answer; logged in _failed)
            case = self._failed(request)
        if not isinstance(case, Decision):
            return self._answer_later(case, raw)
        if case.reason is Reason.KNOWN:
            CACHE_HITS["triplets"].inc()
            line = rules.log.known_line(request)
            self._known.add_request(line, raw, self._steady())
            self._known.tell_later(line, raw)
            return DUNNO
        return self._log_and_answer(case, now, rules)

    def _tell_known(
        self, told: Sequence[tuple[str, RawRequest]], recognised: int, rules: RuleSet | None = None
    ) -> None:
        """Log, count and store what was known, behind the answers; how many were in memory just as they came.

        They were decided by `rules`; None: by those in force, for `switch` has told all that were known before it.
        """
        rules, now = rules or self._rules, self._clock()
        rules.log.write_known(told)
        count("pass", Reason.KNOWN, len(told))
        CACHE_HITS["requests"].inc(recognised)
        self._store.keep_known(
            now, told, lambda known: rules.kept(_known_decision(known[1].read_bounded(), now, rules), now)
        )

    async def _answer_later(self, case: _PendingRequest, raw: RawRequest) -> Action:
        try:
            decision = await self._later_steps(case)
        except StoreError:
            decision = self._without_store(case)
        except Exception:  # noqa: BLE001 (as in answer)
            decision = self._failed(case.request)
        observe_answer(decision.reason, time.monotonic() - case.begun)
        if decision.reason is Reason.KNOWN:
            self._tell_later(case, raw)
            return DUNNO
        if not (decision.defers and _is_listed(decision.evidence) and len(self._telling) < _TELLING):
            return self._log_and_answer(decision, case.now, case.rules)
        telling = asyncio.get_running_loop().create_task(self._tell_listings(decision, case))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        case.rules.log.write(decision)
        count(decision.outcome(observes=case.rules.observes), decision.reason)
        return case.rules.actions.action(decision, case.now, self._steady())

    def _tell_later(self, case: _PendingRequest, raw: RawRequest) -> None:
        """The store knew it. What began before a reload is told by itself: the next lines have another form, maybe."""
        known = (case.rules.log.known_line(case.request), raw)
        if case.rules is self._rules:
            self._known.tell_later(*known)
        else:
            self._tell_known([known], 0, case.rules)

    async def _tell_listings(self, decision: Decision, case: _PendingRequest) -> None:
        """Behind the answer: log and keep the lists' own words too, to which the client's operator may be referred."""
        try:
            evidence = await case.rules.checks.explain(decision.evidence, case.address)
            decision = decision._replace(evidence=evidence)
            case.rules.log.write_listings(decision)
        finally:
            self._store.keep(case.rules.kept(decision, case.now))

    async def close(self) -> None:
        """Tell what was answered, and give up what else is done behind the answers."""
        self._known.tell()
        for telling in self._telling:
            telling.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)

    async def decide(self, request: Request) -> Decision:
        """All nine steps, without log and answer. Raises StoreError when the store cannot be asked or told."""
        case = self._first_steps(request, self._clock(), self._rules)
        return case if isinstance(case, Decision) else await self._later_steps(case)

    def _first_steps(self, request: Request, now: datetime, rules: RuleSet) -> Decision | _PendingRequest:
        """Steps 1 to 4, and 5 where the triplet is in memory."""
        if request.protocol_state not in ("", "RCPT"):
            return Decision(request, Reason.NOT_RCPT)
        address = parse_address(request.client_address)
        if address is None or not request.recipient.strip():
            self._warn_incomplete(request)
            return Decision(request, Reason.INCOMPLETE)
        if request.sasl_username:
            return Decision(request, Reason.AUTHENTICATED)
        if any(address in network for network in rules.settings.trusted_networks):
            return Decision(request, Reason.TRUSTED_NETWORK)
        case = _case(request, address, now, rules)
        if exempt := _exempt(case):
            return exempt
        if case.triplet in self._known:
            return case._replace(standing=Standing.KNOWN).decided(Reason.KNOWN)
        return case

    async def _later_steps(self, case: _PendingRequest) -> Decision:
        """Steps 5 to 9."""
        found = await self._store.find(self._places(case))
        standing = case.rules.timing.standing(found and found[1], case.now)
        if found is None:
            return await self._stranger(case._replace(standing=standing))
        if standing is Standing.NEW:
            return await self._stranger(case._replace(record=found[1], standing=standing))
        case = case._replace(kept_under=found[0], record=found[1], standing=standing)
        if standing is Standing.EARLY:
            return await self._early(case, found[1])
        return self._known_or_waited(case, found[1])

    def _places(self, case: _PendingRequest) -> list[Triplet]:
        """Where its record may be: under the client's network too, from a time when its name was unknown."""
        client, sender, recipient = case.triplet
        network = case.rules.triplets.client(case.address, "")
        places = [case.triplet]
        if network != client:
            places.append(Triplet(network, sender, recipient))
        if self.finds_any:
            senders = (sender, any_sender_like(sender), ANY)
            places += [Triplet(network, any_sender, ANY) for any_sender in senders]
        return places

    def _known_or_waited(self, case: _PendingRequest, record: Record) -> Decision:
        """Steps 5 and 6."""
        if case.standing is Standing.WAITED:
            self._clients.put(case.triplet.client, True, self._steady())
            decision = case.decided(Reason.WAITED, delayed=case.now - record.first_seen)
            self._store.record_later(self._sighting(case, Status.CLEAN))
        else:
            decision = case.decided(Reason.KNOWN)
            if case.now - record.last_seen >= _REFRESH:
                self._store.record_later(self._sighting(case, record.status))
        self._known.add(case.triplet, self._steady())
        return decision

    async def _early(self, case: _PendingRequest, record: Record) -> Decision:
        """Step 7."""
        # Another node's clock, or a request at the same time, may have been a little ahead.
        counts = abs(case.now - record.last_seen) >= case.rules.settings.cache_valid
        await self._store.record(self._sighting(case, Status.GREYLISTED, attempts=int(counts)))
        wait = case.rules.timing.remaining(record._replace(attempts=record.attempts + counts), case.now)
        return case.decided(Reason.EARLY, defers=True, wait=wait)

    async def _stranger(self, case: _PendingRequest) -> Decision:
        """Steps 8 and 9. A deferral is durable before it is answered; a pass need not be."""
        was_good = self._clients.get(case.triplet.client, self._steady())
        evidence = NO_EVIDENCE
        if was_good is not None:
            CACHE_HITS["clients"].inc()
        if was_good is None:
            evidence = await case.rules.checks.gather(case.request, case.address)
            status, reason = judge(evidence, case.rules.thresholds)
            self._clients.put(case.triplet.client, status is not Status.GREYLISTED, self._steady())
        elif was_good:
            status, reason = Status.CLEAN, Reason.CLIENT_GOOD
        else:
            status, reason = Status.GREYLISTED, Reason.CLIENT_BAD
        sighting = self._sighting(case, status)
        if status is Status.GREYLISTED:
            await self._store.record(sighting, case.begun + case.rules.longest_seconds - time.monotonic())
            return case.decided(reason, evidence=evidence, defers=True, wait=case.rules.timing.wait(attempts=0))
        self._store.record_later(sighting)
        self._known.add(case.triplet, self._steady())
        return case.decided(reason, evidence=evidence)

    def _sighting(self, case: _PendingRequest, status: Status, attempts: int = 0) -> Sighting:
        return Sighting(case.kept_under, status, case.now, case.rules.timing.lifetimes, attempts)

    def _without_store(self, case: _PendingRequest) -> Decision:
        """What `on_store_error` says; it is still recorded when that is possible again, as a passed or deferred one."""
        if case.rules.settings.on_store_error == "pass":
            self._store.record_later(self._sighting(case, Status.CLEAN))
            return case.decided(Reason.STORE_ERROR)
        self._store.record_later(self._sighting(case, Status.GREYLISTED))
        return case.decided(Reason.STORE_ERROR, defers=True, wait=case.rules.timing.wait(attempts=0))

    def _log_and_answer(self, decision: Decision, now: datetime, rules: RuleSet) -> Action:
        rules.log.write(decision)
        count(decision.outcome(observes=rules.observes), decision.reason)
        self._store.keep(rules.kept(decision, now))
        return rules.actions.action(decision, now, self._steady())

    def _failed(self, request: Request) -> Decision:
        """What is answered instead of an exception, which is at fault."""
        _log.exception("internal error, answered DUNNO; please report it. %r", request)
        return Decision(request, Reason.INTERNAL_ERROR)

    def _warn_incomplete(self, request: Request) -> None:
        now = self._steady()
        if self._warned is None or now - self._warned >= _WARN_AGAIN:
            self._warned = now
            _log.warning("no usable client_address or recipient, answered DUNNO: %r", request)


def _case(request: Request, address: Address, now: datetime, rules: RuleSet) -> _PendingRequest:
    triplet = Triplet(
        rules.triplets.client(address, server_domain(request.verified_name, address)),
        rules.triplets.sender(request.sender),
        rules.triplets.recipient(request.recipient),
    )
    return _PendingRequest(rules, request, address, triplet, now, time.monotonic(), triplet)


def _known_decision(request: Request, now: datetime, rules: RuleSet) -> Decision:
    """About a request of which that was found when it was answered."""
    address = parse_address(request.client_address)
    assert address, "else it would not be known"
    return _case(request, address, now, rules)._replace(standing=Standing.KNOWN).decided(Reason.KNOWN)


def _exempt(case: _PendingRequest) -> Decision | None:
    request, rules, lists = case.request, case.rules, case.rules.configuration
    sender, recipient = case.triplet.sender, case.triplet.recipient
    if rules.triplets.privacy_key:  # list files have addresses in clear
        clear = rules.settings.triplet_rules
        sender, recipient = clear.sender(request.sender), clear.recipient(request.recipient)
    if entry := _find(lists.recipients, request.recipient, recipient):
        return Decision(request, Reason.EXEMPT_RECIPIENT, triplet=case.triplet, exempted_by=entry)
    if entry := lists.clients.find(case.address, request.verified_name):
        return Decision(request, Reason.EXEMPT_CLIENT, triplet=case.triplet, exempted_by=entry)
    if entry := _find(lists.senders, request.sender, sender):
        return Decision(request, Reason.EXEMPT_SENDER, triplet=case.triplet, exempted_by=entry)
    return None


def _is_listed(evidence: Evidence) -> bool:
    return any(each.answer.meaning is Meaning.LISTED for finding in evidence.values() for each in finding.answers)


def _find(exemptions: MailExemptions, address: str, normalised: str) -> str | None:
    """The entry for an address as it came, or as it is normalised: a list's entry holds for `user+extension` too."""
    return exemptions.find(address) or (exemptions.find(normalised) if normalised != address else None)
