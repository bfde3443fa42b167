"""Any value from the wire is text on a page, and nothing else."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bley.checks.lists.report import ListReport
from bley.core.greylist import Record, Status
from bley.core.history.search import StoredDecision
from bley.core.mail import Triplet
from bley.web.markup import visible
from tests.fakes import ILL_LIST, NOON, WELL_LIST, FakeHistory
from tests.unit.web.dashboard_client import DashboardClient, Page, decision

NASTY = st.sampled_from(
    [
        "<script>alert(1)</script>@example.com",
        '"><img src=x onerror=alert(1)>',
        "' onmouseover='alert(1)",
        "</title><svg onload=alert(1)>",
        "javascript:alert(1)",
        "&lt;b&gt;",
        "{{ 7 * 7 }}{% endblock %}",
        "]]><!--",
        "\u202e\x00\r\n\t<p style='x'>",
    ]
)
WIRE = st.one_of(NASTY, st.text(min_size=1, max_size=30))


@st.composite
def decisions(draw: st.DrawFn) -> StoredDecision:
    triplet = [draw(WIRE), draw(WIRE), draw(WIRE)]
    says = {"list": draw(WIRE), "is": draw(WIRE), "says": draw(WIRE), "weight": 1}
    details: dict[str, Any] = {
        "triplet": triplet,
        "standing": "new",
        "findings": {"helo": {"score": 2, "detail": draw(WIRE)}, "dnsbl": {"score": 1, "lists": [says]}},
        "entry": draw(WIRE),
        "wait_seconds": 300.0,
    }
    names = ("client_address", "client_name", "helo_name", "sender", "recipient", "instance", "queue_id")
    reason = draw(st.sampled_from(["helo", "dnsbl", "spf", "known"]))
    return decision(details=details, reason=reason, **{name: draw(WIRE) for name in names})


def client(stored: StoredDecision) -> DashboardClient:
    record = {Triplet(*stored.details["triplet"]): Record(Status.GREYLISTED, NOON, NOON)}
    ill = ListReport(**{**ILL_LIST, "what": stored.helo_name})
    return DashboardClient(FakeHistory([stored], record), [WELL_LIST, ill])


PATHS = ("/", "/search", "/search?q=%3Cb%3E%22%27&reason=helo", "/decision/1")
PLAIN = [asyncio.run(client(decision(details={**decision().details, "entry": "x"})).page(path)) for path in PATHS]
TAGS = {tag for page in PLAIN for tag in page.tags} | {"pre", "code", "em"}
ATTRIBUTES = {name for page in PLAIN for name in page.attributes}


def test_no_page_has_style_or_script_in_it() -> None:
    assert not {"style", "onclick", "onload"} & ATTRIBUTES
    assert "style" not in TAGS


@settings(max_examples=settings().max_examples // 4)  # each makes four pages
@given(decisions())
def test_no_value_becomes_a_tag_or_an_attribute(stored: StoredDecision) -> None:
    """Every page also stays well-formed, as Page checks."""
    site = client(stored)
    for path in PATHS:
        page: Page = asyncio.run(site.page(path))
        assert page.tags <= TAGS
        assert page.attributes <= ATTRIBUTES
        assert all(link.startswith(("/", "#")) for link in page.links)


@given(decisions())
def test_every_value_can_be_read(stored: StoredDecision) -> None:
    """Also one that would reorder or hide what is shown."""
    text = asyncio.run(client(stored).page("/decision/1")).text
    for value in (stored.sender, stored.recipient, stored.client_address, stored.helo_name, stored.details["entry"]):
        assert str(visible(value)) in text
