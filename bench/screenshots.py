"""The pictures of the dashboard in docs/: a bley with made-up mail, rendered by Chromium.

.venv/bin/python -m bench.screenshots docs
"""

import asyncio
import io
import random
import socket
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import click
from PIL import Image
from tests.dns_server import DnsServer, Entry, Zone
from tests.integration.browser import Browser
from tests.integration.running_bley import WAIT_SECONDS, Bley

from bench.plausible_mail import DNSBL, fill, strangers
from bley.core.dnslists.lists import query_name
from bley.core.wire import encode_request
from bley.settings.database import parse_database
from bley.store.opening import open_engine

_MAILS = 24_000
_DAYS = 7
_STRANGERS = 60
_LISTED: Entry = {"A": ["127.0.0.4"], "TXT": ["https://www.spamhaus.org/query/ip/"]}
_CODES = "127.0.0.[2..11]"
_MARGIN = 16
_COLOURS = 200
"""The number of colors: a picture has less than 300 kB."""

_PAGES = (
    ("dashboard-wide", "/", 1280, "light", 5000),
    ("dashboard-dark", "/", 1280, "dark", 1390),
    ("dashboard-narrow", "/", 390, "light", 2600),
)
_PARTS = (("dashboard-reasons", ".block:has(.causes)"), ("dashboard-lists", "#lists"))
"""Parts of the overview of a week, by their selectors."""


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Make all pictures."""
    with tempfile.TemporaryDirectory(prefix="bley-") as name:
        work = Path(name)
        asyncio.run(_fill(work / "bley.db"))
        settings = {
            "dnsbls": f"{DNSBL}={_CODES}, bl.spamcop.net, bl.example.net",
            "dnswls": "list.dnswl.org",
            "check_timeout": "2s",
            "web_listen": "127.0.0.1:0",
            "node_name": "mx1",
        }
        with DnsServer(_zone()) as dns, Bley(work, resolver=dns.address, **settings) as bley, Browser(work) as browser:
            _ask(bley.port)
            place = bley.wait_log(r"dashboard at (http://[^/\s]+)/")[1]
            for title, path, width, scheme, height in _PAGES:
                _take(browser, f"{place}{path}", (width, height), scheme, folder / f"{title}.png")
            browser.open(f"{place}/search?reason=waited")
            decision = browser.find('tbody a[href^="/decision/"]').get_attribute("href") or ""
            _take(browser, decision, (1280, 5000), "light", folder / "dashboard-decision.png")
            browser.open(f"{place}/?range=7d")
            for title, selector in _PARTS:
                _save(_picture(browser).crop(_box(browser, selector)), folder / f"{title}.png")
            bley.stop()
            browser.wait(lambda: bool(browser.find("#gone").text))
            _save(_picture(browser).crop((0, 0, 1280, 800)), folder / "dashboard-gone.png")


async def _fill(file: Path) -> None:
    engine = open_engine(parse_database(f"sqlite:///{file}"))
    await fill(engine, datetime.now(UTC) - timedelta(seconds=30), timedelta(days=_DAYS), _MAILS)
    await engine.close()


def _zone() -> Zone:
    """Return three healthy lists and an empty one; every other client is listed."""
    zone: dict[str, Entry] = {"bl.example.net": {"A": []}}
    for name, code in ((DNSBL, "127.0.0.2"), ("bl.spamcop.net", "127.0.0.2"), ("list.dnswl.org", "127.0.10.0")):
        zone[query_name(ip_address("127.0.0.2"), name)] = {"A": [code]}
    for number in range(256 * 20):
        if number % 2:
            zone[query_name(ip_address(f"203.0.{100 + number // 256}.{number % 256}"), DNSBL)] = _LISTED
    return zone


def _ask(port: int) -> None:
    for request in strangers(random.Random(7), _STRANGERS):
        with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as peer:
            peer.sendall(encode_request(request))
            peer.recv(4096)


def _take(browser: Browser, url: str, size: tuple[int, int], scheme: str, file: Path) -> None:
    width, height = size
    browser.resize(width, 800)
    browser.prefer(color_scheme=scheme)
    browser.open(url)
    picture = _picture(browser)
    _save(picture.crop((0, 0, width, min(height, picture.height))), file)


def _picture(browser: Browser) -> Image.Image:
    """Return the whole page."""
    return Image.open(io.BytesIO(browser.screenshot())).convert("RGB")


def _box(browser: Browser, selector: str) -> tuple[int, int, int, int]:
    """Return the place of an element, with a margin."""
    rectangle = browser.find(selector).rect
    left, top = int(rectangle["x"]) - _MARGIN, int(rectangle["y"]) - _MARGIN
    return left, top, left + int(rectangle["width"]) + 2 * _MARGIN, top + int(rectangle["height"]) + 2 * _MARGIN


def _save(picture: Image.Image, file: Path) -> None:
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    click.echo(f"{file}: {picture.width} x {picture.height}, {file.stat().st_size // 1000} kB", err=True)


if __name__ == "__main__":
    main()
