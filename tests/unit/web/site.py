"""A listening Web of the test's own, and the bley that it shows."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bley.checks.list_report import ListReport
from bley.config import Settings
from bley.config_file import Configuration
from bley.core.exemptions import ClientExemptions, MailExemptions
from bley.state_report import StateReport
from bley.web_place import WebPlace
from tests.fakes import WELL_LIST

ILL_LIST = ListReport(
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

_LABELS = ("check", "finding", "list", "answer", "quantile", "ip", "what", "cache", "process")


@dataclass
class Answer:
    """To a question by HTTP."""

    status: int
    type: str
    text: str


class FakeBley:
    """Shows what it is told to."""

    def __init__(self) -> None:
        self.state = StateReport(
            lists=[WELL_LIST, ILL_LIST],
            dns_is_silent=False,
            store_is_down=False,
            connections=3,
            waiting={"writes": 1, "decisions": 20},
            cached={"requests": 4, "triplets": 5, "clients": 6, "spf": 7},
            running={"tasks": 8, "spf": 0},
        )
        self.lives = True
        """Else nobody can tell anything."""
        self.processes = {"main": os.getpid()}

    async def is_alive(self) -> bool:
        return self.lives

    async def report_state(self) -> StateReport | None:
        return self.state if self.lives else None

    def process_ids(self) -> Mapping[str, int]:
        return self.processes


class Site:
    """What listens at `web_listen`."""

    def __init__(self, web_listen: str = "127.0.0.1:0") -> None:
        self.bley = FakeBley()
        settings = Settings(web_listen=web_listen)
        lists = MailExemptions(), ClientExemptions(), MailExemptions()
        self.web = WebPlace(self.bley, Configuration(None, settings, *lists))

    async def get(self, path: str, host: str = "", method: str = "GET", **headers: str) -> Answer:
        """Ask, by this name if it is given."""
        if host:
            headers["Host"] = host
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.web.place}{path}", headers=headers) as answer,
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
