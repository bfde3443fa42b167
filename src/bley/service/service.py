"""The nine steps from a request to its answer, in order."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta

from bley.core.caches import ExpiringCache
from bley.core.decision import Decision, KnownRequest
from bley.core.dnslists.lists import Meaning
from bley.core.errors import StoreError
from bley.core.evidence import NO_EVIDENCE, Evidence
from bley.core.greylist import Record, Standing, Status
from bley.core.mail import Action, RawRequest, Request, parse_address
from bley.core.places import Located
from bley.core.policy import Judgement, judge
from bley.core.reasons import Reason
from bley.metrics import CACHE_HITS, count, observe_answer
from bley.ports import Clock, Store, steady_now, utc_now
from bley.service.actions import DUNNO, Actions
from bley.service.hidden_clients import HiddenClients
from bley.service.known_mail import KnownMail
from bley.service.pending_request import PendingRequest
from bley.service.rule_set import ChecksOfRules, RuleSet, make_rule_set
from bley.settings.file import Configuration

__all__ = ["Service"]

_REFRESH = timedelta(hours=1)
"""The least time between two updates of a known triplet's `last_seen`, and the lifetime of its cache entry."""

_MOST_LEARNED = 10_000
"""Pairs of a network and a domain that known mail taught the store lately: some 250 bytes each, 2.5 MB."""

_MOST_EXPLANATIONS = 100
"""The most deferred clients whose listings are explained at the same time; each may take check_timeout."""

_WARN_AGAIN = timedelta(minutes=1)

_CLASSIC = Judgement(Status.GREYLISTED, Reason.CLASSIC)
_AS_BEFORE = {
    True: Judgement(Status.CLEAN, Reason.CLIENT_GOOD),
    False: Judgement(Status.GREYLISTED, Reason.CLIENT_BAD),
}
"""The judgement of a stranger whose client was judged less than `cache_valid` ago, by whether it was good."""

_log = logging.getLogger(__name__)


