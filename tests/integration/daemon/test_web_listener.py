"""Where the web listens, and when what answers there is imported."""

import asyncio
import logging
import re
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from bley.core.errors import SettingsError
from bley.daemon import web_listener as web_place
from tests.integration.web.site import Site

_STATE = """
import asyncio, sys
from bley.daemon.web_listener import WebListener
from tests.integration.web.site import Site
async def main():
    site = Site()
    site.web.open()
    await asyncio.sleep(0.1)
    print("aiohttp.web" in sys.modules and "bley.web.server" in sys.modules)
    await site.get("/lists")
    print("bley.web.server" in sys.modules)
    await site.web.close()
asyncio.run(main())
"""


async def test_it_says_where_it_listens(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    with caplog.at_level(logging.INFO):
        site.web.open()
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d*", site.web.place)
    await site.web.close()


async def test_at_an_ipv6_address_too() -> None:
    site = Site("[::1]:0")
    site.web.open()
    assert site.web.place.startswith("http://[::1]:")
    assert (await site.get("/lists")).status == 200
    await site.web.close()


async def test_a_port_in_use_is_the_operator_s_to_mend() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        site = Site(f"127.0.0.1:{port}")
        with pytest.raises(SettingsError) as caught:
            site.web.open()
        await site.web.close()
    assert str(caught.value).startswith(f"web_listen: cannot listen at 127.0.0.1 port {port}: ")
    assert "in use" in str(caught.value)


async def test_where_it_is_off_nothing_listens() -> None:
    site = Site("")
    site.web.open()
    assert site.web.place == ""
    await site.web.close()


@pytest.mark.parametrize("is_asked_before", [False, True])
async def test_after_close_nobody_listens(is_asked_before: bool) -> None:
    site = Site()
    site.web.open()
    if is_asked_before:
        await site.get("/lists")
    await site.web.close()
    with pytest.raises(aiohttp.ClientConnectionError):
        await site.get("/lists")


async def test_who_comes_first_together_is_answered_together() -> None:
    site = Site()
    site.web.open()
    answers = await asyncio.gather(*(site.get("/healthz") for _ in range(20)))
    assert [answer.status for answer in answers] == [200] * 20
    await site.web.close()


async def test_what_answers_is_imported_when_somebody_looks() -> None:
    """In a process of its own, where no other test has done so."""
    root = Path(__file__).parents[3]
    told = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", _STATE], cwd=root, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False", "True"]


async def test_where_that_fails_it_is_told_and_bley_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(web_place, "import_module", _fail)
    monkeypatch.setattr(logging.getLogger("bley"), "propagate", True)
    site = Site()
    site.web.open()
    with pytest.raises(aiohttp.ClientError):
        await site.get("/lists")
    await site.web.close()
    assert "web_listen: internal error, the web interface is off" in caplog.text


def _fail(_: str) -> None:
    raise ImportError("no aiohttp")
