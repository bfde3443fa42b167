"""`bley why`: the decisions about a mail, what became of each, and what to do if it was wrong."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from bley.commands.ending import EXIT_FAILED
from bley.commands.options import WIRE_TEXT, config_option, json_option, load_settings, run
from bley.commands.output import instant_document, print_document, print_steps, record_document
from bley.commands.progress import progress
from bley.commands.store_access import opened_history
from bley.core.findings import Check
from bley.core.greylist import Record, Standing, Status
from bley.core.history.advice import Advice, advice
from bley.core.history.outcome import (
    DeferralOutcome,
    deferral_outcome,
    format_duration,
    possible_triplets,
    united_record,
    waited_query,
    wildcard_triplets,
)
from bley.core.history.search import DecisionQuery, Search, StoredDecision
from bley.core.history.steps import (
    Step,
    describe_record,
    describe_request,
    describe_triplet,
    describe_verdict,
    finding_steps,
    format_instant,
)
from bley.core.mail import Triplet
from bley.core.triplet import TripletRules
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.store.history import SEARCH_SECONDS, History, PartialResult
from bley.store.key_claim import confirm_key
from bley.store.opening import open_engine

__all__ = ["ExplainedDecision", "WhyReport", "report", "why"]

_MOST_WAITED = 10_000


class ExplainedDecision(NamedTuple):
    """One decision; of a deferral what became of it."""

    decision: StoredDecision
    sequel: DeferralOutcome | None
    advice: Sequence[Advice]

    @property
    def steps(self) -> list[Step]:
        """For people."""
        decision = self.decision
        steps = [("when", format_instant(decision.at)), ("request", describe_request(decision))]
        if decision.triplet:
            steps.append(("triplet", describe_triplet(decision.triplet)))
        if standing := decision.details.get("standing"):
            steps.append(("standing", standing))
        steps += finding_steps(decision.details.get("findings", {}), _why_not)
        steps.append(("verdict", _verdict(decision)))
        if ids := [f"{name}={text}" for name in ("instance", "queue_id") if (text := getattr(decision, name))]:
            steps.append(("log", ", ".join(ids)))
        if self.sequel:
            steps.append(("then", str(self.sequel)))
        return steps

    @property
    def document(self) -> dict[str, Any]:
        """For programs: docs/json.md."""
        fields = self.decision._asdict() | {"at": instant_document(self.decision.at)}
        details = fields.pop("details")
        triplet = self.decision.triplet
        return fields | {
            "triplet": triplet and triplet._asdict(),
            **{name: details.get(name) for name in _DETAILS},
            "attempts": details.get("attempts", 0) if "first_seen" in details else None,
            "findings": details.get("findings", {}),
            "sequel": self.sequel and _sequel_document(self.sequel),
            "advice": [each._asdict() for each in self.advice],
        }


_DETAILS = ("standing", "first_seen", "wait_seconds", "delay_seconds", "entry")


@dataclass(frozen=True, slots=True)
class WhyReport:
    """All that was found, the newest first."""

    configuration: Configuration
    text: str
    now: datetime
    told: Sequence[ExplainedDecision]
    records: Sequence[tuple[Triplet, Record]]
    is_whole: bool = True
    """Whether all was looked at that could fit."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known."""
        return not (self.told or self.records)

    def describe_record(self, record: Record) -> str:
        """A record, and how long it waits."""
        timing = self.configuration.settings.timing
        text = describe_record(record)
        if record.status is not Status.GREYLISTED:
            return text
        match timing.standing(record, self.now):
            case Standing.EARLY:
                return f"{text}, {format_duration(timing.remaining(record, self.now))} left"
            case Standing.NEW:
                return f"{text}, too long ago: a stranger again"
        return f"{text}, the wait is over"

    @property
    def unfinished(self) -> str:
        """What to do where not all was looked at."""
        return f"there may be more: the search ended after {SEARCH_SECONDS:g} s; a more exact text takes less"

    @property
    def nothing(self) -> str:
        """Why nothing may be known."""
        days = format_duration(self.configuration.settings.log_days)
        return (
            f"nothing is known of {self.text}: decisions are kept for {days} (log_days); "
            "of floods of known mail some are only counted"
        )

    @property
    def document(self) -> dict[str, Any]:
        """For programs: docs/json.md."""
        return {
            "query": self.text,
            "at": instant_document(self.now),
            "decisions": [each.document for each in self.told],
            "records": [self._record_document(*each) for each in self.records],
            "is_whole": self.is_whole,
        }

    def _record_document(self, triplet: Triplet, record: Record) -> dict[str, Any]:
        left = None
        if record.status is Status.GREYLISTED:
            left = max(self.configuration.settings.timing.remaining(record, self.now).total_seconds(), 0.0)
        return record_document(triplet, record) | {"left_seconds": left}


