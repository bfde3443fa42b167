"""A soak test: weeks of mixed and hostile load, compressed into half an hour, with a complete comparison at the end.

    .venv/bin/python -m bench.soak [--minutes 30] [--rate 40] [--workers 1] [--engine sqlite] [FOLDER]

A real daemon serves known and strange mail at a steady rate and hostile peers (bench/hostile_peers.py), with a DNS of
hostile answers (bench/hostile_dns.py). Meanwhile it reloads valid and invalid settings, its log is rotated, its pages
are requested, and its store has outages of some seconds: another process holds SQLite's lock, and servers of other
engines are stopped (bench/troubles.py).

At the end descriptors, threads, tasks and SPF evaluations must not exceed those after the first minute, and memory may
be at most 10 MB more (`--megabytes`). Every request must have one answer and one log line, every deferral its record,
every decision its count (bench/books.py). All traffic is on the loopback. The exit status is 1 if something differs.
"""

import asyncio
import math
import shutil
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from tests.dns_server import DnsServer

from bench.books import Books
from bench.hostile_dns import LISTS, ListTroubles, zone
from bench.hostile_peers import HostilePeers
from bench.mixed_mail import Asked, MixedMail
from bench.running import Bley
from bench.standing import Standing, decisions_total, dropped_decisions, read_metrics, stands
from bench.troubles import OUTAGES, Outage, Troubles

__all__ = ["main"]

_WARM_SECONDS = 60.0
_TURN_SECONDS = 0.25
"""The time between two hostile peers."""

_CHECK_SECONDS = 2
_SETTLE_SECONDS = 2 * _CHECK_SECONDS + 3.0
"""The time to settle: the old checks end by then after a reload; an unfinished request has four seconds."""

_MORE_LOOKS = 5
"""On a busy machine, hostile peers of the last minute may still be there."""

_LAST_SECONDS = 2.0
_SHOWN = 300
"""The maximal length of a shown difference, since hostile requests are long."""


class Soak:
    """One run against one daemon."""

    def __init__(self, bley: Bley, dns: DnsServer, outage: Outage, rate: float) -> None:
        self._bley = bley
        self.asked = Asked()
        self._mail = MixedMail(bley.port, rate, self.asked)
        self._peers = HostilePeers(bley.port, self._mail, self.asked)
        self.troubles = Troubles(bley, ListTroubles(dns), outage)

    async def run(self, seconds: float) -> tuple[Standing, Standing]:
        """Load it for this time; return its state after the first minute (at most half the time), and at the end."""
        warm_seconds = min(_WARM_SECONDS, seconds / 2)
        self._mail.begin()
        try:
            await self._load(warm_seconds, is_first=True)
            warm = await self._settled()
            await self._load(seconds - warm_seconds, is_first=False)
            return warm, await self._settled_as(warm)
        finally:
            await self._mail.close()

    async def _load(self, seconds: float, *, is_first: bool) -> None:
        stopping = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._let_hostile_peers_come(stopping, is_first=is_first))
            group.create_task(self.troubles.make(stopping, is_first=is_first))
            group.create_task(self.troubles.look(stopping))
            await self._mail.send_for(seconds)
            stopping.set()

    async def _let_hostile_peers_come(self, stopping: asyncio.Event, *, is_first: bool) -> None:
        """Start all kinds of peers together, so that first-time growth is over, then one by one."""
        async with asyncio.TaskGroup() as group:
            if is_first:
                for _ in range(self._peers.number):
                    group.create_task(self._peers.take_turn())
            while not stopping.is_set():
                await asyncio.sleep(_TURN_SECONDS)
                group.create_task(self._peers.take_turn())

    async def _settled_as(self, warm: Standing) -> Standing:
        """Return the state at rest; look again while it exceeds the earlier one, since a leak stays."""
        end = await self._settled()
        for _ in range(_MORE_LOOKS):
            if not end.faults(warm, math.inf):
                break
            end = await self._settled()
        return end

    async def _settled(self) -> Standing:
        """Return the state at rest.

        Before, queries go to the DNS, and to the store over each connection, so that the same sockets are open.
        """
        await asyncio.sleep(_SETTLE_SECONDS)
        await self._mail.send_for(_LAST_SECONDS)
        await self.troubles.look_at_all()
        return await stands(self._bley)


def _table(warm: Standing, end: Standing, figures: dict[str, int]) -> Table:
    shown = Table("", "after the first minute", "at the end")
    for name, value in warm.figures.items():
        shown.add_row(name, f"{value:,}", f"{end.figures[name]:,}")
    shown.add_section()
    for name, number in figures.items():
        shown.add_row(name, "", f"{number:,}")
    return shown


async def soak(
    folder: Path, minutes: float, rate: float, workers: int, engine: str, more_megabytes: float
) -> list[str]:
    """Run it in this folder, print its figures, and return the differences."""
    with DnsServer(zone(), ttl=30) as dns, OUTAGES[engine](folder) as outage:
        settings = {"resolver": dns.address, "check_timeout": _CHECK_SECONDS, "workers": workers, **LISTS}
        settings |= {"greylist_period": "5s", "greylist_penalty": 0, "cache_valid": 5, "cache_size": 2000}
        bley = Bley(folder, **settings, **outage.settings)
        bley.complaints = folder / "bley.stderr"
        with bley:
            run = Soak(bley, dns, outage, rate)
            warm, end = await run.run(minutes * 60)
            metrics = await read_metrics(bley)
        books = Books(run.troubles.log_files, outage.database, run.asked)
        books.faults += end.faults(warm, more_megabytes) + run.troubles.faults(books.count_lines)
        if status := bley.process.returncode:
            books.faults.append(f"bley ended with status {status}")
        if complaints := bley.complaints.read_text(errors="replace"):
            books.faults.append(f"on standard error: {complaints[:500]}")
        await books.check(decisions_total(metrics), dropped_decisions(metrics))
    Console(width=110).print(_table(warm, end, {**run.troubles.figures, **books.figures}))
    return books.faults


@click.command()
@click.option("--minutes", default=30.0, show_default=True)
@click.option("--rate", default=40.0, show_default=True, help="Requests a second, those of hostile peers besides.")
@click.option("--workers", default=1, show_default=True, help="The setting.")
@click.option("--engine", type=click.Choice(list(OUTAGES)), default="sqlite", show_default=True)
@click.option("--megabytes", default=10.0, show_default=True, help="Memory that it may have more at the end.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("var/soak"))
def main(minutes: float, rate: float, workers: int, engine: str, megabytes: float, folder: Path) -> None:
    """Soak a bley, and print its state."""
    folder = folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    faults = asyncio.run(soak(folder, minutes, rate, workers, engine, megabytes))
    for fault in faults[:40]:
        click.echo(f"DIFFERS: {fault[:_SHOWN]}")
    click.echo(f"{len(faults)} differences" if faults else "nothing differs")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
