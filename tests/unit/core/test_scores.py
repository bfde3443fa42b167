"""What each fact counts: the setting `scores`."""

import re

import pytest

from bley.core.evidence import Finding, found
from bley.core.findings import Check, FindingKind
from bley.core.scores import BLEY2, DEFAULT, MOST, Scores, parse_scores


def test_by_default_a_helo_that_does_not_fit_counts_2_and_all_else_1() -> None:
    """But SPF that neither passes nor fails, and a name that does not lead back."""
    others = {fact: DEFAULT.of[fact] for fact in FindingKind if DEFAULT.of[fact] != 1}
    assert others == {
        FindingKind.HELO_MISMATCH: 2,
        FindingKind.CLIENT_NAME_UNVERIFIED: 0,
        FindingKind.SPF_NO_PASS: 0,
    }


def test_the_scores_of_bley_2_are_the_predecessor_s() -> None:
    """HELO 0, 1, 2; dynamic name, sender is recipient, SPF fail 1; sender is recipient counts alone.

    A HELO name that resolves, or is another mail server's, was a mismatch.
    """
    assert {fact: BLEY2.of[fact] for fact in FindingKind if BLEY2.of[fact]} == {
        FindingKind.HELO_MISMATCH: 2,
        FindingKind.HELO_HALF_MATCH: 1,
        FindingKind.HELO_RESOLVES: 2,
        FindingKind.HELO_MAIL_SERVER: 2,
        FindingKind.CLIENT_LOOKS_DYNAMIC: 1,
        FindingKind.SENDER_IS_RECIPIENT: 1,
        FindingKind.SPF_FAIL: 1,
    }
    assert (BLEY2.counts_mail_to_oneself_alone, DEFAULT.counts_mail_to_oneself_alone) == (True, False)


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("", DEFAULT),
        ("default", DEFAULT),
        ("bley2", BLEY2),
        ("helo-mismatch=2", DEFAULT),
        (
            "helo-claims-us=2, sender-is-recipient=0",
            {FindingKind.HELO_CLAIMS_US: 2, FindingKind.SENDER_IS_RECIPIENT: 0},
        ),
        ("helo-claims-us=2 sender-is-recipient=0", {FindingKind.HELO_CLAIMS_US: 2, FindingKind.SENDER_IS_RECIPIENT: 0}),
        ("  Helo-Claims-Us = 2 ,\n\tspf-fail=2,", {FindingKind.HELO_CLAIMS_US: 2, FindingKind.SPF_FAIL: 2}),
        (f"helo-mismatch={MOST}", {FindingKind.HELO_MISMATCH: MOST}),
        ("bley2, helo-claims-us=2", Scores("bley2", {FindingKind.HELO_CLAIMS_US: 2})),
    ],
)
def test_scores_are_read(text: str, scores: Scores | dict[FindingKind, int]) -> None:
    expected = Scores("default", scores) if isinstance(scores, dict) else scores
    assert parse_scores(text) == expected
    assert parse_scores(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("helo-claim-us=1", "has no finding 'helo-claim-us', did you mean 'helo-claims-us'?"),
        ("helo=2", "has no finding 'helo', did you mean 'helo-mismatch'?"),
        ("dyn=2", "has no finding 'dyn', did you mean 'client-looks-dynamic'?"),
        ("s_eq_r=0", "has no finding 's_eq_r', did you mean 'sender-is-recipient'?"),
        ("spf=0", "has no finding 'spf', did you mean 'spf-fail'?"),
        ("bley3", "has no finding 'bley3', did you mean 'bley2'?"),
        ("bley2=1", "has 'bley2=1' in a wrong place: bley2 stands alone, before the others"),
        ("weather=1", "has no finding 'weather', see docs/reasons.md for all findings"),
        ("=1", "has no finding '', see docs/reasons.md for all findings"),
        ("spf-fail", "has no score in 'spf-fail': write spf-fail=1, a whole number from 0 to 999"),
        ("spf-fail=-1", "has no score in 'spf-fail=-1': write spf-fail=1, a whole number from 0 to 999"),
        ("spf-fail=1.5", "has no score in 'spf-fail=1.5': write spf-fail=1, a whole number from 0 to 999"),
        ("spf-fail=1000", "has no score in 'spf-fail=1000': write spf-fail=1, a whole number from 0 to 999"),
        ("spf-fail=1, spf-fail=1", "names spf-fail twice: keep one"),
        ("spf-fail=1, bley2", "has 'bley2' in a wrong place: bley2 stands alone, before the others"),
    ],
)
def test_wrong_scores_say_what_would_be_right(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(what)}$"):
        parse_scores(text)


def test_what_is_no_fact_or_unknown_stays_as_it_is() -> None:
    for finding in (Finding(3, "listed"), Finding(None, "late", kind=FindingKind.SPF_FAIL)):
        assert BLEY2.counted(finding) is finding


def test_a_finding_counts_what_its_fact_counts() -> None:
    finding = found(FindingKind.HELO_CLAIMS_US, "why")
    assert DEFAULT.counted(finding) is finding
    assert parse_scores("helo-claims-us=7").counted(finding) == Finding(7, "why", kind=FindingKind.HELO_CLAIMS_US)


def test_the_highest_sum_counts_each_check_once() -> None:
    """bley 2: HELO 2, and 1 each for a dynamic name, mail to oneself and SPF."""
    assert BLEY2.most() == 5
    assert BLEY2.most([Check.HELO, Check.SPF]) == 3
    assert parse_scores("bley2, helo-mismatch=0, helo-resolves=0, helo-mail-server=0, spf-fail=0").most() == 3
