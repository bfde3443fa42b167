"""From a request to its answer, its log line and its entry in the store."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from datetime import datetime

from bley.core.decision import Decision, KnownRequest
from bley.core.errors import StoreError
from bley.core.evidence import is_listed
from bley.core.history.domain_counts import counted_domains
from bley.core.mail import Action, RawRequest, Request
from bley.core.reasons import Reason
from bley.metrics import CACHE_HITS, count, count_came_back, observe_answer
from bley.ports import Clock, Store, steady_now, utc_now
from bley.service.actions import DUNNO, Actions
from bley.service.hidden_clients import HiddenClients
from bley.service.known_mail import KnownMail
from bley.service.nine_steps import NineSteps
from bley.service.pending_request import PendingRequest
from bley.service.rule_set import ChecksOfRules, RuleSet, make_rule_set
from bley.settings.file import Configuration

__all__ = ["Service"]

_MOST_EXPLANATIONS = 100
"""The most deferred clients whose listings are explained at the same time; each may take check_timeout."""

_log = logging.getLogger(__name__)


class Service:
    """Answers, logs and stores requests, which the nine steps decide; caches known mail."""

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        checks: ChecksOfRules,
        clock: Clock,
        hostname: str,
        steady: Clock | None = None,
        hidden_clients: HiddenClients | None = None,
    ) -> None:
        self._store, self._clock = store, clock
        # A test's clock is monotonic, and measures durations too.
        self._steady = steady or (steady_now if clock is utc_now else clock)
        settings = configuration.settings
        self._known = KnownMail(settings.cache_size, lambda known: self._log_known(known, self._rules))
        self.steps = NineSteps(store, self._known, settings, self._steady, hidden_clients or HiddenClients())
        self._explaining: set[asyncio.Task[None]] = set()
        self._actions = Actions(settings, hostname)
        self._rules = self.make_rules(configuration, checks)

    def make_rules(self, configuration: Configuration, checks: ChecksOfRules) -> RuleSet:
        """Return rules for `switch`. They take effect only then."""
        return make_rule_set(configuration, checks, self._actions)

    def switch(self, rules: RuleSet) -> None:
        """Decide new requests by these rules. Cannot fail. Caches of the store's content stay valid."""
        self._known.drop_requests()  # logs by the old rules
        self.steps.clients.valid = rules.settings.cache_valid
        self._rules = rules

    def expire(self) -> None:
        """Remove expired cache entries. Call it periodically."""
        self._known.expire(self._steady())

    def clear_caches(self) -> None:
        """Empty the caches, since records were removed from the store."""
        self._known.clear()
        self.steps.clear_caches()

    @property
    def helo_names(self) -> Sequence[tuple[str, frozenset[str]]]:
        """The HELO names of strangers from local addresses and from gateways, by address."""
        return self.steps.hidden_clients.helo_names(self._steady())

    @property
    def cache_entries(self) -> dict[str, int]:
        """The number of entries, by cache."""
        return {**self._known.entries, "clients": len(self.steps.clients)}

    def answer(self, raw: RawRequest) -> Action | Coroutine[None, None, Action]:
        """Return the action if neither store nor DNS is needed, else a coroutine that returns it.

        Every failure results in an action.
        """
        if self._known.answers(raw):
            return DUNNO
        now, rules = self._clock(), self._rules
        request = raw.parse_bounded()
        try:
            decision = self.steps.run_first(request, now, rules)
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

    def _log_known(
        self, requests: Sequence[tuple[KnownRequest, RawRequest]], rules: RuleSet, found: Decision | None = None
    ) -> None:
        """Log, count and store requests of known mail that these rules decided.

        `found`: the decision about the only one, with the record from the store.
        """
        now = self._clock()
        rules.log.write_known(requests)
        count("pass", Reason.KNOWN, len(requests))
        domains = [known.domains for known, _ in requests]
        self._store.add_known_decisions(
            now,
            requests,
            lambda request: rules.entry(found or request[0].decision(request[1]), now),
            rules.settings.node_name,
            domains,
        )

    async def _answer_later(self, pending: PendingRequest, raw: RawRequest) -> Action:
        try:
            decision = await self.steps.run_later(pending)
        except StoreError:
            decision = self.steps.decide_without_store(pending)
        except Exception:  # noqa: BLE001 (as in answer)
            decision = self._failed(pending.request)
        observe_answer(decision.reason, time.monotonic() - pending.started)
        if decision.reason is Reason.KNOWN:
            triplet = decision.triplet or pending.triplet  # its client may have been verified meanwhile
            line = pending.rules.log.known_line(pending.request, decision.section)
            known = KnownRequest(line, "\n".join(triplet), decision.section, counted_domains(*triplet[1:]))
            self._log_known([(known, raw)], pending.rules, decision)
            return DUNNO
        if decision.defers and is_listed(decision.evidence) and len(self._explaining) < _MOST_EXPLANATIONS:
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
        """Log all answered requests, and end the queries that only explain their decisions."""
        self._known.flush()
        self.steps.lists.close()
        for explaining in self._explaining:
            explaining.cancel()
        await asyncio.gather(*self._explaining, return_exceptions=True)

    async def decide(self, request: Request) -> Decision:
        """Run all nine steps, without log and answer. Raises StoreError."""
        decision = self.steps.run_first(request, self._clock(), self._rules)
        return decision if isinstance(decision, Decision) else await self.steps.run_later(decision)

    def _log_and_answer(self, decision: Decision, now: datetime, rules: RuleSet) -> Action:
        rules.log.write(decision)
        count(decision.outcome(observes=rules.observes), decision.reason)
        if decision.delayed is not None:
            count_came_back(decision.cause_reason)
        return rules.actions.action(decision, now, self._steady())

    def _failed(self, request: Request) -> Decision:
        """Log the present exception, which is a bug, and return the decision in its place."""
        _log.exception("internal error, answered DUNNO; please report it. %r", request)
        return Decision(request, Reason.INTERNAL_ERROR)
