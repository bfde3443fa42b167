"""The cost of a dashboard page: time, CPU time, SQL statements and bytes. The store of this URL is only read.

Times are medians but for the first request; on a busy machine, only the CPU time is meaningful.

.venv/bin/python -m bench.pages sqlite:////var/lib/bley/bley.db
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

import aiohttp
import click
import sqlalchemy as sa

from bley.core.history.periods import PERIODS
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.daemon.web_listener import WebListener
from bley.settings.database import parse_database
from bley.settings.file import load
from bley.status import StateReport
from bley.store.opening import open_history

_TIMES = 3


class QuietBley:
    """A bley without lists that does nothing."""

    async def is_alive(self) -> bool:
        """Whether it is alive: always."""
        return True

    async def report_state(self) -> StateReport | None:
        """Return a report without faults."""
        return StateReport([], False, False, 0, {}, {}, {})

    settings_file = ""
    places: tuple[str, ...] = ()

    def read_local_lists(self) -> None:
        """Read nothing."""

    def process_ids(self) -> Mapping[str, int]:
        """Return no processes."""
        return {}


@click.command(help=__doc__)
@click.argument("url")
def main(url: str) -> None:
    """Print a row for each page."""
    asyncio.run(_measure(url))


async def _measure(url: str) -> None:
    configuration = load()
    changed = {"database": url, "web_listen": "127.0.0.1:0"}
    configuration = replace(configuration, settings=configuration.settings.model_copy(update=changed))
    statements: list[str] = []
    sa.event.listen(sa.Engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    newest, deferred = await _examples(url)
    network = newest.client_address.rpartition(".")[0] + ".0/24"
    paths = [
        *(f"/?range={name}" for name in PERIODS),
        "/search",
        f"/search?q={newest.recipient}",
        f"/search?q={newest.recipient.rpartition('@')[2]}",
        f"/search?q={newest.recipient.rpartition('@')[2]}&range=365d",
        f"/search?q={newest.client_address}",
        f"/search?q={network}",
        f"/search?q={newest.client_name}",
        f"/search?q={newest.sender.rpartition('@')[2]}",
        "/search?q=nothing.example.net",
        "/search?q=nothing.example.net&records=1",
        "/search?q=nobody@nothing.example.net",
        "/search?reason=waited&range=28d",
        f"/decision/{newest.number}",
        f"/decision/{deferred.number}",
    ]
    web = WebListener(QuietBley(), configuration)
    web.open()
    click.echo(f"{'page':45} {'first':>9} {'median':>9} {'CPU':>9} {'SQL':>4} {'kB':>6}")
    async with aiohttp.ClientSession() as session:
        for path in paths:
            times, processor = [], []
            for _ in range(_TIMES):
                await asyncio.sleep(4.1 if path.startswith("/?") else 1.1)  # the cache of the last request is over
                del statements[:]
                begun, used = time.perf_counter(), time.process_time()
                async with session.get(f"{web.place}{path}") as answer:
                    size = len(await answer.read())
                times.append(1000 * (time.perf_counter() - begun))
                processor.append(1000 * (time.process_time() - used))
            queries = sum(statement.lstrip().upper().startswith("SELECT") for statement in statements)
            median, cpu = sorted(times)[1], sorted(processor)[1]
            click.echo(f"{path:45} {times[0]:6.0f} ms {median:6.0f} ms {cpu:6.0f} ms {queries:4} {size / 1000:6.0f}")
    await web.close()


async def _examples(url: str) -> tuple[StoredDecision, StoredDecision]:
    """Return the newest decision, and the newest deferral for its HELO."""
    history = open_history(parse_database(url))
    (newest,) = await history.decisions(DecisionQuery(), 1)
    (deferred,) = await history.decisions(DecisionQuery(reasons=frozenset(["helo"])), 1)
    await history.close()
    return newest, deferred


if __name__ == "__main__":
    main()
