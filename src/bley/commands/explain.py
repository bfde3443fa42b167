"""`bley explain`: show every step of the decision about one request, and store nothing."""

import asyncio
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import uvloop

from bley.checks.followed_names import FollowedNames
from bley.checks.gather import Checks
from bley.checks.lists.watch import ListWatch
from bley.commands.documented import DocumentedCommand
from bley.commands.options import config_option, json_option, load_settings, request_options
from bley.commands.output import instant_document, print_document, print_steps, record_document
from bley.core.address_scope import describe_local
from bley.core.decision import Decision, DecisionEntry, Outcome
from bley.core.errors import StoreError
from bley.core.evidence import Evidence
from bley.core.findings import Check
from bley.core.history.steps import (
    Step,
    describe_record,
    describe_request,
    describe_triplet,
    describe_verdict,
    describe_verified_name,
    finding_steps,
)
from bley.core.mail import Request, parse_address
from bley.core.policy import rfc_sum
from bley.core.reasons import Reason
from bley.daemon.dns_checks import DnsChecks
from bley.ports import Clock, Store, utc_now
from bley.service.actions import Actions
from bley.service.service import Service
from bley.settings.database import Database
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from bley.store.batched import BatchedStore
from bley.store.memory import MemoryStore
from bley.store.opening import open_engine
from bley.store.sqlite_file import is_missing

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision at an instant, with the answer to Postfix; or the error of the store."""

    configuration: Configuration
    request: Request
    at: datetime
    decision: Decision | None = None
    answer: str = ""
    store_error: str = ""
    unresolved: Sequence[str] = ()
    """The names in the list of clients that bley follows and that do not resolve."""

    @property
    def settings(self) -> Settings:
        """The settings that are in force for the recipient."""
        return self.configuration.settings_of(self.decision.section if self.decision else "")

    @property
    def steps(self) -> list[Step]:
        """The steps for people."""
        steps = [("request", describe_request(self.request))]
        decision = self.decision
        if decision is None:
            verdict = f"{self.configuration.settings.on_store_error}, by on_store_error"
            return [*steps, ("store", self.store_error), ("verdict", verdict)]
        if decision.verified_name:
            steps.append(("name", describe_verified_name(decision.verified_name)))
        return [
            *steps,
            *_triplet(decision, self.configuration.settings.store),
            *([("rules", f"[recipients {decision.section}]")] if decision.section else []),
            *self._unresolved(decision),
            *self._entry_by_spf(decision),
            *([("relation", decision.relation)] if decision.relation else []),
            *self._findings(decision),
            ("verdict", _verdict(decision, self._outcome(decision))),
            ("answer", f"action={self.answer}"),
        ]

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document (docs/json.md)."""
        document: dict[str, Any] = {"at": instant_document(self.at), "request": self.request._asdict()}
        decision = self.decision
        if decision is None:
            return document | {"store_error": self.store_error}
        thresholds = self.settings.thresholds
        names = "dnswl_threshold", "dnsbl_threshold", "rfc_threshold"
        return document | {
            "outcome": self._outcome(decision),
            "reason": decision.reason.value,
            "section": decision.section or None,
            "triplet": decision.triplet and decision.triplet._asdict(),
            "standing": decision.standing and decision.standing.value,
            "places": list(decision.places),
            "verified_name": decision.verified_name,
            "record": decision.record and decision.triplet and record_document(decision.triplet, decision.record),
            "findings": self._details(decision).get("findings", {}),
            "sum": rfc_sum(decision.evidence),
            "thresholds": {name: getattr(thresholds, name) for name in names},
            "wait_seconds": decision.wait and decision.wait.total_seconds(),
            "delay_seconds": decision.delayed and decision.delayed.total_seconds(),
            "relation": decision.relation or None,
            "entry": decision.exempted_by,
            "answer": self.answer,
        }

    def _details(self, decision: Decision) -> dict[str, Any]:
        """Return the details of the decision as the store would have them."""
        return DecisionEntry(self.at, "pass", decision, self.request.sender, self.request.recipient).details

    def _outcome(self, decision: Decision) -> Outcome:
        return decision.outcome(observes=self.settings.mode == "observe")

    def _unresolved(self, decision: Decision) -> list[Step]:
        """Return the entries that would exempt a client if their names resolved."""
        if decision.exempted_by or not self.unresolved:
            return []
        others = f"; {len(self.unresolved) - 1} more like this" if len(self.unresolved) > 1 else ""
        return [("exempt", f"no; {self.unresolved[0]}{others}")]

    def _entry_by_spf(self, decision: Decision) -> list[Step]:
        """Return the entry of the list of senders that does not exempt this one, because SPF does not pass."""
        if decision.exempted_by or Check.SPF not in decision.evidence:
            return []
        entry = self.configuration.senders.if_spf_passes.find(self.request.sender)
        return [("exempt", f"no, SPF does not pass: {entry}")] if entry else []

    def _findings(self, decision: Decision) -> list[Step]:
        evidence = decision.evidence
        if not evidence:
            return []
        thresholds = self.settings.thresholds
        blocklists = "dnsbl + domain-list" if Check.DOMAIN_LIST in evidence else "dnsbl"
        limits = (
            f"dnswl {thresholds.dnswl_threshold}, {blocklists} {thresholds.dnsbl_threshold}, "
            f"sum {thresholds.rfc_threshold}"
        )
        steps = finding_steps(self._details(decision)["findings"], self._why_not)
        return [*steps, ("sum", _sum(evidence)), ("thresholds", limits)]

    def _why_not(self, check: Check) -> str:
        settings = self.configuration.settings
        is_off = {Check.DNSWL: not settings.dnswls, Check.DNSBL: not settings.dnsbls, Check.SPF: not settings.use_spf}
        address = parse_address(self.request.client_address)
        if check is Check.DOMAIN_LIST and not settings.domain_lists:
            return ""  # an option, which few need to know of
        if is_off.get(check):
            return "not asked: it is off"
        if check is Check.SPF and address and (local := describe_local(address)):
            return f"not asked: {local}"
        return "not asked: it could not change the verdict"


