"""The trial: the daemon's own nine steps judge each mail, in the order of time, with the memory that it would have had.

A deferred ham mail is assumed to be retried, and to pass once its wait is over. A spam mail is assumed not to be: the
next one of its triplet counts as the daemon counts it, as an attempt or as one that waited.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from bley.checks.helo import OwnIdentity
from bley.core.decision import Decision
from bley.core.evidence import Evidence, Finding
from bley.core.findings import AnyCheck, Check
from bley.core.greylist import Standing
from bley.core.mail import Address, Request, Triplet, parse_address
from bley.core.reasons import Reason
from bley.core.scores import Scores
from bley.service.hidden_clients import HiddenClients
from bley.service.rule_set import ChecksOfRules
from bley.service.service import Service
from bley.settings.file import Configuration
from bley.trial.alternatives import Alternatives
from bley.trial.facts import HAM, Facts
from bley.trial.judging import LackingChecks, OfflineChecks, gather_offline
from bley.trial.memory import TrialStore

__all__ = ["MOST_DELAYED", "Delayed", "Figures", "Trial", "run_now"]

_T = TypeVar("_T")

MOST_DELAYED = 2000
"""Delayed ham mails of which the evidence is kept: some 2 kB each. The others are counted."""

_MOST_CLIENTS = 1000
"""Client addresses whose mails are counted: one with most mail is among the first."""

_MOST_FOLDERS = 1000
"""Folders whose mails are counted, some 300 bytes each; those of all others are counted together."""

_RETRY_AFTER = 1
"""The seconds after the end of a wait at which the retry comes: a wait that is exactly over is not over."""

_EXPIRE_AFTER = 60
"""The seconds after which the daemon removes what has expired from its caches (daemon/instance.py)."""


class _Waiting(NamedTuple):
    """A ham mail that will be retried."""

    due: int
    request: Request
    lacks: int


class Delayed(NamedTuple):
    """A ham mail that would have waited."""

    facts: Facts
    decision: Decision
    wait: timedelta


class Figures:
    """The counts of one label."""

    def __init__(self) -> None:
        self.mails, self.delayed = 0, 0
        self.passed: Counter[str] = Counter()
        """By reason."""
        self.reasons: Counter[str] = Counter()
        """Of delayed mail, by the first cause of the delay."""
        self.months: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        """By year and month: mails, and delayed ones."""
        self.folders: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        """The same by folder."""
        self.strangers = 0

    def folder(self, name: str) -> list[int]:
        """Return the counts of a folder, or of all others than the first."""
        is_other = name not in self.folders and len(self.folders) >= _MOST_FOLDERS
        return self.folders["other folders" if is_other else name]


class _NoHiddenClients(HiddenClients):
    """The trial finds no gateways, whose warning is about the present."""

    def observe(self, address: Address, helo_name: str, now: datetime) -> None:
        """Do nothing."""


def run_now(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine that never waits, without an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        result: _T = end.value
        return result
    work.close()
    raise RuntimeError("the trial without DNS waited for something")


class Trial:
    """The judgement of mail after mail. `checks`: those of --dns; None: without DNS."""

    def __init__(self, configuration: Configuration, us: OwnIdentity, checks: ChecksOfRules | None = None) -> None:
        settings = configuration.settings
        self._configuration, self._us, self._lacks = configuration, us, [0]
        self._store = TrialStore(settings.timing.lifetimes)
        self._now = datetime.fromtimestamp(0, UTC)
        self._service = Service(
            configuration,
            self._store,
            LackingChecks(checks, self._lacks) if checks else OfflineChecks(us, settings.scores, self._lacks),
            lambda: self._now,
            us.hostname,
            hidden_clients=_NoHiddenClients(),
        )
        self._waiting: dict[Triplet, _Waiting] = {}
        """The ham that waits, by triplet: as many as come within a wait."""
        self._due: list[tuple[int, Triplet]] = []
        """The same as a heap."""
        self._expired = 0
        self.figures: defaultdict[str, Figures] = defaultdict(Figures)
        self.lacks: Counter[int] = Counter()
        """By the sum of keys of `LACKS`."""
        self.clients: Counter[str] = Counter()
        """Mails by client address, of the first clients."""
        self.delayed: list[Delayed] = []
        self.delayed_beyond = 0
        """Delayed ham mails beyond MOST_DELAYED."""
        self.first: int | None = None
        self.last = 0
        self.alternatives = Alternatives(configuration)

    async def judge(self, facts: Facts) -> Decision:
        """Judge the next mail in the order of time."""
        await self._retry_until(facts.at)
        request, address = facts.request, parse_address(facts.client_address)
        decision = await self._decide(request, facts.at, facts.lacks)
        self._count(facts, decision)
        if decision.defers:
            self._retry_later(decision, request, facts)
        if address is not None:
            evidence = _Evidence(self, request, address, facts.lacks, decision)
            self.alternatives.count(decision, address, facts.at, facts.label, evidence)
        return decision

    async def _decide(self, request: Request, at: int, lacks: int) -> Decision:
        self._now, self._lacks[0] = datetime.fromtimestamp(at, UTC), lacks
        self._store.set_now(at)
        if at - self._expired >= _EXPIRE_AFTER:
            self._expired = at
            self._service.expire()
        return await self._service.decide(request)

    async def _retry_until(self, at: int) -> None:
        """Retry the mails whose waits are over by then, in the order of time."""
        while self._due and self._due[0][0] <= at:
            due, triplet = heapq.heappop(self._due)
            waiting = self._waiting[triplet]
            if waiting.due > due:  # another mail of the triplet came too early, which made the wait longer
                heapq.heappush(self._due, (waiting.due, triplet))
                continue
            del self._waiting[triplet]
            decision = await self._decide(waiting.request, due, waiting.lacks)
            if address := parse_address(waiting.request.client_address):
                self.alternatives.trust(decision, address, due)

    def _retry_later(self, decision: Decision, request: Request, facts: Facts) -> None:
        """Retry the mail once its wait is over; one retry makes all mail of the triplet known."""
        triplet, due = decision.triplet, facts.at + decision.wait_seconds + _RETRY_AFTER
        if triplet in self._waiting:
            self._waiting[triplet] = self._waiting[triplet]._replace(due=due)
        elif triplet and facts.label == HAM:
            self._waiting[triplet] = _Waiting(due, request, facts.lacks)
            heapq.heappush(self._due, (due, triplet))

    def scores_of(self, section: str) -> Scores:
        """Return the scores in force for the recipients of the section."""
        return self._configuration.settings_of(section).scores

    def gather(self, request: Request, address: Address, lacks: int, scores: Scores) -> Evidence:
        """Return the evidence without DNS, by these scores."""
        return gather_offline(request, address, self._us, scores, lacks)

    def _count(self, facts: Facts, decision: Decision) -> None:
        figures = self.figures[facts.label]
        parts = figures.months[self._now.year, self._now.month], figures.folder(facts.folder)
        figures.mails += 1
        for part in parts:
            part[0] += 1
            part[1] += decision.defers
        self.lacks[facts.lacks] += 1
        if facts.client_address in self.clients or len(self.clients) < _MOST_CLIENTS:
            self.clients[facts.client_address] += 1
        self.first, self.last = self.first if self.first is not None else facts.at, facts.at
        figures.strangers += decision.standing is Standing.NEW
        if not decision.defers:
            figures.passed[decision.reason.value] += 1
            return
        figures.delayed += 1
        is_repeated = decision.reason in (Reason.EARLY, Reason.CLIENT_BAD)
        figures.reasons[decision.cause_reason if is_repeated and decision.cause_reason else decision.reason.value] += 1
        if facts.label == HAM:
            if len(self.delayed) < MOST_DELAYED:
                self.delayed.append(Delayed(facts, decision, decision.wait or timedelta(0)))
            else:
                self.delayed_beyond += 1


class _Evidence:
    """The evidence about one mail by any scores, gathered at most once for each."""

    def __init__(self, trial: Trial, request: Request, address: Address, lacks: int, decision: Decision) -> None:
        self._trial, self._of_mail, self._decision = trial, (request, address, lacks), decision
        self._found: list[tuple[Scores, Evidence]] = []
        if decision.evidence:
            self._found.append((trial.scores_of(decision.section), decision.evidence))

    def __call__(self, scores: Scores) -> Evidence:
        for known, evidence in self._found:
            if known is scores or known == scores:
                return evidence
        own = self._decision.evidence
        by_dns: dict[AnyCheck, Finding] = {
            check: own[check] for check in (Check.SPF, Check.DNSBL, Check.DNSWL) if check in own
        }
        evidence = {**self._trial.gather(*self._of_mail, scores), **by_dns}
        self._found.append((scores, evidence))
        return evidence
