"""What bley shows of itself by HTTP: the lists, the metrics, and to whom."""

import json
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bley.checks.list_report import DnsReport, ListReport
from bley.core.errors import SettingsError
from bley.core.evidence import ALWAYS_TOLD, Fact
from bley.web.server import Web

WELL = ListReport(
    name="zen.spamhaus.org",
    setting="dnsbls",
    entries="zen.spamhaus.org*3",
    state="well",
    state_ipv6="not served",
    since="2026-11-23T12:00:00+00:00",
    what="",
    last_error="",
    last_error_at=None,
    answers={"listed": 3, "clear": 7},
    median_seconds=0.02,
    p95_seconds=0.5,
)
ILL = ListReport(
    name="bl.example",
    setting="dnsbls",
    entries="bl.example",
    state="ill",
    state_ipv6="well",
    since="2026-11-23T12:00:00+00:00",
    what="it is empty; remove it",
    last_error="it is empty",
    last_error_at="2026-11-23T12:00:00+00:00",
    answers={},
    median_seconds=None,
    p95_seconds=None,
)


_LABELS = ("check", "finding", "list", "answer", "quantile", "ip")


@dataclass
class Answer:
    status: int
    type: str
    text: str


class Site:
    """A listening Web, and the world that it shows."""

    def __init__(self) -> None:
        self.lists: list[ListReport] | None = [WELL, ILL]
        """None: nobody can tell."""
        self.is_silent, self.place = False, ""
        self.web = Web(self._report)

    async def _report(self) -> DnsReport | None:
        return None if self.lists is None else DnsReport(self.lists, self.is_silent)

    async def get(self, path: str, host: str = "", method: str = "GET") -> Answer:
        headers = {"Host": host} if host else {}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://{self.place}{path}", headers=headers) as answer,
        ):
            return Answer(answer.status, answer.headers["Content-Type"], await answer.text())

    async def metrics(self) -> dict[str, dict[tuple[str, ...], float]]:
        """By sample: its labels' values, and what it counts."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families((await self.get("/metrics")).text):
            for sample in family.samples:
                labels = tuple(sample.labels[name] for name in _LABELS if name in sample.labels)
                found.setdefault(sample.name, {})[labels] = sample.value
        return found


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    site.place = await site.web.listen("127.0.0.1", 0)
    yield site
    await site.web.close()


async def test_lists_are_shown_as_they_are_at_that_moment(site: Site) -> None:
    answer = await site.get("/lists")
    assert (answer.status, answer.type) == (200, "application/json; charset=utf-8")
    assert json.loads(answer.text) == [WELL, ILL]
    site.lists = []
    assert json.loads((await site.get("/lists")).text) == []


async def test_where_no_worker_can_tell_of_the_lists_the_rest_is_shown(site: Site) -> None:
    site.lists = None
    answer = await site.get("/lists")
    assert (answer.status, answer.text) == (503, "no worker answers\n")
    metrics = await site.metrics()
    assert "bley_store_down" in metrics
    assert "bley_list_well" not in metrics


class TestMetrics:
    async def test_they_come_in_prometheus_s_text_form(self, site: Site) -> None:
        answer = await site.get("/metrics")
        assert answer.status == 200
        assert answer.type.startswith("text/plain; version=")

    async def test_of_each_list(self, site: Site) -> None:
        metrics = await site.metrics()
        assert metrics["bley_list_well"] == {
            ("zen.spamhaus.org", "4"): 1,
            ("bl.example", "4"): 0,
            ("bl.example", "6"): 0,
        }
        assert metrics["bley_list_latency_seconds"] == {
            ("zen.spamhaus.org", "0.5"): 0.02,
            ("zen.spamhaus.org", "0.95"): 0.5,
        }

    @pytest.mark.parametrize("state", ["untested", "ill", "dead"])
    async def test_only_a_well_list_is_well(self, site: Site, state: str) -> None:
        site.lists = [ListReport(**{**WELL, "state": state})]
        assert (await site.metrics())["bley_list_well"] == {("zen.spamhaus.org", "4"): 0}

    async def test_a_list_for_ipv6_clients_only_is_well_for_these(self, site: Site) -> None:
        site.lists = [ListReport(**{**WELL, "state": "not served", "state_ipv6": "well"})]
        assert (await site.metrics())["bley_list_well"] == {("zen.spamhaus.org", "6"): 1}

    async def test_a_list_in_both_settings_is_shown_once(self, site: Site) -> None:
        """Prometheus refuses a page with the same sample twice."""
        site.lists = [WELL, ListReport(**{**WELL, "setting": "dnswls"})]
        text = (await site.get("/metrics")).text
        assert text.count('bley_list_well{ip="4",list="zen.spamhaus.org"}') == 1

    async def test_whether_the_dns_is_silent(self, site: Site) -> None:
        assert (await site.metrics())["bley_dns_silent"] == {(): 0}
        site.is_silent = True
        assert (await site.metrics())["bley_dns_silent"] == {(): 1}

    async def test_findings_are_there_from_the_start(self, site: Site) -> None:
        """Of the unknown ones those that can be unknown, or stand for such in the log."""
        metrics = await site.metrics()
        assert set(metrics["bley_unknown_findings_total"]) == {(check.value,) for check in ALWAYS_TOLD}
        assert set(metrics["bley_findings_total"]) == {(fact.value,) for fact in Fact}

    async def test_there_is_nothing_else_and_each_is_explained(self, site: Site) -> None:
        families = text_string_to_metric_families((await site.get("/metrics")).text)
        told: Mapping[str, str] = {family.name: family.documentation for family in families}
        assert set(told) == {
            "bley_decisions",
            "bley_dns_silent",
            "bley_findings",
            "bley_list_answers",
            "bley_list_latency_seconds",
            "bley_list_well",
            "bley_log_dropped",
            "bley_store_down",
            "bley_store_dropped",
            "bley_unknown_findings",
        }
        assert all(told.values())


class TestHost:
    """A page of a stranger's, whose name leads here, must not be answered."""

    @pytest.mark.parametrize(
        "host",
        ["localhost", "localhost:1338", "LOCALHOST", "127.0.0.1", "127.0.0.1:1338", "127.9.9.9", "[::1]", "[::1]:1338"],
    )
    async def test_own_names_are_answered(self, site: Site, host: str) -> None:
        assert (await site.get("/lists", host)).status == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:1338",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "[2001:db8::1]:1338",
            "0.0.0.0",
        ],
    )
    @pytest.mark.parametrize("path", ["/lists", "/metrics", "/nothing"])
    async def test_other_names_are_not(self, site: Site, host: str, path: str) -> None:
        answer = await site.get(path, host)
        assert (answer.status, answer.text) == (403, "ask by the address of web_listen, or as localhost\n")

    @pytest.mark.parametrize("host", ["a b", "[", "::1", "localhost:port", "localhost@evil.example", "%"])
    async def test_nonsense_is_not_either(self, site: Site, host: str) -> None:
        """And no server error."""
        assert (await site.get("/lists", host)).status in (400, 403)


