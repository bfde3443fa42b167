"""`bley why`: show the decisions about a mail, the outcome of each, and the remedy if it was wrong."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.ending import EXIT_FAILED
from bley.commands.options import WIRE_TEXT, config_option, json_option, load_settings, run
from bley.commands.output import instant_document, print_document, print_hanging, print_steps, timed_record_document
from bley.commands.progress import progress
from bley.commands.store_access import confirm_stored_key, opened_history
from bley.core.findings import Check
from bley.core.greylist import Record, Standing, Status
from bley.core.history.advice import Advice, advice
from bley.core.history.outcome import (
    DeferralOutcome,
    deferral_outcome,
    format_duration,
    passes_query,
    possible_triplets,
    united_record,
    wildcard_triplets,
)
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, Search, StoredDecision
from bley.core.history.steps import (
    Step,
    describe_record,
    describe_request,
    describe_triplet,
    describe_verdict,
    describe_verified_name,
    finding_steps,
    format_instant,
)
from bley.core.mail import Triplet
from bley.core.reasons import Reason
from bley.core.triplet import TripletRules
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.sections import Timings
from bley.store.history import SEARCH_SECONDS, History, PartialResult

__all__ = ["ExplainedDecision", "WhyReport", "build_report", "why"]

_MOST_PASSES = 10_000
"""The number of passes in which the outcomes of deferrals are searched."""


class ExplainedDecision(NamedTuple):
    """One decision, with its outcome if it was a deferral."""

    decision: StoredDecision
    outcome: DeferralOutcome | None
    advice: Sequence[Advice]

    @property
    def steps(self) -> list[Step]:
        """The steps for people."""
        decision = self.decision
        steps = [("when", format_instant(decision.at))]
        if decision.reason != Reason.RELEASED:  # an operator's decision, about no request
            steps.append(("request", describe_request(decision)))
        if name := decision.details.get("verified_name"):
            steps.append(("name", describe_verified_name(name)))
        if decision.triplet:
            steps.append(("triplet", describe_triplet(decision.triplet)))
        if section := decision.details.get("section"):
            steps.append(("rules", f"[recipients {section}]"))
        if standing := decision.details.get("standing"):
            steps.append(("standing", standing))
        if places := decision.details.get("places"):
            steps.append(("records", f"under {', '.join(places)}"))
        steps += finding_steps(decision.details.get("findings", {}), _why_not)
        steps.append(("verdict", _verdict(decision)))
        if ids := [f"{name}={text}" for name in ("instance", "queue_id") if (text := getattr(decision, name))]:
            steps.append(("log", ", ".join(ids)))
        if self.outcome:
            steps.append(("then", str(self.outcome)))
        return steps

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document (docs/json.md)."""
        fields = self.decision._asdict() | {"at": instant_document(self.decision.at)}
        details = fields.pop("details")
        triplet = self.decision.triplet
        return fields | {
            "triplet": triplet and triplet._asdict(),
            **{name: details.get(name) for name in _DETAILS},
            "attempts": details.get("attempts", 0) if "first_seen" in details else None,
            "findings": details.get("findings", {}),
            "sequel": self.outcome and _outcome_document(self.outcome),
            "advice": [each._asdict() for each in self.advice],
        }


