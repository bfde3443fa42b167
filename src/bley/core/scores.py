"""The setting `scores`: what each finding counts against `rfc_threshold`."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bley.core.evidence import Finding
from bley.core.findings import KINDS, RFC_CHECKS, AnyCheck, FindingKind

__all__ = ["BLEY2", "DEFAULT", "MOST", "Scores", "parse_scores"]

MOST = 999
"""The highest score, which is also the highest threshold."""

_NAMED = {
    "default": {kind: kind.row.score for kind in FindingKind},
    "bley2": {kind: kind.row.bley2_score for kind in FindingKind},
}

_CALLED = {"default": "default", "bley2": "bley2"} | {kind.check.value: kind.value for kind in reversed(FindingKind)}
_CALLED |= {kind.value: kind.value for kind in FindingKind}
"""Possible meanings of a wrong name: a log field, which stands for its first finding, or a name that resembles it."""

_SCORE = re.compile("[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Scores:
    """The score of each finding, 0 to `MOST`.

    A finding of score 0 is not logged, except in the log field of a check, and if bley queried the client's names.
    """

    name: str = "default"
    """The scores that `changed` changes: `default` or `bley2`."""
    changed: Mapping[FindingKind, int] = field(default_factory=dict)
    """The scores that differ from these."""

    of: Mapping[FindingKind, int] = field(init=False, repr=False, compare=False)
    """The score of each finding."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", {**_NAMED[self.name], **self.changed})

    def most(self, checks: Iterable[AnyCheck] = RFC_CHECKS) -> int:
        """Return the highest possible sum of these checks: of each its highest score."""
        return sum(max(self.of[kind] for kind in FindingKind if kind.check == check) for check in checks)

    @property
    def counts_mail_to_oneself_alone(self) -> bool:
        """Whether `sender-is-recipient` counts whatever else is found, as in bley 2."""
        return self.name == "bley2"

    def counted(self, finding: Finding) -> Finding:
        """Return the finding with its score in this setting; an unknown one, or one without a kind, stays as it is."""
        if finding.kind is None or finding.score is None:
            return finding
        score = self.of[finding.kind]
        return finding if score == finding.score else finding._replace(score=score)

    def __str__(self) -> str:
        return ", ".join([self.name, *(f"{kind}={score}" for kind, score in self.changed.items())])


DEFAULT = Scores()
BLEY2 = Scores("bley2")


def parse_scores(text: str) -> Scores:
    """Read `helo-claims-us=2, sender-is-recipient=0`, which changes the default; `bley2` in front changes bley 2's.

    Raises ValueError, which says what is wrong with which entry.
    """
    words = re.sub(r"\s*=\s*", "=", text.lower()).replace(",", " ").split()
    name = words.pop(0) if words and words[0] in _NAMED else "default"
    changed: dict[FindingKind, int] = {}
    for word in words:
        kind, score = _entry(word)
        if kind in changed:
            raise ValueError(f"names {kind} twice: keep one")
        changed[kind] = score
    return Scores(name, {kind: score for kind, score in changed.items() if score != _NAMED[name][kind]})


def _entry(word: str) -> tuple[FindingKind, int]:
    name, _, score = word.partition("=")
    if name in _NAMED:
        raise ValueError(f"has {word!r} in a wrong place: {name} stands alone, before the others")
    if name not in KINDS:
        close = difflib.get_close_matches(name, _CALLED, n=1, cutoff=0.6)
        advice = f"did you mean {_CALLED[close[0]]!r}?" if close else "see docs/reasons.md for all findings"
        raise ValueError(f"has no finding {name!r}, {advice}")
    if not _SCORE.fullmatch(score):
        raise ValueError(f"has no score in {word!r}: write {name}=1, a whole number from 0 to {MOST}")
    return KINDS[name], int(score)
