"""From evidence to a judgement, and when no further evidence can change it."""

from collections.abc import Iterator
from ipaddress import IPv4Address
from itertools import combinations, product

import pytest

from bley.core.dnslists.lists import Answer, ListAnswer, Meaning, parse_dns_lists, parse_domain_lists
from bley.core.evidence import Evidence, Finding, found
from bley.core.findings import REASON_OF, RFC_CHECKS, AnyReason, Check, FindingKind
from bley.core.greylist import Status
from bley.core.policy import Bounds, Judgement, Thresholds, decisive_lists, judge, rfc_sum, settled, spf_can_tip
from bley.core.reasons import Reason
from bley.core.scores import BLEY2, Scores, parse_scores
from bley.core.scores import DEFAULT as BY_DEFAULT

DEFAULT = Thresholds()
TRUSTED = Judgement(Status.TRUSTED, Reason.TRUSTED)
CLEAN = Judgement(Status.CLEAN, Reason.CLEAN)


def _evidence(**scores: int | None) -> Evidence:
    """Findings by the words of the log: `_evidence(helo=2, spf=None)`."""
    return {Check(name): Finding(score, "") for name, score in scores.items()}


def _suspicious(reason: AnyReason) -> Judgement:
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
        pytest.param(_evidence(dyn=1, s_eq_r=1), _suspicious(FindingKind.SENDER_IS_RECIPIENT), id="sender tips it"),
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


def _ranges(scores: tuple[int, ...]) -> list[tuple[int, ...]]:
    """All that a check's sum can still become: any stretch of these scores; none: there are no such lists."""
    return [(), *(scores[start:end] for start in range(len(scores)) for end in range(start + 1, len(scores) + 1))]


def _bounds(scores: tuple[int, ...]) -> Bounds | None:
    return Bounds(scores[0], scores[-1]) if scores else None


def _completions(
    rfc: Evidence, dnswl: tuple[int, ...], dnsbl: tuple[int, ...], spf: tuple[int, ...]
) -> Iterator[Evidence]:
    """All evidence that there can be when the last answer is in."""
    open_checks = {Check.DNSWL: dnswl, Check.DNSBL: dnsbl, Check.SPF: spf}
    asked = {check: scores for check, scores in open_checks.items() if scores}
    for scores in product(*asked.values()):
        yield {**rfc, **{check: Finding(score, "") for check, score in zip(asked, scores, strict=True)}}


@pytest.mark.parametrize("awaits_spf", [True, False])
@pytest.mark.parametrize("rfc", [_evidence(helo=0), _evidence(helo=1), _evidence(helo=1, dyn=1), _evidence(helo=2)])
@pytest.mark.parametrize("thresholds", [DEFAULT, Thresholds(2, 2, 2), Thresholds(0, 0, 2), Thresholds(-1, 1, 2)])
def test_settled_says_exactly_when_judgement_is_final(
    thresholds: Thresholds, rfc: Evidence, *, awaits_spf: bool
) -> None:
    """Whatever the missing answers would be, a judgement called settled stays, and its reason too; and no other does.

    But SPF is waited for wherever it is asked: that is only where it can tip the sum.
    """
    spf = (0, 1) if awaits_spf else ()
    for dnswl, dnsbl in product(_ranges((-1, 0, 1, 2)), repeat=2):
        judgements = {judge(complete, thresholds) for complete in _completions(rfc, dnswl, dnsbl, spf)}
        is_settled = settled(_bounds(dnswl), _bounds(dnsbl), thresholds, awaits_spf=awaits_spf)
        if awaits_spf and not spf_can_tip(rfc, thresholds):
            assert not is_settled or len(judgements) == 1, (dnswl, dnsbl)
        else:
            assert is_settled is (len(judgements) == 1), (dnswl, dnsbl)


def test_settled_when_no_answer_is_missing() -> None:
    sums = [None, *(Bounds(score, score) for score in (-1, 0, 1, 2))]
    assert all(settled(dnswl, dnsbl, DEFAULT, awaits_spf=False) for dnswl, dnsbl in product(sums, repeat=2))