async def explain_request(configuration: Configuration, checks: Checks, clock: Clock, request: Request) -> Explanation:
    """Decide like a daemon that has just started: the cache of the running one (`cache_valid`) is not used."""
    checks = replace(checks, is_thorough=True)
    store = _open_store(configuration)
    hostname, now = socket.gethostname(), clock()
    service = Service(configuration, store, checks, clock, hostname)
    service.steps.has_wildcards = True
    try:
        decision = await service.decide(request)
        decision = decision._replace(evidence=await _with_list_texts(decision, checks))
    except StoreError as error:
        return Explanation(configuration, request, now, store_error=str(error))
    finally:
        await store.close()
    settings = configuration.settings_of(decision.section)
    answer = str(Actions(settings, hostname).action(decision, clock()))
    return Explanation(configuration, request, now, decision, answer)


async def _with_list_texts(decision: Decision, checks: Checks) -> Evidence:
    """Return the evidence, with the DNS lists' own explanations (TXT) of their listings."""
    address = parse_address(decision.request.client_address)
    return await checks.explain(decision.evidence, address) if address else decision.evidence


def _open_store(configuration: Configuration) -> Store:
    """Open the daemon's store for reading, or an empty one if there is none."""
    place = configuration.settings.store
    if place.dbtype == "sqlite3" and is_missing(place.file):
        return MemoryStore()
    return BatchedStore(open_engine(place, read_only=True), configuration.key, claims_key=False)


def _triplet(decision: Decision, place: Database) -> list[Step]:
    if decision.triplet is None:
        return []
    steps = [("triplet", describe_triplet(decision.triplet))]
    if decision.standing is not None:
        under = "" if decision.places in ((), (decision.triplet.client,)) else f", under {', '.join(decision.places)}"
        steps.append(("store", f"{place}: {describe_record(decision.record)}{under}"))
        steps.append(("standing", decision.standing.value))
    return steps


def _sum(evidence: Evidence) -> str:
    """Return the sum that is compared with `rfc_threshold`, with a note if s_eq_r does not count in it."""
    total, own = rfc_sum(evidence), evidence.get(Check.SENDER_IS_RECIPIENT)
    text = f"{total}  without {'dnsbl, domain-list and dnswl' if Check.DOMAIN_LIST in evidence else 'dnsbl and dnswl'}"
    if own and total == rfc_sum({**evidence, Check.SENDER_IS_RECIPIENT: own._replace(score=0)}) and own.score:
        text += "; s_eq_r counts only with a finding about the client, or if SPF does not pass"
    return text


def _verdict(decision: Decision, outcome: Outcome) -> str:
    return describe_verdict(
        outcome,
        decision.reason.value,
        entry=decision.exempted_by,
        wait_seconds=decision.wait.total_seconds() if decision.wait is not None else None,
        delay_seconds=decision.delayed.total_seconds()
        if decision.reason is Reason.WAITED and decision.delayed is not None
        else None,
    )


@click.command(
    cls=DocumentedCommand,
    examples=[
        "bley explain --client-address 192.0.2.1 --helo-name friend \\",
        "    --sender a@example.com --recipient b@example.org",
    ],
)
@config_option
@json_option
@request_options
def explain(file: Path | None, as_json: bool, request: Request) -> None:
    """Show every step of the decision about a request.

    Nothing is stored. The steps are the normalized triplet, its record, each finding with its score and detail, each
    DNS list's answer with its weight, the verdict and its reason. The cache of the running bley (cache_valid) is not
    used.
    """
    explanation = uvloop.run(_explain(load_settings(file), request))
    if as_json:
        print_document(explanation.document)
    else:
        print_steps(explanation.steps)


async def _explain(configuration: Configuration, request: Request) -> Explanation:
    logging.getLogger("bley").addHandler(logging.NullHandler())  # the steps have everything
    watch = ListWatch(utc_now)
    dns = DnsChecks(configuration.settings, watch)
    dns.activate()
    followed = FollowedNames(logs=False)
    followed.switch(configuration.clients, dns.uncached)
    try:
        within = configuration.settings.check_timeout
        await asyncio.gather(watch.wait_tested(within), followed.wait_resolved(within))
        explanation = await explain_request(configuration, dns.checks, utc_now, request)
        return replace(explanation, unresolved=followed.troubles)
    finally:
        await followed.close()
        await watch.close()
        await dns.close()
