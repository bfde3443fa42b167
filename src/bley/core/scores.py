"""What each fact counts against `rfc_threshold`: the setting `scores`."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bley.core.evidence import CHECK_OF, Fact, Finding

__all__ = ["BLEY2", "DEFAULT", "MOST", "Scores", "found", "parse_scores"]

MOST = 999
"""A score is at most as high as a threshold can be."""

_DEFAULT = dict.fromkeys(Fact, 1) | {Fact.HELO_MISMATCH: 2, Fact.CLIENT_HAS_NO_NAME: 0, Fact.SPF_NO_PASS: 0}
"""A HELO that does not fit is enough for `rfc_threshold = 2` by itself; of the other facts two are needed.

No name counts 0: without one HELO does not fit, or is the address literal that RFC 5321 4.1.3 has for such a host.
"""

_BLEY2 = dict.fromkeys(Fact, 0) | {
    Fact.HELO_MISMATCH: 2,
    Fact.HELO_HALF_MATCH: 1,
    Fact.CLIENT_LOOKS_DYNAMIC: 1,
    Fact.SENDER_IS_RECIPIENT: 1,
    Fact.SPF_FAIL: 1,
}

_CALLED = {"default": "default", "bley2": "bley2"} | {CHECK_OF[fact].value: fact.value for fact in reversed(Fact)}
_CALLED |= {fact.value: fact.value for fact in Fact}
"""What a wrong name may stand for: the log's word for what it finds first, or the name that it is nearest to."""

_SCORE = re.compile("[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Scores:
    """What each fact counts, 0 to `MOST`; one that counts 0 is not told where it has a check of its own."""

    name: str = "default"
    """The scores that it begins with: `default` or `bley2`."""
    changed: Mapping[Fact, int] = field(default_factory=dict)
    """What is different from these."""

    def __getitem__(self, fact: Fact) -> int:
        return self.changed.get(fact, _NAMED[self.name][fact])

    @property
    def counts_mail_to_oneself_alone(self) -> bool:
        """As bley 2 did: sender is recipient counts, whatever else is found."""
        return self.name == "bley2"

    def counted(self, finding: Finding) -> Finding:
        """A finding as it counts by these scores; what is unknown, or no fact, stays as it is."""
        if finding.fact is None or finding.score is None:
            return finding
        score = self[finding.fact]
        return finding if score == finding.score else finding._replace(score=score)

    def __str__(self) -> str:
        return ", ".join([self.name, *(f"{fact}={score}" for fact, score in self.changed.items())])


_NAMED = {"default": _DEFAULT, "bley2": _BLEY2}

DEFAULT = Scores()
BLEY2 = Scores("bley2")


def found(fact: Fact, detail: str) -> Finding:
    """A fact as it counts by default; `Scores.counted` says what it counts by others."""
    return Finding(_DEFAULT[fact], detail, fact=fact)


def parse_scores(text: str) -> Scores:
    """Read `helo-claims-us=2, sender-is-recipient=0`, which changes the default; `bley2` in front changes bley 2's.

    Raises ValueError, which says what is wrong with which entry.
    """
    words = re.sub(r"\s*=\s*", "=", text.lower()).replace(",", " ").split()
    name = words.pop(0) if words and words[0] in _NAMED else "default"
    changed: dict[Fact, int] = {}
    for word in words:
        fact, score = _entry(word)
        if fact in changed:
            raise ValueError(f"names {fact} twice: keep one")
        changed[fact] = score
    return Scores(name, {fact: score for fact, score in changed.items() if score != _NAMED[name][fact]})


def _entry(word: str) -> tuple[Fact, int]:
    name, _, score = word.partition("=")
    if name in _NAMED:
        raise ValueError(f"has {word!r} in a wrong place: {name} stands alone, before the others")
    if name not in set(Fact):
        close = difflib.get_close_matches(name, _CALLED, n=1, cutoff=0.6)
        advice = f"did you mean {_CALLED[close[0]]!r}?" if close else "see docs/reasons.md for all findings"
        raise ValueError(f"has no finding {name!r}, {advice}")
    if not _SCORE.fullmatch(score):
        raise ValueError(f"has no score in {word!r}: write {name}=1, a whole number from 0 to {MOST}")
    return Fact(name), int(score)
