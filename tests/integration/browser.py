"""A real browser: Debian's Chromium without a window, with no access beyond this machine.

with Browser(tmp_path) as browser:
    browser.open("http://127.0.0.1:1338/")
    assert browser.faults() == []
"""

import base64
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import axe_core_python
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.integration.servers import require

CHROMIUM = Path("/usr/bin/chromium")
CHROMEDRIVER = Path("/usr/bin/chromedriver")

AXE = Path(axe_core_python.__file__).parent / "axe.min.js"
_RUN_AXE = """
const [only, done] = arguments;
axe.run({runOnly: only, resultTypes: ["violations"]})
   .then(found => done(found.violations), error => done([{id: "error", help: String(error), nodes: [{html: ""}]}]));
"""

STANDARDS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
_OWN = ("chrome:", "chrome-extension:", "chrome-untrusted:", "data:")
LOAD_SECONDS = 60
SCRIPT_SECONDS = 300
"""The limit of a script: axe-core takes seconds, and on a slow machine minutes."""


class Browser:
    """Chromium with a driver of its own; `folder` is for its profile."""

    def __init__(self, folder: Path) -> None:
        require(CHROMIUM, "chromium")
        require(CHROMEDRIVER, "chromium-driver")
        options = ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for option in (*_OPTIONS, f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = Service(str(CHROMEDRIVER), env=os.environ | {"HOME": str(folder)})
        self._driver = Chrome(options, service)
        self._driver.set_page_load_timeout(LOAD_SECONDS)
        self._driver.set_script_timeout(SCRIPT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._driver.quit()

    def open(self, url: str) -> None:
        """Load a page."""
        self._driver.get(url)

    @property
    def url(self) -> str:
        """The address of the page."""
        return self._driver.current_url

    @property
    def source(self) -> str:
        """The current source of the page."""
        return self._driver.page_source

    def find(self, selector: str) -> WebElement:
        """Return the first element that the CSS selector matches."""
        return self._driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """Return all elements that the CSS selector matches."""
        return self._driver.find_elements(By.CSS_SELECTOR, selector)

    def link(self, text: str) -> WebElement:
        """Return the first link with exactly this text."""
        return self._driver.find_element(By.LINK_TEXT, text)

    def type(self, text: str) -> None:
        """Type into the focused element."""
        self._driver.switch_to.active_element.send_keys(text)

    def press_tab(self) -> WebElement:
        """Press the tab key; return the focused element."""
        self.type(Keys.TAB)
        return self._driver.switch_to.active_element

    def run(self, script: str, *arguments: Any) -> Any:
        """Return the result of a script."""
        return self._driver.execute_script(script, *arguments)

    def resize(self, width: int, height: int) -> None:
        """Set the width and height of the page; a phone is narrow."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._send_command("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, **features: str) -> None:
        """Set a preference of the user: `color_scheme="dark"`, `reduced_motion="reduce"`; or `media="print"`."""
        media = features.pop("media", "")
        emulated = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self._send_command("Emulation.setEmulatedMedia", {"media": media, "features": emulated})

    def move_to(self, zone: str) -> None:
        """Set the time zone; an empty one is that of the machine."""
        self._send_command("Emulation.setTimezoneOverride", {"timezoneId": zone})

    def disable_scripts(self, *, disabled: bool) -> None:
        """Disable JavaScript."""
        self._send_command("Emulation.setScriptExecutionDisabled", {"value": disabled})

    @contextmanager
    def hurrying(self, factor: float) -> Iterator[None]:
        """Speed up the timers of pages that are opened in this block by this factor."""
        source = f"const wait = setTimeout; window.setTimeout = (then, time) => wait(then, time / {factor});"
        added = self._send_command("Page.addScriptToEvaluateOnNewDocument", {"source": f"{{ {source} }}"})
        yield
        self._send_command("Page.removeScriptToEvaluateOnNewDocument", added)

    def screenshot(self) -> bytes:
        """Return the whole page as PNG."""
        size = self._send_command("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        taken = self._send_command("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        return base64.b64decode(taken["data"])

    def faults(self) -> list[str]:
        """Return the new messages of the console: errors of scripts, of loading, of the content security policy."""
        return [entry["message"] for entry in self._log("browser") if entry["level"] != "INFO"]

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; otherwise the test fails. It may read elements that a refresh replaces."""
        end = time.monotonic() + LOAD_SECONDS
        while not self._holds(condition):
            assert time.monotonic() < end, self.source
            time.sleep(0.05)

    def _holds(self, condition: Callable[[], bool]) -> bool:
        try:
            return condition()
        except StaleElementReferenceException:
            return False

    def violations(self, only: Sequence[str] = STANDARDS) -> list[str]:
        """Return the violations of WCAG 2.1 A and AA, or of the given rules, that axe-core finds, and their places."""
        if not self.run("return typeof axe === 'object'"):
            self.run(AXE.read_text())
        found = self._driver.execute_async_script(_RUN_AXE, only)
        return [f"{each['id']}: {each['help']}: {node['html'][:200]}" for each in found for node in each["nodes"]]

    def requested(self) -> list[str]:
        """Return the addresses of all new requests."""
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        addresses = [each["request"]["url"] for each in sent]
        return [address for address in addresses if not address.startswith(_OWN)]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries

    def _send_command(self, command: str, parameters: Mapping[str, Any]) -> Any:
        return self._driver.execute_cdp_cmd(command, dict(parameters))
