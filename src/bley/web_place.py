"""What listens at `web_listen`, if anything does.

Its modules are a quarter of the start and an eighth of the memory: they are imported beside the first requests, when
these are answered already, and not at all where it is off.
"""

import asyncio
import logging
from importlib import import_module
from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from bley.config_file import Configuration
from bley.metrics import REGISTRY
from bley.ports import Clock, utc_now

if TYPE_CHECKING:
    from bley.web.server import Web
    from bley.web.shown import Shown

__all__ = ["WebPlace"]

_log = logging.getLogger(__name__)


class WebPlace:
    """The web of the bley that is `shown`, from `open` to `close`; `counted` is what it has counted."""

    def __init__(
        self, shown: "Shown", configuration: Configuration, counted: Collector = REGISTRY, clock: Clock = utc_now
    ) -> None:
        self._shown, self._configuration, self._counted, self._clock = shown, configuration, counted, clock
        self._web: Web | None = None

    async def open(self) -> None:
        """Listen, and tell where. Raises SettingsError when that cannot be."""
        if not self._configuration.settings.web_place:
            return
        module = await asyncio.to_thread(import_module, "bley.web.server")
        configuration = self._configuration  # by now, which may be another
        settings = configuration.settings
        self._web = module.Web(self._shown, self._counted, clock=self._clock)
        if settings.web_place:
            place = await self._web.listen(*settings.web_place, configuration)
            _log.info("dashboard at %s://%s/", settings.web_scheme, place)
            _log.info("metrics at %s://%s/metrics", settings.web_scheme, place)

    def reconfigure(self, configuration: Configuration) -> None:
        """Go by these settings from now on."""
        self._configuration = configuration
        if self._web:
            self._web.reconfigure(configuration)

    async def close(self) -> None:
        """Finish what is in flight, and let go."""
        if self._web:
            await self._web.close()
