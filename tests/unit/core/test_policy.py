"""From evidence to a judgement, and when no further evidence can change it."""

from collections.abc import Iterator
from itertools import product

import pytest

from bley.core.evidence import RFC_CHECKS, Check, Evidence, Finding
from bley.core.greylist import Status
from bley.core.policy import Judgement, Reason, Thresholds, judge, settled, spf_can_tip

DEFAULT = Thresholds()
TRUSTED = Judgement(Status.TRUSTED, Reason.TRUSTED)
CLEAN = Judgement(Status.CLEAN, Reason.CLEAN)


def _evidence(**scores: int | None) -> Evidence:
    """Findings by the words of the log: `_evidence(helo=2, spf=None)`."""
    return {Check(name): Finding(score, "") for name, score in scores.items()}


def _suspicious(reason: Reason) -> Judgement:
    return Judgement(Status.GREYLISTED, reason)


@pytest.mark.parametrize(
    ("evidence", "judgement"),
    [
        pytest.param(_evidence(), CLEAN, id="nothing known"),
        pytest.param(_evidence(dnswl=0, dnsbl=0, helo=0, dyn=0, s_eq_r=0, spf=0), CLEAN, id="nothing found"),
        pytest.param(
            _evidence(dnswl=None, dnsbl=None, helo=None, dyn=None, s_eq_r=None, spf=None),
            CLEAN,
            id="not knowing counts 0",
        ),
        pytest.param(_evidence(dnswl=1), TRUSTED, id="allowlist"),
        pytest.param(_evidence(dnswl=1, dnsbl=9, helo=2, dyn=1), TRUSTED, id="an allowlist outweighs all"),
        pytest.param(_evidence(dnswl=-1), CLEAN, id="an allowlist with negative weight"),
        pytest.param(_evidence(dnsbl=1), _suspicious(Reason.DNSBL), id="blocklist"),
        pytest.param(_evidence(dnsbl=1, helo=2), _suspicious(Reason.DNSBL), id="a blocklist is named first"),
        pytest.param(_evidence(helo=2), _suspicious(Reason.HELO), id="HELO"),
        pytest.param(_evidence(helo=1), CLEAN, id="HELO, not enough"),
        pytest.param(_evidence(helo=1, dyn=1), _suspicious(Reason.DYNAMIC), id="dynamic tips it"),
        pytest.param(_evidence(dyn=1, s_eq_r=1), _suspicious(Reason.SENDER_IS_RECIPIENT), id="sender tips it"),
        pytest.param(_evidence(helo=1, spf=1), _suspicious(Reason.SPF), id="SPF tips it"),
        pytest.param(_evidence(helo=2, dyn=1, s_eq_r=1, spf=1), _suspicious(Reason.HELO), id="the first to tip it"),
        pytest.param(_evidence(helo=1, dyn=None, spf=1), _suspicious(Reason.SPF), id="an unknown one in between"),
    ],
)
def test_judge(evidence: Evidence, judgement: Judgement) -> None:
    assert judge(evidence, DEFAULT) == judgement


@pytest.mark.parametrize(
    ("thresholds", "judgement"),
    [
        (Thresholds(dnswl_threshold=2), TRUSTED),
        (Thresholds(dnswl_threshold=3), _suspicious(Reason.DNSBL)),
        (Thresholds(dnswl_threshold=3, dnsbl_threshold=5), _suspicious(Reason.DYNAMIC)),
        (Thresholds(dnswl_threshold=3, dnsbl_threshold=5, rfc_threshold=3), CLEAN),
    ],
)
def test_thresholds(thresholds: Thresholds, judgement: Judgement) -> None:
    """Each of them is reached by a sum as high as it, and not by a lower one."""
    assert judge(_evidence(dnswl=2, dnsbl=4, helo=1, dyn=1), thresholds) == judgement