_DETAILS = (
    "verified_name", "standing", "places", "first_seen", "cause", "wait_seconds", "delay_seconds", "entry", "section",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WhyReport:
    """The decisions and records that match a query, the newest first."""

    configuration: Configuration
    timings: Timings
    query: str
    now: datetime
    decisions: Sequence[ExplainedDecision]
    records: Sequence[tuple[Triplet, Record]]
    is_whole: bool = True
    """Whether the search examined everything that could match."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing matches."""
        return not (self.decisions or self.records)

    def describe_record(self, triplet: Triplet, record: Record) -> str:
        """Return the record in words, with the rest of its wait."""
        timing = self.timings.of(triplet.recipient)
        text = describe_record(record)
        if record.status is not Status.GREYLISTED:
            return text
        match timing.standing(record, self.now):
            case Standing.EARLY:
                return f"{text}, {format_duration(timing.remaining(record, self.now))} left"
            case Standing.NEW:
                return f"{text}, expired: a stranger again"
        return f"{text}, the wait is over"

    @property
    def partial_notice(self) -> str:
        """The notice that the search was cut short, with the remedy."""
        return f"there may be more: the search stopped after {SEARCH_SECONDS:g} s; a more exact query takes less time"

    @property
    def empty_notice(self) -> str:
        """The notice that nothing matches, with the possible reasons."""
        days = format_duration(self.configuration.settings.log_days)
        return (
            f"nothing is stored about {self.query}: decisions are deleted after {days} (log_days), "
            "and in a flood of known mail some are only counted"
        )

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document (docs/json.md)."""
        return {
            "query": self.query,
            "at": instant_document(self.now),
            "decisions": [each.document for each in self.decisions],
            "records": [
                timed_record_document(*each, self.timings.of(each[0].recipient), self.now) for each in self.records
            ],
            "is_whole": self.is_whole,
        }


async def build_report(
    history: History, configuration: Configuration, query: str, limit: int, now: datetime
) -> WhyReport:
    """Return what the store has about the query, at most `limit` decisions and records. Raises StoreError."""
    rules = configuration.triplet_rules
    search = Search(query, rules)
    decisions = await history.decisions(DecisionQuery(search=search), limit)
    records = await history.records(RecordQuery(search), limit)
    deferrals = [decision for decision in decisions if decision.defers and decision.triplet]
    found = await history.find([triplet for each in decisions for triplet in _all_triplets(each, rules)])
    passes = await history.decisions(passes_query(deferrals), _MOST_PASSES) if deferrals else []

    def explained(decision: StoredDecision) -> ExplainedDecision:
        outcome = None
        if decision in deferrals:
            record = united_record(found.of_any(possible_triplets(decision, rules)).values())
            timing = configuration.settings_of(decision.details.get("section", "")).timing
            outcome = deferral_outcome(decision, record, passes, timing, now)
        stored_under = list(found.of_any(_all_triplets(decision, rules)))
        return ExplainedDecision(decision, outcome, advice(decision, configuration.list_files, stored_under, outcome))

    is_whole = not isinstance(decisions, PartialResult) and not isinstance(records, PartialResult)
    return WhyReport(
        configuration, configuration.timings, query, now, list(map(explained, decisions)), records, is_whole
    )


def _all_triplets(decision: StoredDecision, rules: TripletRules) -> list[Triplet]:
    return [*possible_triplets(decision, rules), *wildcard_triplets(decision, rules)]


def _why_not(_check: Check) -> str:
    return "not asked"


def _verdict(decision: StoredDecision) -> str:
    details: Mapping[str, Any] = decision.details
    return describe_verdict(
        decision.outcome,
        decision.reason,
        entry=details.get("entry", ""),
        wait_seconds=details.get("wait_seconds"),
        delay_seconds=details.get("delay_seconds"),
    )


def _outcome_document(outcome: DeferralOutcome) -> dict[str, Any]:
    return {
        "fate": outcome.kind.value,
        "passed_at": outcome.passed_at and instant_document(outcome.passed_at),
        "passed_by": outcome.passed_by or None,
        "delay_seconds": outcome.delay and outcome.delay.total_seconds(),
        "left_seconds": None if outcome.left is None else outcome.left.total_seconds(),
        "last_attempt": outcome.last_attempt and instant_document(outcome.last_attempt),
    }


@click.command(
    cls=DocumentedCommand,
    examples=["bley why jane@example.com", "bley why 192.0.2.0/24 --limit 5", "bley why '<>'"],
    statuses={1: "Nothing matches, or the command failed."},
)
@config_option
@click.option(
    "--limit",
    metavar="COUNT",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="Greatest number of decisions and of records.",
)
@json_option
@click.argument("query", type=WIRE_TEXT)
def why(file: Path | None, limit: int, as_json: bool, query: str) -> None:
    """Show the decisions about a mail, and the remedy.

    QUERY is a mail address, a domain or host name with its subdomains, an IP address or network, or an instance or
    queue ID from the log. The null sender is <>. The newest decision comes first, with its findings, its verdict and
    its outcome. The commands that correct it follow, if it was wrong, and then the matching records. All times are in
    UTC.
    """
    configuration = load_settings(file)
    with progress("searching"):
        report = run(_why(configuration, query, limit))
    if as_json:
        print_document(report.document)
    else:
        _print_report(report)
    sys.exit(EXIT_FAILED if report.is_empty else 0)


async def _why(configuration: Configuration, query: str, limit: int) -> WhyReport:
    async with opened_history(configuration.settings) as history:
        await confirm_stored_key(configuration)
        return await build_report(history, configuration, query, limit, utc_now())


def _print_report(report: WhyReport) -> None:
    if report.is_empty:
        click.echo(printable(report.empty_notice))
    for explained in report.decisions:
        print_steps(explained.steps)
        for number, each in enumerate(explained.advice):
            print_hanging("  " if number else "if this was wrong: ", each.text.removesuffix(each.command), each.command)
        click.echo()
    if not report.is_whole:
        click.echo(report.partial_notice)
    for triplet, record in report.records:
        print_steps([("record", describe_triplet(triplet)), ("", report.describe_record(triplet, record))])
