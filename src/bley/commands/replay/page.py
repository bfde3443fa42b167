"""The result of a replay: for people, and as a JSON document."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bley.commands.output import instant_document, print_hanging, print_table
from bley.commands.replay.tally import Change, Example, Group, Tally
from bley.core.history.advice import ListFiles
from bley.core.history.steps import describe_request, format_instant
from bley.core.reasons import BY_RELATION, Reason

__all__ = ["Replay"]

_NOT_JUDGED: Mapping[str, str] = {
    Reason.CLIENT_GOOD: "the judgement of its client is not stored",
    Reason.CLIENT_BAD: "the judgement of its client is not stored",
    Reason.CLASSIC: "nothing was found out about it then",
    Reason.OFF: "nothing was found out about it then",
    **dict.fromkeys(BY_RELATION, "earlier mail let it pass, and nothing was found out about it then"),
    Reason.STORE_ERROR: "the store was unavailable",
    Reason.INTERNAL_ERROR: "it was answered after a bug",
}
_NOT_EXEMPT = "would not be exempt any more, and nothing was found out about it then"


@dataclass(frozen=True, slots=True)
class Replay:
    """The stored decisions of a time, judged by the settings in `file`."""

    file: Path | None
    since: datetime
    until: datetime
    tally: Tally
    limits: Sequence[str]
    is_complete: bool
    """Whether all decisions of this time were read."""
    observed: bool
    """Whether all deferrals were only logged then."""
    files: ListFiles
    """Those of the store's settings, for the commands about its decisions."""

    @property
    def _came(self) -> str:
        return "came again" if self.observed else "came back"

    @property
    def sentences(self) -> Iterator[str]:
        """The result in sentences."""
        tally, passing, deferred = self.tally, self.tally.newly_passing, self.tally.newly_deferred
        if not tally.first_attempts:
            yield "No first attempt of a mail is stored in this time."
            return
        yield f"{tally.first_attempts:,} first attempts of mail, without known mail and retries:"
        good = deferred.came_again + deferred.trusted
        yield f"{deferred.number:,} would newly be deferred{self._likely(good, deferred.number, 'good mail')}."
        rest = passing.number - passing.came_again
        words = f"; {passing.came_again:,} of them {self._came} then, and {rest:,} did not" if passing.number else ""
        yield f"{passing.number:,} would newly pass{words}."
        if tally.open.number:
            facts = ", ".join(name for name, _ in tally.missing.most_common())
            yield f"{tally.open.number:,} cannot be decided without facts that were not queried then: {facts}."
        if number := tally.not_judged.total():
            yield f"{number:,} cannot be judged again; the reasons are below."
        yield f"{self.unchanged:,} would be decided as they were."

    @staticmethod
    def _likely(number: int, of: int, what: str) -> str:
        if not of:
            return ""
        return f"; {number:,} of them are probably {what}: they came again later, or a DNS allowlist has the client"

    @property
    def unchanged(self) -> int:
        """The number of first attempts with the same verdict."""
        tally = self.tally
        changed = tally.newly_deferred.number + tally.newly_passing.number + tally.open.number
        return tally.first_attempts - changed - tally.not_judged.total()

    def show(self) -> None:
        """Print the result."""
        tally = self.tally
        click.echo(f"replay of {_number(tally.read, 'decision')} by {self.file or 'the default settings'}")
        part = "" if self.is_complete else ", the latest ones: --limit reads more"
        click.echo(f"from {format_instant(self.since)} to {format_instant(self.until)}{part}\n")
        for sentence in self.sentences:
            print_hanging("", sentence)
        if rows := [self._row(change) for change in tally.changed if change.matters]:
            click.echo()
            titles = ("then", "", "by these settings", "", "decisions", self._came)
            print_table(titles, rows, right=titles[4:])
        if others := sum(number for change, number in tally.changed.items() if not change.matters):
            click.echo(f"\n{_number(others, 'further decision')} would have another reason, and the same verdict")
        if reasons := tally.not_judged:
            click.echo("\nnot judged again")
            rows = [
                (reason, str(number), _NOT_JUDGED.get(reason, _NOT_EXEMPT)) for reason, number in reasons.most_common()
            ]
            print_table(("then", "mails", "reason"), rows, right=("mails",))
        self._show_limits()
        self._show_examples("would newly be deferred", tally.newly_deferred)
        self._show_examples("would newly pass", tally.newly_passing)
        self._show_examples("cannot be decided without further facts", tally.open)

    def _row(self, change: Change) -> tuple[str, ...]:
        deferred = "would defer" if self.observed else "deferred"
        verdicts = (deferred if change.deferred_then else "passed", "defer" if change.defers_now else "pass")
        came = self.tally.came_back[change]
        number = self.tally.changes[change]
        return change.then, verdicts[0], change.now, verdicts[1], str(number), str(came) if came else ""

    def _show_limits(self) -> None:
        for number, limit in enumerate(self.limits):
            if not number:
                click.echo("\nlimits of this replay")
            print_hanging("- ", limit)

    def _show_examples(self, title: str, group: Group) -> None:
        examples = group.examples
        if examples:
            click.echo(f"\n{title}: {len(examples)} of {group.number:,}")
        for each in examples:
            new, decision = each.new, each.decision
            verdict = f"{decision.reason} then, {new.reason} by these settings"
            came = f"; {self._came} later" if each.came_again else ""
            lacks = f"; lacks {', '.join(new.missing)}" if new.missing else ""
            print_hanging(f"{format_instant(decision.at)}  ", f"{verdict}{came}{lacks}")
            print_hanging("    ", describe_request(decision))
            if name := decision.instance or decision.queue_id:
                print_hanging("    ", "", self.files.command("why", name))

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document (docs/json.md)."""
        tally = self.tally
        return {
            "since": instant_document(self.since),
            "until": instant_document(self.until),
            "decisions": tally.read,
            "is_complete": self.is_complete,
            "observed": self.observed,
            "first_attempts": tally.first_attempts,
            "unchanged": self.unchanged,
            "newly_deferred": _group_document(tally.newly_deferred),
            "newly_passing": _group_document(tally.newly_passing),
            "open": _group_document(tally.open) | {"missing": dict(tally.missing)},
            "not_judged": dict(tally.not_judged),
            "changes": [
                change._asdict() | {"number": number, "came_again": tally.came_back[change]}
                for change, number in tally.changes.most_common()
            ],
            "limits": self.limits,
        }


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def _group_document(group: Group) -> dict[str, Any]:
    return {
        "number": group.number,
        "came_again": group.came_again,
        "trusted": group.trusted,
        "examples": list(map(_example_document, group.examples)),
    }


def _example_document(example: Example) -> dict[str, Any]:
    decision = example.decision
    names = (
        "number", "outcome", "reason", "client_address", "client_name", "helo_name", "sender", "recipient", "instance",
        "queue_id", "node",
    )  # fmt: skip
    return {name: getattr(decision, name) for name in names} | {
        "at": instant_document(decision.at),
        "came_again": example.came_again,
        "new_reason": example.new.reason,
        "new_defers": example.new.defers,
        "missing": example.new.missing,
    }