class Service:
    """Decides and answers requests; caches known triplets and recent judgements of clients."""

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
        # A test's clock is monotonic, and measures durations too.
        self._steady = steady or (steady_now if clock is utc_now else clock)
        settings = configuration.settings
        self._known = KnownMail(_REFRESH, settings.cache_size, lambda known: self._log_known(known, self._rules))
        self._clients = ExpiringCache[str, bool](settings.cache_valid, settings.cache_size)
        self._learned = ExpiringCache[str, bool](_REFRESH, _MOST_LEARNED)
        """By network and domain: known mail taught the store lately that the domain is verified there."""
        self._warned: datetime | None = None
        self._hidden_clients = HiddenClients()
        self._explaining: set[asyncio.Task[None]] = set()
        self.has_wildcards = False
        """The store has records with the wildcard ANY."""
        self._actions = Actions(settings, hostname)
        self._rules = self.make_rules(configuration, checks)

    def make_rules(self, configuration: Configuration, checks: ChecksOfRules) -> RuleSet:
        """Return rules for `switch`. They take effect only then."""
        return make_rule_set(configuration, checks, self._actions)

    def switch(self, rules: RuleSet) -> None:
        """Decide new requests by these rules. Cannot fail. Caches of the store's content stay valid."""
        self._known.drop_requests()  # logs by the old rules
        self._clients.valid = rules.settings.cache_valid
        self._rules = rules

    def expire(self) -> None:
        """Remove expired cache entries. Call it periodically."""
        self._known.expire(self._steady())

    def clear_caches(self) -> None:
        """Empty the caches, since records were removed from the store."""
        self._known.clear()
        self._clients.clear()
        self._learned.clear()

    @property
    def helo_names(self) -> Sequence[tuple[str, frozenset[str]]]:
        """The HELO names of strangers from local addresses and from gateways, by address."""
        return self._hidden_clients.helo_names(self._steady())

    @property
    def cache_entries(self) -> dict[str, int]:
        """The number of entries, by cache."""
        return {**self._known.entries, "clients": len(self._clients)}

    def answer(self, raw: RawRequest) -> Action | Coroutine[None, None, Action]:
        """Return the action if neither store nor DNS is needed, else a coroutine that returns it.

        Every failure results in an action.
        """
        if self._known.answers(raw):
            return DUNNO
        now, rules = self._clock(), self._rules
        request = raw.parse_bounded()
        try:
            decision = self._first_steps(request, now, rules)
        except Exception:  # noqa: BLE001 (Postfix needs an answer even after a bug; _failed logs it)
            decision = self._failed(request)
        if not isinstance(decision, Decision):
            return self._answer_later(decision, raw)
        if decision.reason is Reason.KNOWN and decision.triplet:
            CACHE_HITS["triplets"].inc()
            line = rules.log.known_line(request, decision.section)
            self._known.add_request(line, decision.triplet, raw, self._steady(), decision.section)
            return DUNNO
        self._store.add_decision(rules.entry(decision, now))
        return self._log_and_answer(decision, now, rules)

    def _log_known(self, requests: Sequence[tuple[KnownRequest, RawRequest]], rules: RuleSet) -> None:
        """Log, count and store requests of known mail that these rules decided."""
        now = self._clock()
        rules.log.write_known(requests)
        count("pass", Reason.KNOWN, len(requests))
        self._store.add_known_decisions(
            now, requests, lambda request: rules.entry(request[0].decision(request[1]), now)
        )

    async def _answer_later(self, pending: PendingRequest, raw: RawRequest) -> Action:
        try:
            decision = await self._later_steps(pending)
        except StoreError:
            decision = self._decide_without_store(pending)
        except Exception:  # noqa: BLE001 (as in answer)
            decision = self._failed(pending.request)
        observe_answer(decision.reason, time.monotonic() - pending.started)
        if decision.reason is Reason.KNOWN:
            triplet = decision.triplet or pending.triplet  # its client may have been verified meanwhile
            line = pending.rules.log.known_line(pending.request, decision.section)
            known = KnownRequest(line, "\n".join(triplet), decision.section)
            self._log_known([(known, raw)], pending.rules)
            return DUNNO
        if decision.defers and _is_listed(decision.evidence) and len(self._explaining) < _MOST_EXPLANATIONS:
            explaining = asyncio.get_running_loop().create_task(self._explain_listings(decision, pending))
            self._explaining.add(explaining)
            explaining.add_done_callback(self._explaining.discard)
        else:
            self._store.add_decision(pending.rules.entry(decision, pending.now))
        return self._log_and_answer(decision, pending.now, pending.rules)

    async def _explain_listings(self, decision: Decision, pending: PendingRequest) -> None:
        """After the answer: fetch, log and store the lists' explanations, which may help the client's operator."""
        try:
            evidence = await pending.rules.checks.explain(decision.evidence, pending.address)
            decision = decision._replace(evidence=evidence)
            pending.rules.log.write_listings(decision)
        finally:
            self._store.add_decision(pending.rules.entry(decision, pending.now))

    async def close(self) -> None:
        """Log all answered requests, and cancel the fetching of explanations."""
        self._known.flush()
        for explaining in self._explaining:
            explaining.cancel()
        await asyncio.gather(*self._explaining, return_exceptions=True)

    async def decide(self, request: Request) -> Decision:
        """Run all nine steps, without log and answer. Raises StoreError."""
        decision = self._first_steps(request, self._clock(), self._rules)
        return decision if isinstance(decision, Decision) else await self._later_steps(decision)

    def _first_steps(self, request: Request, now: datetime, rules: RuleSet) -> Decision | PendingRequest:
        """Run steps 1 to 4, and 5 if the triplet is cached."""
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
        pending = PendingRequest.of(request, address, now, rules)
        if exemption := pending.exemption():
            return exemption
        if rules.sections:
            pending = pending.in_section()
        if pending.rules.settings.mode == "off":
            return pending.decision(Reason.OFF)
        if pending.triplet in self._known:
            if self._learns(pending):
                self._store.record_later(pending.sighting(Status.CLEAN))
            return pending.decision(Reason.KNOWN, standing=Standing.KNOWN)
        return pending

    def _learns(self, pending: PendingRequest) -> bool:
        """Return whether the store does not know yet, by known mail, that this domain is verified on this network."""
        if pending.triplet.client == pending.network:
            return False
        key, now = f"{pending.network}\n{pending.triplet.client}", self._steady()
        if self._learned.get(key, now):
            return False
        self._learned.put(key, True, now)
        return True

    async def _later_steps(self, pending: PendingRequest) -> Decision:
        """Run steps 5 to 9; before 7, the rest of step 4."""
        pending = pending.with_records(await self._store.find(pending.keys(has_wildcards=self.has_wildcards)))
        if pending.rules.has_spf_entries and pending.may_be_deferred:
            exempt = await pending.exemption_by_spf()
            if isinstance(exempt, Decision):
                return exempt
            pending = exempt
        return await self._decide_recorded(pending) or await self._decide_stranger(pending)

    async def _decide_recorded(self, pending: PendingRequest) -> Decision | None:
        """Run steps 5 to 7; return None for a stranger."""
        match pending.located:
            case Located(standing=Standing.KNOWN, record=Record() as record, is_elsewhere=is_elsewhere):
                decision = pending.decision(Reason.KNOWN)
                if self._learns(pending) or is_elsewhere or pending.now - record.last_seen >= _REFRESH:
                    self._store.record_later(pending.sighting(record.status))
            case Located(standing=Standing.WAITED, record=Record() as record):
                self._clients.put(pending.judged_as, True, self._steady())
                decision = pending.decision(Reason.WAITED, delayed=pending.now - record.first_seen)
                for sighting in pending.sightings_of_passing():
                    self._store.record_later(sighting)
            case Located(standing=Standing.EARLY, record=Record() as record):
                return await self._decide_early(pending, record)
            case _:
                return None
        self._known.add_triplet(pending.triplet, self._steady())
        return decision

    async def _decide_early(self, pending: PendingRequest, record: Record) -> Decision:
        """Run step 7."""
        # abs(): another node's clock, or a concurrent request, may be a little ahead.
        counts = abs(pending.now - record.last_seen) >= pending.rules.settings.cache_valid
        await self._store.record(pending.sighting(Status.GREYLISTED, attempts=int(counts)), pending.seconds_left)
        wait = pending.rules.timing.remaining(record._replace(attempts=record.attempts + counts), pending.now)
        return pending.decision(Reason.EARLY, defers=True, wait=wait)

    async def _decide_stranger(self, pending: PendingRequest) -> Decision:
        """Run steps 8 and 9."""
        now = self._steady()
        self._hidden_clients.observe(pending.address, pending.request.helo_name, now)
        if pending.rules.settings.classic:
            return await self._record_stranger(pending, _CLASSIC, NO_EVIDENCE)
        was_good = self._clients.get(pending.judged_as, now)
        if was_good is not None:
            CACHE_HITS["clients"].inc()
            return await self._record_stranger(pending, _AS_BEFORE[was_good], NO_EVIDENCE)
        named, evidence = await pending.rules.checks.gather(pending.request, pending.address)
        if named != pending.request:
            found = await self._decide_by_name(pending, named)
            if isinstance(found, Decision):
                return found
            pending = found
        judgement = judge(evidence, pending.rules.thresholds)
        self._clients.put(pending.judged_as, judgement.status is not Status.GREYLISTED, self._steady())
        return await self._record_stranger(pending, judgement, evidence)

    async def _decide_by_name(self, pending: PendingRequest, named: Request) -> Decision | PendingRequest:
        """Run steps 4 to 7 again, with a name that the checks verified and the MTA did not find.

        Return the request under its new triplet if it is still a stranger's. Its attributes stay those of the MTA.
        """
        renamed = PendingRequest.of(named, pending.address, pending.now, pending.rules)
        renamed = renamed._replace(verified_name=named.client_name, spf=pending.spf)
        if exemption := renamed.exemption():
            return exemption._replace(request=pending.request)
        renamed = renamed._replace(request=pending.request, started=pending.started)
        if renamed.triplet == pending.triplet:
            return renamed._replace(located=pending.located)
        if renamed.triplet in self._known:
            return renamed.decision(Reason.KNOWN, standing=Standing.KNOWN)
        keys = renamed.keys(has_wildcards=self.has_wildcards)
        renamed = renamed.with_records(await self._store.find(keys, renamed.seconds_left))
        return await self._decide_recorded(renamed) or renamed

    async def _record_stranger(self, pending: PendingRequest, judgement: Judgement, evidence: Evidence) -> Decision:
        """Record the judgement. A deferral is durable before its answer is sent; a pass need not be."""
        status, reason = judgement
        sighting = pending.sighting(status)
        if status is Status.GREYLISTED:
            await self._store.record(sighting, pending.seconds_left)
            return pending.decision(reason, evidence=evidence, defers=True, wait=pending.rules.timing.wait(attempts=0))
        self._store.record_later(sighting)
        self._known.add_triplet(pending.triplet, self._steady())
        return pending.decision(reason, evidence=evidence)

    def _decide_without_store(self, pending: PendingRequest) -> Decision:
        """Decide by `on_store_error`. The sighting is queued until the store is back."""
        if pending.rules.settings.on_store_error == "pass":
            self._store.record_later(pending.sighting(Status.CLEAN))
            return pending.decision(Reason.STORE_ERROR)
        self._store.record_later(pending.sighting(Status.GREYLISTED))
        return pending.decision(Reason.STORE_ERROR, defers=True, wait=pending.rules.timing.wait(attempts=0))

    def _log_and_answer(self, decision: Decision, now: datetime, rules: RuleSet) -> Action:
        rules.log.write(decision)
        count(decision.outcome(observes=rules.observes), decision.reason)
        return rules.actions.action(decision, now, self._steady())

    def _failed(self, request: Request) -> Decision:
        """Log the present exception, which is a bug, and return the decision in its place."""
        _log.exception("internal error, answered DUNNO; please report it. %r", request)
        return Decision(request, Reason.INTERNAL_ERROR)

    def _warn_incomplete(self, request: Request) -> None:
        now = self._steady()
        if self._warned is None or now - self._warned >= _WARN_AGAIN:
            self._warned = now
            _log.warning("no usable client_address or recipient, answered DUNNO: %r", request)


def _is_listed(evidence: Evidence) -> bool:
    return any(each.answer.meaning is Meaning.LISTED for finding in evidence.values() for each in finding.answers)
