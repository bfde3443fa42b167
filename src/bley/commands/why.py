"""`bley why`: show the decisions about a mail, the outcome of each, and the remedy if it was wrong."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.ending import EXIT_FAILED
from bley.commands.explained_decision import ExplainedDecision
from bley.commands.options import WIRE_TEXT, config_option, json_option, load_settings, run
from bley.commands.output import instant_document, print_document, print_hanging, print_steps, timed_record_document
from bley.commands.progress import progress
from bley.commands.store_access import confirm_stored_key, opened_history
from bley.core.greylist import Record, Standing, Status
from bley.core.history.advice import Advice, advice, deferral_advice
from bley.core.history.outcome import format_duration
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, Search
from bley.core.history.steps import (
    describe_record,
    describe_triplet,
)
from bley.core.mail import Triplet
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.sections import Timings
from bley.store.history import SEARCH_SECONDS, History, PartialResult
from bley.store.stories import StoredStory, count_exempted, read_stories

__all__ = ["WhyReport", "build_report", "why"]

_COUNTING_SECONDS = 2.0
"""The time in which the deferred mail is counted that the entries of the advice would have exempted."""
_MOST_COUNTED = 24
"""The entries for which it is counted, those of the newest decisions."""


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
    search = Search(query, configuration.triplet_rules)
    decisions = await history.decisions(DecisionQuery(search=search), limit)
    records = await history.records(RecordQuery(search), limit)
    stories = await read_stories(history, configuration, decisions, now)
    is_whole = not isinstance(decisions, PartialResult) and not isinstance(records, PartialResult)
    explained = _explained(stories, configuration)
    newest = list(dict.fromkeys(exemption for each in explained for exemption in each.exemptions))[:_MOST_COUNTED]
    exempted = await count_exempted(history, configuration, newest, now, _COUNTING_SECONDS)
    shown = [each.with_exempted(exempted) for each in explained]
    return WhyReport(configuration, configuration.timings, query, now, shown, records, is_whole)


def _explained(stories: Sequence[StoredStory], configuration: Configuration) -> list[ExplainedDecision]:
    first_at: dict[str, datetime] = {}
    files = configuration.list_files
    explained = []
    for story, stored_under in stories:
        decision, numbers = story.decision, [each.decision.number for each in story.lines if each.decision]
        delay_advice = [] if decision.defers else deferral_advice(story, files)
        of_mail = f"{numbers[0]} {numbers[-1]}" if numbers else decision.number
        shown_at = first_at.get(of_mail)
        first_at.setdefault(of_mail, decision.at)
        explained.append(ExplainedDecision(story, advice(story, files, stored_under), delay_advice, shown_at))
    return explained


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
        _print_advice("if this was wrong: ", explained.advice)
        _print_advice("if the delay was wrong: ", explained.delay_advice)
        click.echo()
    if not report.is_whole:
        click.echo(report.partial_notice)
    for triplet, record in report.records:
        print_steps([("record", describe_triplet(triplet)), ("", report.describe_record(triplet, record))])


def _print_advice(title: str, advices: Sequence[Advice]) -> None:
    for number, each in enumerate(advices):
        print_hanging("  " if number else title, each.text.removesuffix(each.command), each.command)
        if each.exempted:
            click.echo(f"    it {each.exempted}")
