"""The live display of `bley top`: polls the metrics of the running bley and the store, and handles keys."""

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import termios
import time
import tty
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.live import Live

from bley.commands.top.frame import COUNTED_MINUTES, DaemonState, StoreState, TopFrame, draw
from bley.commands.web_client import WebError, fetch_lists, fetch_page
from bley.core.errors import StoreError
from bley.core.history.periods import Period
from bley.core.history.rates import Rates
from bley.core.history.search import DecisionQuery
from bley.core.history.statistics import figures
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.store.history import History

__all__ = ["Display"]

_LATEST = 50
_STORE_SECONDS = 5.0
"""The deadline of the store's queries for one frame."""
_WAITING_SECONDS = 10.0
"""The time between two counts of waiting triplets, which take the store longer than the other queries."""

_COUNTED = Period("", timedelta(minutes=COUNTED_MINUTES), timedelta(minutes=1))
_QUIT_KEYS = b"qQ\x03"
_WIDTH_OF_A_PIPE = 200


class Display:
    """The live view, which polls bley and its store; an unavailable one is polled again for the next frame."""

    def __init__(self, history: History, configuration: Configuration, seconds: float) -> None:
        self._history, self._configuration, self._seconds = history, configuration, seconds
        self._rates = Rates[tuple[str, str]](60)
        self._waiting: int | None = None
        self._waiting_at = -_WAITING_SECONDS

    async def show(self, count: int | None) -> None:
        """Show this number of frames on the whole terminal, or until q or Ctrl-C."""
        console = Console(markup=False, highlight=False, emoji=False)
        async with _quit_event() as quits:
            with Live(console=console, screen=True, auto_refresh=False) as live:
                for _ in itertools.count() if count is None else range(count):
                    frame = await _unless_set(quits, self._next_frame())
                    if frame is None:
                        return
                    live.update(draw(frame, console.height), refresh=True)
                    await _wait(quits, self._seconds)

    async def print_once(self) -> None:
        """Print one frame, for output that is not a terminal. Rates need two polls."""
        await self._next_frame()
        await asyncio.sleep(self._seconds)
        console = Console(markup=False, highlight=False, emoji=False)
        if not console.is_terminal:
            console.width = _WIDTH_OF_A_PIPE
        console.print(draw(await self._next_frame()))

    async def _next_frame(self) -> TopFrame:
        daemon, store = await asyncio.gather(asyncio.to_thread(self._poll_daemon), self._poll_store())
        return TopFrame(utc_now(), self._rates.over(self._seconds / 2), self._rates.over(60), daemon, store)

    def _poll_daemon(self) -> DaemonState:
        """Fetch the metrics and lists; this blocks."""
        try:
            families = list(text_string_to_metric_families(fetch_page(self._configuration, "/metrics").decode()))
            self._rates.add(time.monotonic(), _decisions(families))
            samples = {sample.name: sample.value for family in families for sample in family.samples}
            return DaemonState(
                fetch_lists(self._configuration),
                bool(samples.get("bley_store_down")),
                bool(samples.get("bley_dns_silent")),
            )
        except (WebError, ValueError) as error:
            return DaemonState(error=str(error))

    async def _poll_store(self) -> StoreState:
        """Query the store within the deadline."""
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                return await self._query_store()
        except StoreError as error:
            return StoreState(error=str(error))
        except TimeoutError:
            return StoreState(error=f"{self._history.place}: no answer within {_STORE_SECONDS:g} s")

    async def _query_store(self) -> StoreState:
        now = utc_now()
        if time.monotonic() - self._waiting_at >= _WAITING_SECONDS:
            waiting = await self._history.waiting(now - self._configuration.timings.longest, 0)
            self._waiting, self._waiting_at = waiting.number, time.monotonic()
        counts = await self._history.counts(_COUNTED, now)
        latest = await self._history.decisions(DecisionQuery(), _LATEST)
        return StoreState(figures(counts), latest, self._waiting)


def _decisions(families: Sequence[Metric]) -> Mapping[tuple[str, str], float]:
    """Return the number of decisions by outcome and reason."""
    samples = (sample for family in families for sample in family.samples if sample.name == "bley_decisions_total")
    return {(sample.labels["action"], sample.labels["reason"]): sample.value for sample in samples}


async def _wait(quits: asyncio.Event, seconds: float) -> None:
    """Wait this time, or until the event is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await quits.wait()


async def _unless_set(quits: asyncio.Event, work: Coroutine[Any, Any, TopFrame]) -> TopFrame | None:
    """Return the result of the work, or None if the event is set first."""
    working, quitting = asyncio.create_task(work), asyncio.create_task(quits.wait())
    tasks: set[asyncio.Task[Any]] = {working, quitting}
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    quitting.cancel()
    if working.done():
        return working.result()
    working.cancel()
    return None


@contextlib.asynccontextmanager
async def _quit_event() -> AsyncIterator[asyncio.Event]:
    """Yield an event that q, SIGINT and SIGTERM set. Keys are read one by one, without echo."""
    quits, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, quits.set)
    with _read_keys(quits, loop):
        yield quits


@contextlib.contextmanager
def _read_keys(quits: asyncio.Event, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def read() -> None:
        typed = os.read(terminal, 1024)
        if not typed or any(key in _QUIT_KEYS for key in typed):
            quits.set()

    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