async def report(history: History, configuration: Configuration, text: str, limit: int, now: datetime) -> WhyReport:
    """What is known of `text`, at most so many decisions and records. Raises StoreError."""
    rules = configuration.triplet_rules
    search = Search(text, rules)
    decisions = await history.decisions(DecisionQuery(search=search), limit)
    records = await history.records(search, limit)
    deferrals = [decision for decision in decisions if decision.defers and decision.triplet]
    known = await history.find([place for each in decisions for place in _all_places(each, rules)])
    waited = await history.decisions(waited_query(deferrals), _MOST_WAITED) if deferrals else []

    def told(decision: StoredDecision) -> ExplainedDecision:
        became = None
        if decision in deferrals:
            record = united_record(decision, known, rules)
            became = deferral_outcome(decision, record, waited, configuration.settings.timing, now)
        kept_under = [place for place in _all_places(decision, rules) if place in known]
        return ExplainedDecision(decision, became, advice(decision, configuration.list_files, kept_under))

    is_whole = not isinstance(decisions, PartialResult) and not isinstance(records, PartialResult)
    return WhyReport(configuration, text, now, list(map(told, decisions)), records, is_whole)


def _all_places(decision: StoredDecision, rules: TripletRules) -> list[Triplet]:
    return [*possible_triplets(decision, rules), *wildcard_triplets(decision, rules)]


def _why_not(_check: Check) -> str:
    return "not asked"


def _verdict(decision: StoredDecision) -> str:
    details: Mapping[str, Any] = decision.details
    return describe_verdict(
        decision.reason,
        defers=decision.defers,
        entry=details.get("entry", ""),
        wait_seconds=details.get("wait_seconds"),
        delay_seconds=details.get("delay_seconds"),
    )


def _sequel_document(became: DeferralOutcome) -> dict[str, Any]:
    return {
        "fate": became.kind.value,
        "passed_at": became.passed_at and instant_document(became.passed_at),
        "delay_seconds": became.delay and became.delay.total_seconds(),
        "left_seconds": None if became.left is None else became.left.total_seconds(),
        "last_attempt": became.last_attempt and instant_document(became.last_attempt),
    }


@click.command()
@config_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Show at most so many.")
@json_option
@click.argument("query", type=WIRE_TEXT)
@click.pass_obj
def why(before: Path | None, file: Path | None, limit: int, as_json: bool, query: str) -> None:
    """Show the decisions about QUERY, what became of each, and what to do if it was wrong.

    QUERY is a mail address, a domain or host name, an IP address or network, an instance or a queue id, as it stands in
    the log; `<>` is the null sender.
    """
    configuration = load_settings(file or before)
    with progress("looking"):
        account = run(_why(configuration, query, limit))
    if as_json:
        print_document(account.document)
    else:
        _print_account(account)
    sys.exit(EXIT_FAILED if account.is_empty else 0)


async def _why(configuration: Configuration, query: str, limit: int) -> WhyReport:
    async with opened_history(configuration.settings) as history:
        await _confirm_key(configuration)
        return await report(history, configuration, query, limit, utc_now())


async def _confirm_key(configuration: Configuration) -> None:
    """Raise PrivacyKeyError where nothing would be found, since the store hashes addresses in another way."""
    engine = open_engine(configuration.settings.store, read_only=True)
    try:
        await confirm_key(engine, configuration.key, claims=False)
    finally:
        await engine.close()


def _print_account(account: WhyReport) -> None:
    if account.is_empty:
        click.echo(printable(account.nothing))
    for told in account.told:
        print_steps(told.steps)
        for number, each in enumerate(told.advice):
            text = printable(each.text.removesuffix(each.command)) + each.command
            click.echo(f"{'  ' if number else 'if this was wrong: '}{text}")
        click.echo()
    if not account.is_whole:
        click.echo(account.unfinished)
    for triplet, record in account.records:
        click.echo(f"{'record':<12}{printable(describe_triplet(triplet))}")
        click.echo(f"{'':<12}{account.describe_record(record)}")