@pytest.mark.parametrize(
    ("dnswl", "dnsbl", "awaits_spf", "is_settled"),
    [
        pytest.param(Bounds(1, 3), Bounds(0, 9), True, True, id="trusted is trusted"),
        pytest.param(Bounds(0, 3), Bounds(9, 9), False, False, id="an allowlist could still free it"),
        pytest.param(Bounds(-1, 0), Bounds(1, 9), True, True, id="no allowlist that is missing could"),
        pytest.param(None, Bounds(1, 9), True, True, id="listed is listed"),
        pytest.param(None, Bounds(0, 1), False, False, id="a blocklist would be named as the reason"),
        pytest.param(Bounds(0, 0), Bounds(-2, 0), False, True, id="no missing blocklist can list it"),
        pytest.param(Bounds(0, 0), Bounds(-1, 2), False, False, id="a missing allowance in dnsbls could free it"),
        pytest.param(None, None, True, False, id="only SPF is missing"),
        pytest.param(None, None, False, True, id="nothing is asked at all"),
    ],
)
def test_settled_as_early_as_can_be(
    dnswl: Bounds | None, dnsbl: Bounds | None, *, awaits_spf: bool, is_settled: bool
) -> None:
    assert settled(dnswl, dnsbl, DEFAULT, awaits_spf=awaits_spf) is is_settled


def _listing(score: int | None, fresh: int = 0) -> Finding:
    """A finding of domain lists; of its score, so much is of a list of new domains."""
    (new,) = parse_domain_lists(f"fresh.fmb.la*{fresh}")
    return Finding(score, "", (ListAnswer(new, Answer(Meaning.LISTED, (IPv4Address("127.2.0.2"),))),) if fresh else ())


@pytest.mark.parametrize(
    ("dnsbl", "domains", "judgement"),
    [
        (None, _listing(0), CLEAN),
        (None, _listing(None), CLEAN),
        (None, _listing(2), CLEAN),
        (None, _listing(3), _suspicious(Reason.DOMAIN_LIST)),
        (2, _listing(1), _suspicious(Reason.DOMAIN_LIST)),
        (3, _listing(1), _suspicious(Reason.DNSBL)),
        (3, _listing(-1), CLEAN),
        (None, _listing(3, fresh=1), _suspicious(Reason.FRESH_DOMAIN)),
        (None, _listing(4, fresh=1), _suspicious(Reason.DOMAIN_LIST)),
        (2, _listing(1, fresh=1), _suspicious(Reason.FRESH_DOMAIN)),
    ],
)
def test_domain_lists_add_to_the_blocklists(dnsbl: int | None, domains: Finding, judgement: Judgement) -> None:
    """The reason is the first kind that reaches the threshold: addresses, domains, new domains."""
    evidence: Evidence = {Check.DNSBL: Finding(dnsbl, ""), Check.DOMAIN_LIST: domains, Check.HELO: Finding(0, "")}
    assert judge(evidence, Thresholds(dnsbl_threshold=3)) == judgement
    assert judge({**evidence, Check.DNSWL: Finding(1, "")}, Thresholds(dnsbl_threshold=3)) == TRUSTED


@pytest.mark.parametrize("awaits_spf", [True, False])
@pytest.mark.parametrize("thresholds", [DEFAULT, Thresholds(2, 2, 2)])
def test_settled_never_ends_before_the_last_domain_list_that_matters(
    thresholds: Thresholds, *, awaits_spf: bool
) -> None:
    rfc, spf = _evidence(helo=1), (0, 1) if awaits_spf else ()
    for dnswl, dnsbl, domains in product(_ranges((0, 1)), _ranges((-1, 0, 1, 2)), _ranges((-1, 0, 1, 2))[1:]):
        judgements = {
            judge({**complete, Check.DOMAIN_LIST: Finding(score, "")}, thresholds)
            for complete in _completions(rfc, dnswl, dnsbl, spf)
            for score in domains
        }
        is_settled = settled(
            _bounds(dnswl), _bounds(dnsbl), thresholds, domains=_bounds(domains), awaits_spf=awaits_spf
        )
        assert not is_settled or len(judgements) == 1, (dnswl, dnsbl, domains)
        if len(domains) == 1 and len(dnsbl) <= 1 and len(dnswl) <= 1 and not awaits_spf:
            assert is_settled