def test_threshold_of_zero_needs_a_finding() -> None:
    """Where no list is asked, nobody is trusted or listed by lists."""
    thresholds = Thresholds(dnswl_threshold=0, dnsbl_threshold=0)
    assert judge(_evidence(helo=0), thresholds) == CLEAN
    assert judge(_evidence(helo=0, dnsbl=0), thresholds) == _suspicious(Reason.DNSBL)
    assert judge(_evidence(helo=0, dnsbl=0, dnswl=0), thresholds) == TRUSTED


_SCORES: dict[Check, tuple[int | None, ...]] = {
    Check.DNSWL: (None, 0, 1),
    Check.DNSBL: (None, 0, 1),
    Check.HELO: (0, 1, 2),
    Check.DYNAMIC: (0, 1),
    Check.SPF: (None, 0, 1),
}
"""All that these checks can find, as far as it makes a difference; sender-is-recipient is as dynamic."""


def _cases() -> Iterator[tuple[Evidence, list[Check]]]:
    """All evidence there can be while any of the questions to the DNS are unanswered."""
    for asked in product((False, True), repeat=3):
        pending = [
            check for check, is_asked in zip((Check.DNSWL, Check.DNSBL, Check.SPF), asked, strict=True) if is_asked
        ]
        answered = {check: scores for check, scores in _SCORES.items() if check not in pending}
        for scores in product(*answered.values()):
            yield dict(zip(answered, (Finding(score, "") for score in scores), strict=True)), pending


def _completions(evidence: Evidence, pending: list[Check]) -> Iterator[Evidence]:
    for scores in product(*(_SCORES[check] for check in pending)):
        yield {**evidence, **{check: Finding(score, "") for check, score in zip(pending, scores, strict=True)}}


def test_settled_judgement_is_final() -> None:
    """Whatever the missing answers would be, a judgement called settled stays, and its reason too."""
    for evidence, pending in _cases():
        if settled(evidence, pending, DEFAULT):
            judgements = {judge(complete, DEFAULT) for complete in _completions(evidence, pending)}
            assert judgements == {judge(evidence, DEFAULT)}, (evidence, pending)


def test_settled_without_pending_questions() -> None:
    assert all(settled(evidence, pending, DEFAULT) for evidence, pending in _cases() if not pending)


@pytest.mark.parametrize(
    ("evidence", "pending", "is_settled"),
    [
        pytest.param(_evidence(dnswl=1), {Check.DNSBL, Check.SPF}, True, id="trusted is trusted"),
        pytest.param(_evidence(dnsbl=1), {Check.DNSWL}, False, id="an allowlist could still free it"),
        pytest.param(_evidence(dnswl=0, dnsbl=1), {Check.SPF}, True, id="listed is listed"),
        pytest.param(_evidence(dnswl=0, helo=2), {Check.DNSBL}, False, id="a blocklist would be named as the reason"),
        pytest.param(_evidence(dnswl=0, helo=1), {Check.DNSBL}, False, id="clean so far"),
    ],
)
def test_settled_as_early_as_can_be(evidence: Evidence, pending: set[Check], *, is_settled: bool) -> None:
    assert settled(evidence, pending, DEFAULT) is is_settled


@pytest.mark.parametrize(("helo", "can_tip"), [(0, False), (1, True), (2, False)])
def test_spf_is_asked_only_where_it_can_tip(helo: int, *, can_tip: bool) -> None:
    """It counts 1 at most: with 0 so far it cannot reach 2, with 2 it is not needed."""
    assert spf_can_tip(_evidence(helo=helo), DEFAULT) is can_tip


def test_every_rfc_check_can_be_the_reason() -> None:
    thresholds = Thresholds(rfc_threshold=1)
    reasons = [judge({check: Finding(1, "")}, thresholds).reason for check in RFC_CHECKS]
    assert reasons == [Reason.HELO, Reason.DYNAMIC, Reason.SENDER_IS_RECIPIENT, Reason.SPF]


@pytest.mark.parametrize(("score", "shown"), [(None, "?"), (0, "0"), (2, "2"), (-1, "-1")])
def test_finding_shows_its_score(score: int | None, shown: str) -> None:
    """Not knowing is shown as a question mark."""
    assert str(Finding(score, "why")) == shown
