"""The evidence of a decision, in the words of the log and of `bley explain`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bley.core.findings import RFC_CHECKS, Check
from bley.core.policy import Thresholds

__all__ = ["FindingRow", "ListRow", "ScoreSum", "findings", "sums"]


class ListRow(NamedTuple):
    """A list's answer, and its own words on the client."""

    name: str
    answer: str
    says: str


class FindingRow(NamedTuple):
    """What a check found."""

    check: str
    score: str
    """`?` where it is unknown."""
    counts: bool
    detail: str
    lists: Sequence[ListRow]


class ScoreSum(NamedTuple):
    """What findings count together, and the setting that it is measured by."""

    name: str
    score: int
    threshold: int
    setting: str

    @property
    def is_reached(self) -> bool:
        """Whether it is enough."""
        return self.score >= self.threshold


def findings(details: Mapping[str, Any]) -> list[FindingRow]:
    """All findings, in the order of the log."""
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


def sums(details: Mapping[str, Any], thresholds: Thresholds) -> list[ScoreSum]:
    """What was found against the thresholds as they are set now; of a decision without evidence none."""
    found = {check: finding["score"] or 0 for check, finding in details.get("findings", {}).items()}
    if not found:
        return []
    rfc = sum(found.get(check, 0) for check in RFC_CHECKS)
    asked = [
        ScoreSum("DNS allowlists", found.get(Check.DNSWL, 0), thresholds.dnswl_threshold, "dnswl_threshold"),
        ScoreSum("DNS blocklists", found.get(Check.DNSBL, 0), thresholds.dnsbl_threshold, "dnsbl_threshold"),
    ]
    lists = [each for each, check in zip(asked, (Check.DNSWL, Check.DNSBL), strict=True) if check in found]
    return [*lists, ScoreSum("all other findings", rfc, thresholds.rfc_threshold, "rfc_threshold")]
