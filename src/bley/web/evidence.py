"""The evidence that led to a decision, in the words of the log and of `bley explain`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bley.core.findings import RFC_CHECKS, Check
from bley.core.history.search import StoredDecision
from bley.core.history.story import Story
from bley.core.policy import Thresholds

__all__ = ["EvidenceTable", "FindingRow", "ListRow", "ScoreSum", "evidence", "finding_rows", "score_sums"]


class ListRow(NamedTuple):
    """A DNS list's answer, and the text that the list publishes about the client."""

    name: str
    answer: str
    says: str


class FindingRow(NamedTuple):
    """The result of a check."""

    check: str
    score: str
    """`?` if it is unknown."""
    counts: bool
    detail: str
    lists: Sequence[ListRow]


class ScoreSum(NamedTuple):
    """A sum of scores, and the setting with its threshold."""

    name: str
    score: int
    threshold: int
    setting: str

    @property
    def is_reached(self) -> bool:
        """Whether the sum is at least the threshold."""
        return self.score >= self.threshold


class EvidenceTable(NamedTuple):
    """The findings of a decision."""

    of: str
    """The part of that decision in the story; empty: it is the one that the page is about."""
    decision: StoredDecision
    findings: Sequence[FindingRow]
    sums: Sequence[ScoreSum]


def evidence(story: Story, thresholds: Thresholds) -> list[EvidenceTable]:
    """Return the findings of the decision and of those that led to it, without the ones that needed no check."""
    tables = [
        EvidenceTable(of, each, finding_rows(each.details), score_sums(each.details, thresholds))
        for of, each in [("", story.decision), *story.sources]
    ]
    return [table for table in tables if table.findings]


def finding_rows(details: Mapping[str, Any]) -> list[FindingRow]:
    """Return all findings, in the order of the log."""
    return [
        FindingRow(
            check,
            "?" if finding["score"] is None else str(finding["score"]),
            bool(finding["score"]),
            finding.get("detail", ""),
            [ListRow(each["list"], each["is"], each["says"]) for each in finding.get("lists", ())],
        )
        for check, finding in details.get("findings", {}).items()
    ]


def score_sums(details: Mapping[str, Any], thresholds: Thresholds) -> list[ScoreSum]:
    """Return the sums of the scores against the present thresholds; none for a decision without evidence."""
    scores = {check: finding["score"] or 0 for check, finding in details.get("findings", {}).items()}
    if not scores:
        return []
    sums = []
    if Check.DNSWL in scores:
        sums.append(ScoreSum("DNS allowlists", scores[Check.DNSWL], thresholds.dnswl_threshold, "dnswl_threshold"))
    if blocking := [check for check in (Check.DNSBL, Check.DOMAIN_LIST) if check in scores]:
        name = "DNS blocklists and domain lists" if Check.DOMAIN_LIST in blocking else "DNS blocklists"
        score = sum(scores[check] for check in blocking)
        sums.append(ScoreSum(name, score, thresholds.dnsbl_threshold, "dnsbl_threshold"))
    other = sum(scores.get(check, 0) for check in RFC_CHECKS)
    return [*sums, ScoreSum("all other findings", other, thresholds.rfc_threshold, "rfc_threshold")]
