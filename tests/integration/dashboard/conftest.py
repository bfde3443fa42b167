"""A browser, and a dashboard with decisions."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.integration.browser import Browser
from tests.integration.dashboard.site import Site, ask, sessions
from tests.integration.database_server import wait_until
from tests.integration.running_bley import Bley


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start bley with three hundred strangers; fifty of them retry too early, and wait until the last test.

    Before their retries its node gets another name, so that there are two.
    """
    settings = {"web_listen": "127.0.0.1:0", "greylist_period": "12h", "node_name": "mx1"}
    with Bley(tmp_path_factory.mktemp("bley"), **settings) as bley:
        requests = sessions()
        ask(bley.port, requests)
        bley.write_settings(node_name="mx2")
        bley.reload()
        ask(bley.port, requests[:50])
        site = Site(bley)
        last = f"/decision/{len(requests) + 50}.json"
        wait_until(lambda: site.fetch(last)[0] == 200, "all decisions are stored")
        yield site


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser, site: Site) -> Iterator[Browser]:
    """Check that pages requested nothing from other servers, and that the console is empty."""
    chromium.open("about:blank")  # so that requests of the previous test do not count
    chromium.disable_scripts(disabled=False)
    chromium.resize(1280, 800)
    chromium.prefer(color_scheme="light", reduced_motion="no-preference")
    chromium.faults()
    chromium.requested()
    yield chromium
    assert chromium.faults() == []
    assert {urlsplit(url).netloc for url in chromium.requested()} <= {site.place}
