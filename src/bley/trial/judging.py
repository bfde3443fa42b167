"""The daemon's own checks and judgement, without DNS: a finding that needs a query is unknown.

`bley try` and bench/efficacy.py judge by these functions.
"""

from collections.abc import Mapping
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
from bley.service.rule_set import ChecksOfRules
from bley.trial.facts import NO_HELO, NO_NAME

__all__ = ["LackingChecks", "OfflineChecks", "gather_offline", "judge_offline"]

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
        return _in_order(check_request(request, address, us, scores, names))
    return _without_helo(_in_order(check_request(_with_helo(request, address), address, us, scores, names)))


def _in_order(found: Mapping[AnyCheck, Finding]) -> Evidence:
    return {check: found[check] for check in LOG_FIELDS if check in found}


def _with_helo(request: Request, address: Address) -> Request:
    """Return the request with a HELO that matches, so that nothing is found because of it."""
    literal = f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"
    return request._replace(helo_name=request.verified_name or literal)


def _without_helo(evidence: Evidence) -> Evidence:
    """Return the evidence with an unknown HELO in place of one that matches."""
    left = dict(evidence)
    left.pop(FindingKind.HELO_LOOKS_DYNAMIC, None)
    return left | {Check.HELO: _HELO_MISSING}


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

    async def check_domains(self, request: Request, address: Address) -> tuple[bool, Self]:
        """Return that no domain list names a domain."""
        return False, self

    async def explain(self, evidence: Evidence, address: Address) -> Evidence:
        """Return the evidence."""
        return evidence

    def judging_by(self, thresholds: Thresholds, scores: Scores) -> Self:
        """Return these checks with other scores."""
        return replace(self, scores=scores)


@dataclass(frozen=True, slots=True)
class LackingChecks:
    """The daemon's checks, which query the DNS, for facts that may lack the HELO."""

    checks: ChecksOfRules
    lacks: list[int]
    """As in OfflineChecks."""

    async def gather(self, request: Request, address: Address) -> Gathered:
        """Return the findings; those about a missing HELO are unknown."""
        if not self.lacks[0] & NO_HELO:
            return await self.checks.gather(request, address)
        gathered = await self.checks.gather(_with_helo(request, address), address)
        named = gathered.request._replace(helo_name=request.helo_name)
        return gathered._replace(request=named, evidence=_without_helo(gathered.evidence))

    async def check_spf(self, request: Request, address: Address) -> "tuple[Finding, LackingChecks]":
        """Return the result of SPF alone, and the checks that know it."""
        finding, checks = await self.checks.check_spf(request, address)
        return finding, replace(self, checks=checks)

    async def check_domains(self, request: Request, address: Address) -> "tuple[bool, LackingChecks]":
        """Return whether the domain lists alone would delay the mail, and the checks for the rest of its time."""
        is_listed, checks = await self.checks.check_domains(request, address)
        return is_listed, replace(self, checks=checks)

    async def explain(self, evidence: Evidence, address: Address) -> Evidence:
        """Return the evidence with the lists' own explanations."""
        return await self.checks.explain(evidence, address)

    def judging_by(self, thresholds: Thresholds, scores: Scores) -> Self:
        """Return these checks with other thresholds and scores."""
        return replace(self, checks=self.checks.judging_by(thresholds, scores))
