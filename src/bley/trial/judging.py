"""The daemon's own checks and judgement, without DNS: what would need a query is unknown.

`bley try` and bench/efficacy.py judge by these functions.
"""

from dataclasses import dataclass, replace
from typing import Self

from bley.checks.gather import Gathered
from bley.checks.helo import NO_IDENTITY, OwnIdentity
from bley.checks.names import NOT_QUERIED, ClientNames
from bley.checks.request import check_request
from bley.core.evidence import Evidence, Finding
from bley.core.findings import LOG_FIELDS, AnyCheck, Check, FindingKind
from bley.core.mail import Address, Request
from bley.core.policy import Judgement, Thresholds, judge
from bley.core.scores import DEFAULT, Scores
from bley.trial.facts import NO_HELO, NO_NAME

__all__ = ["OfflineChecks", "gather_offline", "judge_offline"]

_NAME_MISSING = ClientNames(Finding(None, "the source has no verified name of the client"))
_HELO_MISSING = Finding(None, "the source has no HELO name")
_NOT_QUERIED = Finding(None, "not queried")


def gather_offline(
    request: Request,
    address: Address,
    us: OwnIdentity = NO_IDENTITY,
    scores: Scores = DEFAULT,
    lacks: int = 0,
) -> Evidence:
    """Return the findings about a request that need no DNS. `lacks`: the facts that it does not have (`LACKS`).

    The client's name is taken as the mail server found it.
    """
    names = _NAME_MISSING if lacks & NO_NAME else NOT_QUERIED
    if not lacks & NO_HELO:
        found = check_request(request, address, us, scores, names)
    else:
        # A HELO that matches, so that nothing is found because of it; its own findings are then replaced.
        literal = f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"
        matching = request._replace(helo_name=request.verified_name or literal)
        found = check_request(matching, address, us, scores, names)
        found.pop(FindingKind.HELO_LOOKS_DYNAMIC, None)
        found[Check.HELO] = _HELO_MISSING
    return _in_order(found)


def _in_order(found: dict[AnyCheck, Finding]) -> Evidence:
    return {check: found[check] for check in LOG_FIELDS if check in found}


def judge_offline(
    request: Request, address: Address, thresholds: Thresholds, scores: Scores = DEFAULT
) -> tuple[Evidence, Judgement]:
    """Return the findings about a request that need no DNS, and the judgement by them."""
    evidence = gather_offline(request, address, scores=scores)
    return evidence, judge(evidence, thresholds)


@dataclass(frozen=True, slots=True)
class OfflineChecks:
    """The checks of a rule set (service/rule_set.py) that query nothing."""

    us: OwnIdentity
    scores: Scores
    lacks: list[int]
    """The facts that the present mail lacks: one number, the sum of keys of `LACKS`."""

    async def gather(self, request: Request, address: Address) -> Gathered:
        """Return the findings that need no DNS."""
        return Gathered(request, gather_offline(request, address, self.us, self.scores, self.lacks[0]))

    async def check_spf(self, request: Request, address: Address) -> tuple[Finding, Self]:
        """Return that SPF is unknown."""
        return _NOT_QUERIED, self

    async def explain(self, evidence: Evidence, address: Address) -> Evidence:
        """Return the evidence."""
        return evidence

    def judging_by(self, thresholds: Thresholds, scores: Scores) -> Self:
        """Return these checks with other scores."""
        return replace(self, scores=scores)