@pytest.mark.parametrize(
    ("dnsbl", "domains", "is_settled"),
    [
        pytest.param(Bounds(1, 1), Bounds(0, 9), True, id="listed by address"),
        pytest.param(Bounds(0, 1), Bounds(1, 1), False, id="a blocklist would be the reason"),
        pytest.param(Bounds(0, 0), Bounds(1, 1), True, id="listed by domain"),
        pytest.param(Bounds(0, 0), Bounds(1, 2), False, id="new, or not only new"),
        pytest.param(None, Bounds(0, 0), True, id="listed by none"),
        pytest.param(Bounds(1, 1), Bounds(-1, 0), False, id="an allowance could free it"),
        pytest.param(None, Bounds(0, 1), False, id="a domain list is missing"),
    ],
)
def test_settled_with_domain_lists_as_early_as_can_be(
    dnsbl: Bounds | None, domains: Bounds, *, is_settled: bool
) -> None:
    assert settled(None, dnsbl, DEFAULT, domains=domains, awaits_spf=False) is is_settled


@pytest.mark.parametrize(("helo", "can_tip"), [(0, False), (1, True), (2, False)])
def test_spf_is_asked_only_where_it_can_tip(helo: int, *, can_tip: bool) -> None:
    """It counts 1 at most: with 0 so far it cannot reach 2, with 2 it is not needed."""
    assert spf_can_tip(_evidence(helo=helo), DEFAULT) is can_tip


def test_every_rfc_check_can_be_the_reason() -> None:
    thresholds = Thresholds(rfc_threshold=1)
    reasons = [judge({check: Finding(1, "")}, thresholds).reason for check in RFC_CHECKS]
    assert reasons == list(REASON_OF.values())


def _of(*facts: FindingKind, counts_alone: bool = False, **scores: int | None) -> Evidence:
    """Facts as they count by default, a mail to oneself where SPF does not pass; and findings without a fact."""
    evidence = {fact.check: found(fact, "") for fact in facts} | dict(_evidence(**scores))
    if own := evidence.get(Check.SENDER_IS_RECIPIENT):
        evidence[Check.SENDER_IS_RECIPIENT] = own._replace(counts_alone=counts_alone)
    return evidence


OWN = FindingKind.SENDER_IS_RECIPIENT


@pytest.mark.parametrize(
    ("evidence", "judgement"),
    [
        pytest.param(_of(OWN), CLEAN, id="alone"),
        pytest.param(_of(OWN, FindingKind.HELO_HALF_MATCH), CLEAN, id="with HELO 1"),
        pytest.param(_of(OWN, FindingKind.HELO_HALF_MATCH, spf=None), CLEAN, id="SPF is not known"),
        pytest.param(_of(OWN, FindingKind.HELO_HALF_MATCH, spf=0), CLEAN, id="SPF passes"),
        pytest.param(_of(OWN, FindingKind.HELO_HALF_MATCH, FindingKind.SPF_NO_PASS), _suspicious(OWN), id="no pass"),
        pytest.param(_of(OWN, FindingKind.SPF_NO_PASS), CLEAN, id="no pass, and nothing else"),
        pytest.param(_of(OWN, FindingKind.SPF_FAIL), _suspicious(Reason.SPF), id="SPF fails"),
        pytest.param(
            _of(OWN, FindingKind.HELO_HALF_MATCH, counts_alone=True),
            _suspicious(OWN),
            id="the client is no server",
        ),
    ],
)
def test_a_mail_to_oneself_counts_where_it_counts_alone_or_spf_does_not_pass(
    evidence: Evidence, judgement: Judgement
) -> None:
    assert judge(evidence, DEFAULT) == judgement


