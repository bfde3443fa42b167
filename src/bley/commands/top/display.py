"""`bley top`: what the running bley does, live in the terminal, from its metrics and the store."""

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
from typing import Any, NamedTuple

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.live import Live

from bley.checks.lists.report import ListReport
from bley.commands.top.frame import COUNTED_MINUTES, TopFrame, draw
from bley.commands.web_client import WebError, ask_lists, ask_web
from bley.core.errors import StoreError
from bley.core.history.periods import Period
from bley.core.history.rates import Rates
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.core.history.statistics import Figures, figures
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.store.history import History

__all__ = ["Top"]

_LATEST = 50
_STORE_SECONDS = 5.0
"""The store may take for an answer."""
_WAITING_SECONDS = 10.0
"""To count who waits takes the store longer than the rest."""

_COUNTED = Period("", timedelta(minutes=COUNTED_MINUTES), timedelta(minutes=1))
_QUIT = b"qQ\x03"
_WIDTH_OF_A_PIPE = 200


class _ReportedState(NamedTuple):
    """What bley tells of itself; `error` why it does not."""

    lists: Sequence[ListReport] = ()
    store_is_down: bool = False
    dns_is_silent: bool = False
    error: str = ""


class _StoredState(NamedTuple):
    figures: Figures = Figures()
    latest: Sequence[StoredDecision] = ()
    waiting: int | None = None
    error: str = ""


class Top:
    """Looks at bley and its store every so many seconds; who is away is asked again each time."""

    def __init__(self, history: History, configuration: Configuration, seconds: float) -> None:
        self._history, self._configuration, self._seconds = history, configuration, seconds
        self._rates = Rates[tuple[str, str]](60)
        self._waiting: int | None = None
        self._waiting_at = -_WAITING_SECONDS

    async def show(self, count: int | None) -> None:
        """So many pictures on the whole terminal, or until it is left by q or Ctrl-C."""
        console = Console(markup=False, highlight=False, emoji=False)
        async with _leaving() as left:
            with Live(console=console, screen=True, auto_refresh=False) as live:
                for _ in itertools.count() if count is None else range(count):
                    picture = await _unless(left, self._look())
                    if picture is None:
                        return
                    live.update(draw(picture), refresh=True)
                    await _wait(left, self._seconds)

    async def print_once(self) -> None:
        """One picture, where there is no terminal to draw on."""
        await self._look()
        await asyncio.sleep(self._seconds)
        console = Console(markup=False, highlight=False, emoji=False)
        if not console.is_terminal:
            console.width = _WIDTH_OF_A_PIPE
        console.print(draw(await self._look()))

    async def _look(self) -> TopFrame:
        told, stored = await asyncio.gather(asyncio.to_thread(self._ask), self._read())
        return TopFrame(
            at=utc_now(),
            now=self._rates.over(self._seconds / 2),
            minute=self._rates.over(60),
            lists=told.lists,
            store_is_down=told.store_is_down,
            dns_is_silent=told.dns_is_silent,
            web_error=told.error,
            figures=stored.figures,
            latest=stored.latest,
            waiting=stored.waiting,
            store_error=stored.error,
        )

    def _ask(self) -> _ReportedState:
        """What bley tells; it may take long."""
        try:
            families = list(text_string_to_metric_families(ask_web(self._configuration, "/metrics").decode()))
            self._rates.add(time.monotonic(), _decisions(families))
            samples = {sample.name: sample.value for family in families for sample in family.samples}
            return _ReportedState(
                ask_lists(self._configuration),
                bool(samples.get("bley_store_down")),
                bool(samples.get("bley_dns_silent")),
            )
        except (WebError, ValueError) as error:
            return _ReportedState(error=str(error))

    async def _read(self) -> _StoredState:
        """What the store tells; the next picture tries again where it does not answer."""
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                return await self._ask_store()
        except StoreError as error:
            return _StoredState(error=str(error))
        except TimeoutError:
            return _StoredState(error=f"{self._history.place}: no answer within {_STORE_SECONDS:g} s")

    async def _ask_store(self) -> _StoredState:
        now = utc_now()
        if time.monotonic() - self._waiting_at >= _WAITING_SECONDS:
            waiting = await self._history.waiting(now - self._configuration.settings.timing.longest, 1)
            self._waiting, self._waiting_at = waiting.number, time.monotonic()
        counts = await self._history.counts(_COUNTED, now)
        latest = await self._history.decisions(DecisionQuery(), _LATEST)
        return _StoredState(figures(counts), latest, self._waiting)


def _decisions(families: Sequence[Metric]) -> Mapping[tuple[str, str], float]:
    """By outcome and reason."""
    samples = (sample for family in families for sample in family.samples if sample.name == "bley_decisions_total")
    return {(sample.labels["action"], sample.labels["reason"]): sample.value for sample in samples}


async def _wait(left: asyncio.Event, seconds: float) -> None:
    """So long, or until the view is left."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await left.wait()


async def _unless(left: asyncio.Event, work: Coroutine[Any, Any, TopFrame]) -> TopFrame | None:
    """What comes of it; None if the view is left before."""
    looking, leaving = asyncio.create_task(work), asyncio.create_task(left.wait())
    tasks: set[asyncio.Task[Any]] = {looking, leaving}
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if looking.done():
        return looking.result()
    looking.cancel()
    return None


@contextlib.asynccontextmanager
async def _leaving() -> AsyncIterator[asyncio.Event]:
    """An event for q, SIGINT and SIGTERM; keys are neither shown nor waited for until the end of their line."""
    left, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, left.set)
    with _keys(left, loop):
        yield left


@contextlib.contextmanager
def _keys(left: asyncio.Event, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def read() -> None:
        typed = os.read(terminal, 1024)
        if not typed or any(key in _QUIT for key in typed):
            left.set()

    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
