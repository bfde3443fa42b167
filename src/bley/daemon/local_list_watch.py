"""The watch that reloads bley when `bley allow` has changed a list file, or an entry of one has ended."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from bley.ports import Clock
from bley.settings.lists import FileIdentity, LocalLists

__all__ = ["LocalListWatch"]

_POLL_SECONDS = 20
"""The interval; the documentation promises it. A poll is three calls of stat."""

_log = logging.getLogger(__name__)


class LocalListWatch:
    """Calls `reload` once for each change of the local lists; `current` returns those in force."""

    def __init__(self, current: Callable[[], LocalLists], reload: Callable[[], object], clock: Clock) -> None:
        self._current, self._reload, self._clock = current, reload, clock
        self._tried: Sequence[tuple[Path, FileIdentity]] = ()

    async def run(self) -> None:
        """Poll forever."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            self.poll()

    def poll(self) -> None:
        """Reload if a file has changed. After a reload that failed, wait for another change."""
        changes = self._current().changes(self._clock().date())
        if changes and changes != self._tried:
            files = ", ".join(str(file) for file, _ in changes)
            _log.info("reloading: %s changed, or an entry has ended", files)
            self._reload()
        self._tried = changes