def test_spf_that_is_unknown_does_not_make_it_count() -> None:
    """Late or failed, whatever it was about to say."""
    late: Evidence = {Check.SPF: Finding(None, "no answer in time", kind=FindingKind.SPF_NO_PASS)}
    assert judge({**_of(OWN, FindingKind.HELO_HALF_MATCH), **late}, DEFAULT) == CLEAN


@pytest.mark.parametrize(
    ("evidence", "scores", "can_tip"),
    [
        pytest.param(_of(OWN), BY_DEFAULT, True, id="a mail to oneself, which then counts too"),
        pytest.param(_of(OWN, FindingKind.HELO_HALF_MATCH), BY_DEFAULT, True, id="with HELO 1"),
        pytest.param(
            _of(OWN, FindingKind.CLIENT_LOOKS_DYNAMIC, counts_alone=True), BY_DEFAULT, False, id="it counts already"
        ),
        pytest.param(_of(), BY_DEFAULT, False, id="nothing is found"),
        pytest.param(_of(), parse_scores("spf-fail=2"), True, id="SPF is enough"),
        pytest.param(_of(), parse_scores("spf-no-pass=2"), True, id="so is that it does not pass"),
        pytest.param(_of(FindingKind.HELO_HALF_MATCH), parse_scores("spf-fail=0"), False, id="SPF counts nothing"),
        pytest.param(_of(OWN, counts_alone=True), BLEY2, True, id="bley 2: one and one"),
    ],
)
def test_spf_is_asked_where_its_answer_makes_a_difference(evidence: Evidence, scores: Scores, *, can_tip: bool) -> None:
    counted = {check: scores.counted(finding) for check, finding in evidence.items()}
    assert spf_can_tip(counted, DEFAULT, scores) is can_tip


@pytest.mark.parametrize("facts", [facts for count in range(4) for facts in combinations(FindingKind, count)])
@pytest.mark.parametrize("scores", [BY_DEFAULT, BLEY2, parse_scores("spf-no-pass=1, sender-is-recipient=2")])
def test_spf_that_is_not_asked_could_not_have_changed_the_judgement(
    facts: tuple[FindingKind, ...], scores: Scores
) -> None:
    """Whatever else is found, and whatever SPF would have said."""
    others: Evidence = {check: finding for check, finding in _of(*facts).items() if FindingKind.SPF_FAIL.check != check}
    evidence = {check: scores.counted(finding) for check, finding in others.items()}
    answers = [
        Finding(0, "pass"),
        *(scores.counted(found(fact, "")) for fact in (FindingKind.SPF_FAIL, FindingKind.SPF_NO_PASS)),
    ]
    judgements = {judge({**evidence, Check.SPF: answer}, DEFAULT) for answer in answers}
    assert spf_can_tip(evidence, DEFAULT, scores) is (len(judgements) > 1)
    if len(judgements) == 1:
        assert judgements == {judge(evidence, DEFAULT)}


def test_the_sum_is_what_the_judgement_counts() -> None:
    assert rfc_sum(_of(OWN, FindingKind.HELO_HALF_MATCH, dnsbl=3, dnswl=1)) == 1
    assert rfc_sum(_of(OWN, FindingKind.HELO_MISMATCH, FindingKind.HELO_NOT_FQDN, counts_alone=True)) == 4


@pytest.mark.parametrize(("score", "shown"), [(None, "?"), (0, "0"), (2, "2"), (-1, "-1")])
def test_finding_shows_its_score(score: int | None, shown: str) -> None:
    """Not knowing is shown as a question mark."""
    assert str(Finding(score, "why")) == shown


def _named(*entries: str, fits: bool = True) -> Finding:
    """A finding of lists that all list the client, with a return code that fits their filters or does not."""
    listed = Answer(Meaning.LISTED, (IPv4Address("127.0.0.2" if fits else "127.0.0.9"),))
    answers = tuple(ListAnswer(dns_list, listed) for dns_list in parse_dns_lists(" ".join(entries)))
    return Finding(sum(answer.weight for answer in answers), "", answers)


