"""The evidence of a decision."""

from bley.core.findings import Check
from bley.core.policy import Thresholds
from bley.web.evidence import finding_rows, score_sums

DETAILS = {
    "findings": {
        Check.HELO: {"score": 2, "detail": "friend is not the client's name"},
        Check.SPF: {"score": None, "detail": "no answer in time"},
        Check.DNSBL: {"score": 0, "lists": [{"list": "bl.example", "is": "bl.example does not list it", "says": "x"}]},
    }
}


def test_each_finding_has_its_score_and_its_words() -> None:
    helo, spf, dnsbl = finding_rows(DETAILS)
    assert (helo.check, helo.score, helo.counts, helo.detail) == ("helo", "2", True, "friend is not the client's name")
    assert (spf.score, spf.counts) == ("?", False)
    assert [(each.name, each.answer, each.says) for each in dnsbl.lists] == [
        ("bl.example", "bl.example does not list it", "x")
    ]


def test_sums_stand_against_their_thresholds() -> None:
    sums = [(each.setting, each.score, each.threshold, each.is_reached) for each in score_sums(DETAILS, Thresholds())]
    assert sums == [("dnsbl_threshold", 0, 1, False), ("rfc_threshold", 2, 2, True)]


def test_domain_lists_add_to_the_blocklists() -> None:
    details = {"findings": {Check.DNSBL: {"score": 1, "lists": []}, Check.DOMAIN_LIST: {"score": 2, "lists": []}}}
    first, _ = score_sums(details, Thresholds(dnsbl_threshold=3))
    assert (first.name, first.score, first.is_reached) == ("DNS blocklists and domain lists", 3, True)


def test_without_evidence_there_is_nothing() -> None:
    assert finding_rows({}) == []
    assert score_sums({}, Thresholds()) == []
