"""A web server of the test, for a fake daemon."""

from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, SenderExemptions
from bley.daemon.web_listener import WebListener
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from tests.fakes import FakeBley

_LABELS = ("check", "finding", "list", "answer", "quantile", "ip", "what", "cache", "process")


@dataclass
class Answer:
    """A response by HTTP."""

    status: int
    type: str
    text: str


class Site:
    """A web server and the daemon that it shows."""

    def __init__(self, web_listen: str = "127.0.0.1:0") -> None:
        self.bley = FakeBley()
        settings = Settings(web_listen=web_listen)
        lists = MailExemptions(), ClientExemptions(), SenderExemptions()
        self.web = WebListener(self.bley, Configuration(None, settings, *lists))

    async def get(self, path: str, host: str = "", method: str = "GET", **headers: str) -> Answer:
        """Send a request, with this Host header if one is given."""
        if host:
            headers["Host"] = host
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.web.place}{path}", headers=headers) as answer,
        ):
            return Answer(answer.status, answer.headers["Content-Type"], await answer.text())

    async def metrics(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Return the samples: the values of the labels, and the value of the sample."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families((await self.get("/metrics")).text):
            for sample in family.samples:
                labels = tuple(sample.labels[name] for name in _LABELS if name in sample.labels)
                found.setdefault(sample.name, {})[labels] = sample.value
        return found