class TestDecisiveLists:
    """The lists without whose answer the verdict would have been the other one."""

    @staticmethod
    def of(
        dnsbl: Finding | None = None, dnswl: Finding | None = None, thresholds: Thresholds = DEFAULT, **scores: int
    ) -> list[tuple[str, str]]:
        """Return check and name of each, for these findings."""
        evidence = dict(_evidence(**scores))
        evidence |= {check: finding for check, finding in ((Check.DNSBL, dnsbl), (Check.DNSWL, dnswl)) if finding}
        return [(check.value, name) for check, name in decisive_lists(evidence, thresholds)]

    def test_a_blocklist_that_alone_lists_the_client(self) -> None:
        assert self.of(_named("bl.example"), helo=1) == [("dnsbl", "bl.example")]

    def test_none_of_two_blocklists_of_which_each_is_enough(self) -> None:
        assert self.of(_named("bl.example", "bl2.example")) == []

    def test_no_blocklist_if_another_finding_defers_as_well(self) -> None:
        assert self.of(_named("bl.example"), helo=2) == []
        assert self.of(_named("bl.example"), helo=1, dyn=1) == []

    def test_each_of_two_blocklists_that_reach_the_threshold_only_together(self) -> None:
        both = _named("bl.example", "bl2.example", "bl3.example*0")
        assert [name for _, name in self.of(both, thresholds=Thresholds(dnsbl_threshold=2))] == [
            "bl.example",
            "bl2.example",
        ]

    def test_an_allowlist_without_which_the_client_would_be_deferred(self) -> None:
        assert self.of(_named("bl.example"), _named("wl.example")) == [("dnswl", "wl.example")]
        assert self.of(dnswl=_named("wl.example"), helo=2) == [("dnswl", "wl.example")]

    def test_no_allowlist_whose_client_would_pass_anyway(self) -> None:
        assert self.of(dnswl=_named("wl.example")) == []
        assert self.of(_named("bl.example"), _named("wl.example", "wl2.example")) == []

    def test_a_negative_weight_that_prevents_the_deferral(self) -> None:
        """As users of postscreen write an allowance. The blocklist cannot be decisive: it defers nothing."""
        lists = _named("bl.example*2", "wl.example*-2")
        assert self.of(lists, thresholds=Thresholds(dnsbl_threshold=2)) == [("dnsbl", "wl.example")]

    def test_no_list_whose_return_code_fits_no_filter(self) -> None:
        assert self.of(_named("bl.example=127.0.0.2", fits=False), helo=2) == []

    def test_a_list_whose_other_lists_are_unknown(self) -> None:
        named = _named("bl.example")
        (unknown,) = parse_dns_lists("bl2.example")
        with_unknown = named._replace(answers=(*named.answers, ListAnswer(unknown, Answer(Meaning.SILENT))))
        assert self.of(with_unknown) == [("dnsbl", "bl.example")]

    def test_a_domain_list_that_alone_lists_a_domain(self) -> None:
        evidence: Evidence = {Check.HELO: Finding(0, ""), Check.DOMAIN_LIST: _named("dbl.example")}
        assert decisive_lists(evidence, DEFAULT) == [(Check.DOMAIN_LIST, "dbl.example")]
        both: Evidence = {**evidence, Check.DNSBL: _named("bl.example")}
        assert decisive_lists(both, DEFAULT) == []
        assert decisive_lists(both, Thresholds(dnsbl_threshold=2)) == [
            (Check.DNSBL, "bl.example"),
            (Check.DOMAIN_LIST, "dbl.example"),
        ]

    def test_a_customer_s_key_is_hidden(self) -> None:
        zone = f"{26 * 'k'}.zen.dq.spamhaus.net"
        assert self.of(_named(zone)) == [("dnsbl", "********.zen.dq.spamhaus.net")]

    def test_none_without_lists(self) -> None:
        assert self.of(helo=2) == []
