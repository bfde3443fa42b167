"""The size of responses: what a tab costs that is left open."""

import aiohttp
import pytest

from bley.core.greylist import Record, Status
from bley.core.history.periods import PERIODS
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.ports import utc_now
from bley.web.dashboard_data import DashboardData
from bley.web.rendering import STATIC
from tests.fakes import FakeHistory
from tests.integration.web.site import Site
from tests.unit.web.dashboard_client import decision

MOST_BYTES = 20_000
"""For each five seconds of a live tab."""

REASONS = ("known", "clean", "trusted", "known-pair", "known-client", "waited", "exempt-client", "client-good")
DEFERRALS = ("helo", "dnsbl", "dynamic", "spf", "early", "client-bad", "helo-looks-dynamic")


def _busy_history() -> FakeHistory:
    """Return a year in which each slot of each range has its own figures, and other names in each row."""
    now = utc_now()
    counts = {
        Count(60, int(period.since(now).timestamp()) + number * int(period.slot.total_seconds()), kind, name): number
        * 7919
        % 9973
        + len(name)
        for period in PERIODS.values()
        for number in range(int(period.length / period.slot))
        for kind, names in (("pass", REASONS), ("greylist", DEFERRALS), ("found", DEFERRALS))
        for name in names
    }
    triplets = [
        Triplet(f"198.51.{n}.0/24", f"bounce-{n * 7919}@news{n}.example.com", f"user{n}@example.org") for n in range(40)
    ]
    waiting = {triplet: Record(Status.GREYLISTED, now, now, number) for number, triplet in enumerate(triplets)}
    decisions = [
        decision(
            str(1_000_000 - number),
            client_address=f"203.0.113.{number}",
            client_name=f"mail-{number * 31}.example.net",
            sender=f"bounce-{number * 7919}@news{number}.example.com",
        )
        for number in range(60)
    ]
    return FakeHistory(decisions, waiting, counts)


@pytest.fixture
def _busy(monkeypatch: pytest.MonkeyPatch) -> None:
    history = _busy_history()
    monkeypatch.setattr(DashboardData.__init__, "__defaults__", (utc_now, lambda _: history))


async def _fetch(site: Site, path: str, **headers: str) -> tuple[str, bytes]:
    """Return the content encoding, and the body as it was sent."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(f"{site.web.place}{path}", headers=headers) as answer,
    ):
        return answer.headers.get("Content-Encoding", ""), await answer.read()


@pytest.mark.usefixtures("_busy")
class TestLiveTab:
    @pytest.mark.parametrize("path", [*(f"/?range={name}" for name in [*PERIODS][:-1]), "/search", "/decision/1000000"])
    async def test_a_refresh_costs_at_most_20_kb(self, site: Site, path: str) -> None:
        encoding, body = await _fetch(site, path, **{"Accept-Encoding": "gzip, deflate, br", "Bley-Open": ""})
        assert encoding == "gzip"
        assert len(body) < MOST_BYTES

    async def test_the_year_is_fetched_less_often(self, site: Site) -> None:
        """Its 365 slots are more than 20 kB, so live.js waits a second for each 4 kB."""
        _, body = await _fetch(site, "/?range=365d", **{"Accept-Encoding": "gzip", "Bley-Open": ""})
        assert MOST_BYTES < len(body) < 2 * MOST_BYTES
        assert "const BYTES_PER_SECOND = 4000;" in (STATIC / "live.js").read_text()

    async def test_it_would_cost_more(self, site: Site) -> None:
        """The pages of this test are large, so the limit means something."""
        assert len((await _fetch(site, "/?range=24h", **{"Accept-Encoding": "identity"}))[1]) > 4 * MOST_BYTES


@pytest.mark.parametrize("accepted", ["", "identity", "br"])
async def test_a_client_without_gzip_gets_the_text(site: Site, accepted: str) -> None:
    encoding, body = await _fetch(site, "/metrics", **{"Accept-Encoding": accepted})
    assert encoding == ""
    assert b"# HELP bley_" in body


async def test_a_page_of_another_site_learns_nothing_from_the_size(site: Site) -> None:
    for origin, encoding in (("cross-site", ""), ("same-site", ""), ("same-origin", "gzip"), ("none", "gzip")):
        headers = {"Accept-Encoding": "gzip", "Sec-Fetch-Site": origin}
        assert (await _fetch(site, "/metrics", **headers))[0] == encoding


async def test_a_small_response_is_not_compressed(site: Site) -> None:
    assert (await _fetch(site, "/healthz", **{"Accept-Encoding": "gzip"}))[0] == ""
