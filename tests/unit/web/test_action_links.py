"""Each page has the actions that help there, and no others."""

import pytest

from bley.core.history.advice import ListFiles
from bley.core.history.outcome import DeferralOutcome, OutcomeKind
from bley.core.history.search import StoredDecision
from bley.core.history.story import Story
from bley.web.action_links import links_of_decision, links_of_search
from tests.unit.web.dashboard_client import TRIPLET, decision

FILES = ListFiles("/c.local", "/s.local", "/r.local")
EXEMPT = decision(outcome="pass", reason="exempt-sender")


def _exempt(entry: str) -> StoredDecision:
    return EXEMPT._replace(details={**EXEMPT.details, "entry": entry})


@pytest.mark.parametrize(
    ("seen", "kind", "has_records", "words"),
    [
        (decision(), OutcomeKind.WAITING, True, ["Let it pass now", "Never delay", "Forget this mail"]),
        (decision(), OutcomeKind.DUE, True, ["Let it pass now", "Never delay", "Forget this mail"]),
        (decision(), None, False, ["Never delay"]),
        (decision(outcome="pass", reason="waited"), None, True, ["Never delay", "Forget this mail"]),
        (decision(outcome="pass", reason="known"), None, True, ["Forget this mail"]),
        (decision(reason="store-error"), None, False, []),
        (_exempt("/s.local:3:example.com"), None, False, ["End the exemption of"]),
        (_exempt("/s:3:example.com"), None, False, []),
        (_exempt("/s.local:3"), None, False, []),
        (decision(outcome="pass", reason="authenticated", details={}), None, False, []),
    ],
)
def test_actions_of_a_decision(
    seen: StoredDecision, kind: OutcomeKind | None, has_records: bool, words: list[str]
) -> None:
    outcome = DeferralOutcome(kind) if kind else None
    links = links_of_decision(Story(seen, outcome=outcome), FILES, has_records=has_records)
    assert list(dict.fromkeys("Never delay" if "Never" in each.words else each.words for each in links)) == words


def test_an_early_retry_has_the_evidence_of_its_deferral() -> None:
    """The early retry asked nothing of SPF."""
    found = decision()
    deferral = found._replace(details={**found.details, "findings": {"spf": {"score": 0, "detail": "pass: permitted"}}})
    early = decision("2", reason="early", details={"triplet": list(TRIPLET)})
    links = links_of_decision(Story(early, deferral=deferral), FILES, has_records=False)
    assert [each.entry for each in links][:2] == ["spf:a@example.com", "spf:example.com"]


def test_the_entry_of_an_exemption_is_named() -> None:
    [link] = links_of_decision(Story(_exempt("/s.local:3:spf:example.com")), FILES, has_records=False)
    assert link.entry == "spf:example.com"
    assert link.url == "/act/disallow?kind=sender&entry=spf%3Aexample.com&decision=1"


def test_actions_of_a_search() -> None:
    allow = "/act/allow?kind=client&entry=192.0.2.1&q=192.0.2.1"
    assert links_of_search("", has_records=True) == []
    assert [each.url for each in links_of_search("192.0.2.1", has_records=False)] == [allow]
    assert [each.url for each in links_of_search("192.0.2.1", has_records=True)] == [
        "/act/pass?q=192.0.2.1",
        allow,
        "/act/forget?q=192.0.2.1",
    ]
