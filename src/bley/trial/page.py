"""The result of a trial as a document, from which the text page, the HTML page and the JSON are made."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bley.core.decision import DecisionEntry
from bley.core.history.advice import ListFiles, allow_command
from bley.core.history.exemption_choices import Choice, choices_of_decision
from bley.core.history.search import StoredDecision
from bley.settings.file import Configuration
from bley.trial.facts import ATTEMPT, HAM, LACKS, NO_NAME, SPAM
from bley.trial.problems import Problems
from bley.trial.reading import Reader
from bley.trial.trial import MOST_DELAYED, Delayed, Figures, Trial

__all__ = ["Page"]

_EXEMPTIONS = 20
"""Lines of the list of exemptions that would save most waits."""

_SERVERS = 5
_MANY = 0.01
"""The share of mails that came by other servers from which these are named."""
_NEARLY_ALL = 0.5
_ENOUGH = 20
"""Mails from which a share is one."""

_PREFERRED = ("the client's domain", "the sender's domain", "this client's address", "this sender")
"""Choices of an exemption, the safest first: a verified name cannot be forged, a sender can."""

_ASSUMED_RETRIES = (
    "A delayed ham mail is assumed to be retried and to pass when its wait is over, so each wait shown is the shortest "
    "possible. A spam mail is assumed not to be retried."
)
_WITH_DNS = "The DNS was queried today: a client of the past may have become listed, or may not be listed any more."
_WITHOUT_DNS = (
    "The DNS was not queried: DNS lists and SPF are unknown and count 0, and a client's name is what the mail server "
    "found. With DNS lists, bley delays more spam."
)

_FROM_LOGS = "In logs, accepted mail counts as ham, and an attempt that a greylister deferred as rejected."


@dataclass(frozen=True, slots=True)
class Page:
    """The result, with the settings and the border that it rests on."""

    configuration: Configuration
    trial: Trial
    reader: Reader
    border: Sequence[str]
    usable: int
    uses_dns: bool
    is_complete: bool = True
    """False: the trial was interrupted."""

    @property
    def labels(self) -> list[str]:
        """The labels of the mail that was judged: ham first."""
        return [label for label in (HAM, SPAM, ATTEMPT) if label in self.trial.figures]

    @property
    def period(self) -> tuple[datetime, datetime] | None:
        """The time of the first and of the last mail that was judged."""
        first = self.trial.first
        return (
            None
            if first is None
            else (datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(self.trial.last, UTC))
        )

    @property
    def assumptions(self) -> list[str]:
        """The assumptions of the figures, in sentences."""
        texts = [_ASSUMED_RETRIES]
        if self.uses_dns:
            texts.append(_WITH_DNS)
        else:
            texts.append(_WITHOUT_DNS)
        if self.reader.logged:
            texts.append(_FROM_LOGS)
        texts += self._doubts
        for bit, text in LACKS.items():
            number = sum(count for lacks, count in self.trial.lacks.items() if lacks & bit)
            if number:
                texts.append(
                    self._without_names(number) if bit == NO_NAME else f"{number} of the mails were judged {text}."
                )
        return texts

    def _without_names(self, mails: int) -> str:
        """Return that mails lack the client's name: those of a mail server that names no client, or single ones."""
        lack = f"{mails} of the mails were judged {LACKS[NO_NAME]}"
        if clients := self.reader.clients.nameless:
            lack = f"None of {clients} clients has a name: the mail server verified none"
        if self.uses_dns:
            return f"{lack}, so bley queried the DNS for it."
        return f"{lack}, so what rests on it is unknown and counts 0; with --dns, bley queries it."

    @property
    def _doubts(self) -> list[str]:
        """The signs that a label or the border is wrong, each with the remedy."""
        texts = [
            f"{folder} is named as a folder of spam, but counts as ham: name it by --spam."
            for folder in sorted(self.reader.spam_folders)
        ]
        others = self.reader.problems.servers.most_common(_SERVERS)
        if others and others[0][1] >= _MANY * self.reader.mails:
            names = ", ".join(f"{name} ({number})" for name, number in others)
            texts.append(f"Mail also came by {names}: if these servers are yours too, name all of them by --mx.")
        (address, number), *_ = self.trial.clients.most_common(1) or [("", 0)]
        if number >= _NEARLY_ALL * self.usable and self.usable >= _ENOUGH:
            texts.append(
                f"{number} of the mails came from {address}: if that is a gateway or filter of yours, name it by --mx."
            )
        return texts

    @property
    def document(self) -> dict[str, Any]:
        """The document (docs/json.md)."""
        period, files = self.period, self.configuration.list_files
        delayed = [_delayed(each, files) for each in self.trial.delayed]
        exemptions = Counter(each["exempt"] for each in delayed if each["exempt"])
        return {
            "complete": self.is_complete,
            "border": list(self.border),
            "read": self.reader.read,
            "usable": self.usable,
            "judged": sum(figures.mails for figures in self.trial.figures.values()),
            "first": period and period[0].isoformat(),
            "last": period and period[1].isoformat(),
            "not_usable": list(_problems(self.reader.problems)),
            "files_not_usable": list(_problems(self.reader.files)),
            "assumptions": self.assumptions,
            "labels": {label: _figures(self.trial.figures[label]) for label in self.labels},
            "delayed_ham": delayed,
            "delayed_ham_shown_at_most": MOST_DELAYED,
            "delayed_ham_not_shown": self.trial.delayed_beyond,
            "exemptions": [{"command": line, "mails": number} for line, number in exemptions.most_common(_EXEMPTIONS)],
            "alternatives": [
                {"settings": row.settings, "delayed": {label: row.delayed[label] for label in self.labels}}
                for row in self.trial.alternatives.rows
            ],
        }


