"""The judgement of a stranger, from its evidence."""

from dataclasses import dataclass
from typing import NamedTuple

from bley.core.evidence import Evidence, Finding, found
from bley.core.findings import REASON_OF, RFC_CHECKS, AnyCheck, AnyReason, Check, FindingKind
from bley.core.greylist import Status
from bley.core.reasons import Reason
from bley.core.scores import DEFAULT, Scores

__all__ = ["Bounds", "Judgement", "Thresholds", "decisive_lists", "judge", "rfc_sum", "settled", "spf_can_tip"]


_NO_PASS = (FindingKind.SPF_FAIL, FindingKind.SPF_NO_PASS)
_SPF_RESULTS = (Finding(0, ""), *(found(kind, "") for kind in _NO_PASS))
_PLACES = {check: place for place, check in enumerate(RFC_CHECKS)}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The sums from which a client is trusted, listed or suspicious: the settings of the same names."""

    dnswl_threshold: int = 1
    dnsbl_threshold: int = 1
    rfc_threshold: int = 2


class Judgement(NamedTuple):
    """The status of a stranger, and the reason for it."""

    status: Status
    reason: AnyReason

    @property
    def cause(self) -> str:
        """The text that the record stores if the stranger is deferred (greylist.Record.cause); else empty."""
        return self.reason.value if self.status is Status.GREYLISTED else ""


_CLEAN = Judgement(Status.CLEAN, Reason.CLEAN)


def judge(evidence: Evidence, thresholds: Thresholds) -> Judgement:
    """Judge a stranger: trusted by allowlists, else suspicious by blocklists or the sum of the RFC checks, else clean.

    Domain lists are blocklists: their weights are added to those of the others. A check that is unknown, or did not
    run, counts 0.
    """
    if _is_trusted(evidence, thresholds):
        return Judgement(Status.TRUSTED, Reason.TRUSTED)
    if Check.DOMAIN_LIST in evidence:
        if reason := _reason_of_lists(evidence, thresholds):
            return Judgement(Status.GREYLISTED, reason)
    elif _is_listed(evidence, thresholds):
        return Judgement(Status.GREYLISTED, Reason.DNSBL)
    return _judge_by_rfc_checks(evidence, thresholds)


def _reason_of_lists(evidence: Evidence, thresholds: Thresholds) -> Reason | None:
    """Return the reason if blocklists and domain lists reach the threshold: the first kind that does, in this order."""
    by_address, by_domain = _score(evidence, Check.DNSBL), _score(evidence, Check.DOMAIN_LIST)
    if by_address + by_domain < thresholds.dnsbl_threshold:
        return None
    if by_address >= thresholds.dnsbl_threshold:
        return Reason.DNSBL
    fresh = sum(each.weight for each in evidence[Check.DOMAIN_LIST].answers if each.dns_list.facts.fresh)
    is_enough = by_address + by_domain - fresh >= thresholds.dnsbl_threshold
    return Reason.DOMAIN_LIST if is_enough else Reason.FRESH_DOMAIN


def rfc_sum(evidence: Evidence) -> int:
    """Return the sum of the RFC checks."""
    return sum(score for _, score in _counted(evidence))


def _judge_by_rfc_checks(evidence: Evidence, thresholds: Thresholds) -> Judgement:
    total = 0
    for check, score in _counted(evidence):
        total += score
        if total >= thresholds.rfc_threshold:
            return Judgement(Status.GREYLISTED, REASON_OF[check])
    # With a threshold of 0 every stranger is suspicious.
    return _CLEAN if thresholds.rfc_threshold else Judgement(Status.GREYLISTED, REASON_OF[RFC_CHECKS[0]])


def _counted(evidence: Evidence) -> list[tuple[AnyCheck, int]]:
    """Return the RFC checks that count, with their scores, in the order in which these are added."""
    counted = []
    for check, finding in evidence.items():
        if finding.score and check in _PLACES and (finding.counts_alone or _is_without_pass(evidence)):
            counted.append((check, finding.score))
    counted.sort(key=_place)
    return counted


def _place(counted: tuple[AnyCheck, int]) -> int:
    return _PLACES[counted[0]]


def _is_without_pass(evidence: Evidence) -> bool:
    """Return whether SPF is known not to pass."""
    spf = evidence.get(Check.SPF)
    return spf is not None and spf.score is not None and spf.kind in _NO_PASS


class Bounds(NamedTuple):
    """The lowest and the highest sum that a DNS list check can still reach while answers are missing."""

    least: int
    most: int


_NO_LISTS = Bounds(0, 0)


def settled(
    dnswl: Bounds | None,
    dnsbl: Bounds | None,
    thresholds: Thresholds,
    *,
    domains: Bounds | None = None,
    awaits_names: bool = False,
    awaits_spf: bool,
) -> bool:
    """Return whether no missing answer can change the judgement or its reason; None stands for no such lists.

    A name of the client can change everything, since a record or an exemption may exist under it, but not trust.
    """
    if dnswl and dnswl.least >= thresholds.dnswl_threshold:
        return True
    if awaits_names:
        return False
    if dnswl and dnswl.most >= thresholds.dnswl_threshold:
        return False
    if domains:
        return _are_lists_settled(dnsbl or _NO_LISTS, domains, thresholds.dnsbl_threshold, awaits_spf=awaits_spf)
    if dnsbl and dnsbl.least >= thresholds.dnsbl_threshold:
        return True
    return not awaits_spf and (dnsbl is None or dnsbl.most < thresholds.dnsbl_threshold)


def _are_lists_settled(dnsbl: Bounds, domains: Bounds, threshold: int, *, awaits_spf: bool) -> bool:
    """Return whether no missing answer of blocklists and domain lists can change the judgement or its reason."""
    if dnsbl.most + domains.most < threshold:
        return not awaits_spf
    if dnsbl.least + domains.least < threshold:
        return False
    is_by_address = dnsbl.least >= threshold
    return is_by_address or (dnsbl.most < threshold and domains.least == domains.most)


def spf_can_tip(evidence: Evidence, thresholds: Thresholds, scores: Scores = DEFAULT) -> bool:
    """Return whether the judgement by the RFC checks, or its reason, depends on the result of SPF."""
    others = [finding for check, finding in evidence.items() if check in _PLACES and check is not Check.SPF]
    if thresholds.rfc_threshold and all(finding.counts_alone for finding in others):
        total = sum(finding.score or 0 for finding in others)  # to which the score of SPF is added last
        return total < thresholds.rfc_threshold <= total + max(scores.of[kind] for kind in _NO_PASS)
    judgements = [
        _judge_by_rfc_checks({**evidence, Check.SPF: scores.counted(finding)}, thresholds) for finding in _SPF_RESULTS
    ]
    return judgements.count(judgements[0]) < len(judgements)


def decisive_lists(evidence: Evidence, thresholds: Thresholds) -> list[tuple[Check, str]]:
    """Return check and name of each DNS list without whose answer the verdict would have been the other one.

    A blocklist or domain list alone has deferred the stranger, or an allowlist alone has let it pass, if no other list
    and no other finding would have. Of two lists that reach a threshold only together, each is decisive.
    """
    is_deferred = judge(evidence, thresholds).status is Status.GREYLISTED
    return [
        (check, each.dns_list.name)
        for check in (Check.DNSBL, Check.DOMAIN_LIST, Check.DNSWL)
        if (finding := evidence.get(check))
        for each in finding.answers
        if each.weight and is_deferred is not _is_deferred_without(each.weight, check, evidence, thresholds)
    ]


def _is_deferred_without(weight: int, check: Check, evidence: Evidence, thresholds: Thresholds) -> bool:
    finding = evidence[check]
    others = {**evidence, check: finding._replace(score=(finding.score or 0) - weight)}
    return judge(others, thresholds).status is Status.GREYLISTED


def _is_trusted(evidence: Evidence, thresholds: Thresholds) -> bool:
    return Check.DNSWL in evidence and _score(evidence, Check.DNSWL) >= thresholds.dnswl_threshold


def _is_listed(evidence: Evidence, thresholds: Thresholds) -> bool:
    return Check.DNSBL in evidence and _score(evidence, Check.DNSBL) >= thresholds.dnsbl_threshold


def _score(evidence: Evidence, check: AnyCheck) -> int:
    finding = evidence.get(check)
    return finding.score or 0 if finding else 0