async def test_what_is_not_there_is_not_found(site: Site) -> None:
    assert (await site.get("/")).status == 404
    assert (await site.get("/lists/zen.spamhaus.org")).status == 404


@pytest.mark.parametrize("path", ["/lists", "/metrics"])
async def test_it_is_read_only(site: Site, path: str) -> None:
    assert (await site.get(path, method="POST")).status == 405


class TestListening:
    async def test_it_says_where_it_listens(self) -> None:
        web = Web(Site()._report)
        host, _, port = (await web.listen("127.0.0.1", 0)).rpartition(":")
        assert host == "127.0.0.1"
        assert int(port) > 0
        await web.close()

    async def test_at_an_ipv6_address_too(self) -> None:
        site = Site()
        site.place = await site.web.listen("::1", 0)
        assert site.place.startswith("[::1]:")
        assert (await site.get("/lists")).status == 200
        await site.web.close()

    async def test_a_port_in_use_is_the_operator_s_to_mend(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            web = Web(Site()._report)
            with pytest.raises(SettingsError) as caught:
                await web.listen("127.0.0.1", port)
            await web.close()
        assert str(caught.value).startswith(f"web_listen: cannot listen at 127.0.0.1 port {port}: ")
        assert "in use" in str(caught.value)

    async def test_after_close_nobody_listens(self) -> None:
        site = Site()
        site.place = await site.web.listen("127.0.0.1", 0)
        await site.web.close()
        with pytest.raises(aiohttp.ClientConnectionError):
            await site.get("/lists")

    async def test_close_without_listen_does_nothing(self) -> None:
        await Web(Site()._report).close()