def _delayed(delayed: Delayed, files: ListFiles) -> dict[str, Any]:
    facts, decision = delayed.facts, delayed.decision
    return {
        "place": facts.place,
        "at": datetime.fromtimestamp(facts.at, UTC).isoformat(),
        "client_address": facts.client_address,
        "client_name": facts.client_name,
        "helo_name": facts.helo_name,
        "sender": facts.sender,
        "recipient": facts.recipient,
        "reason": decision.reason.value,
        "cause": decision.cause_reason or decision.reason.value,
        "findings": {
            check.value: {"score": finding.score, "detail": finding.detail}
            for check, finding in decision.evidence.items()
            if finding.score != 0
        },
        "wait_seconds": decision.wait_seconds,
        "exempt": _exemption(delayed, files),
    }


def _exemption(delayed: Delayed, files: ListFiles) -> str:
    """Return the command that would exempt mail like this; empty if no entry is safe."""
    choices = {choice.words: choice for choice in _choices(delayed, files)}
    best = next((choices[words] for words in _PREFERRED if words in choices), None)
    return allow_command(files, best.kind, best.entry) if best else ""


def _choices(delayed: Delayed, files: ListFiles) -> list[Choice]:
    facts, decision = delayed.facts, delayed.decision
    at = datetime.fromtimestamp(facts.at, UTC)
    entry = DecisionEntry(at, "greylist", decision, facts.sender, facts.recipient)
    request = decision.request
    stored = StoredDecision(
        "", at, "greylist", decision.reason.value, request.client_address, request.client_name, request.helo_name,
        request.sender, request.recipient, "", "", entry.details,
    )  # fmt: skip
    return choices_of_decision(stored, is_private=files.is_private)


def _problems(problems: Problems) -> Iterator[dict[str, Any]]:
    for reason, count in problems.counts.most_common():
        yield {"reason": reason, "count": count, "example": problems.examples[reason]}


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "mails": figures.mails,
        "strangers": figures.strangers,
        "delayed": figures.delayed,
        "delayed_share": figures.delayed / figures.mails if figures.mails else None,
        "reasons": dict(figures.reasons.most_common()),
        "passed": dict(figures.passed.most_common()),
        "months": [
            {"month": f"{year}-{month:02}", "mails": mails, "delayed": delayed}
            for (year, month), (mails, delayed) in sorted(figures.months.items())
        ],
        "folders": [
            {"folder": folder, "mails": mails, "delayed": delayed}
            for folder, (mails, delayed) in sorted(figures.folders.items(), key=lambda each: -each[1][0])
        ],
    }
