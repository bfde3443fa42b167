"""Rows of the process: memory, start, idle."""

import time
from collections.abc import Iterator
from statistics import median

from bench.rows import Bench, Row
from bench.running import KNOWN, PASSING
from bley.core.quantity import quantity

__all__ = ["idle", "memory", "start"]

IDLE_SECONDS = 10
MANY = 1_000_000
MANY_KNOWN = 100_000


def memory(bench: Bench) -> Iterator[Row]:
    """Measure the resident memory, without the web server, which the first connection to `web_listen` would load.

    An outage of the store queues writes, some 50 MB if it is long.
    """
    for build in bench.builds:
        with bench.bley(build, use_spf=0, web_listen="") as bley:
            yield Row("RSS at start", build.name, bley.rss_megabytes, "MB", target="85")
            bench.load(bley, n=MANY_KNOWN, **PASSING)
            yield Row("RSS with 100,000 known in memory", build.name, bley.rss_megabytes, "MB", target="130")
            bench.load(bley, n=MANY, f=MANY_KNOWN)
            what = quantity(outages, "outage") + " of the store" if (outages := bley.outages) else ""
            yield Row("RSS after 1,000,000 strangers", build.name, bley.rss_megabytes, "MB", other=what, target="170")


def start(bench: Bench) -> Iterator[Row]:
    """Measure the time from the command to the first answer."""
    with bench.bleys() as bleys:
        for bley in bleys:
            bley.stop()
        seconds: list[list[float]] = [[] for _ in bleys]
        for _ in range(bench.rounds):
            for bley, each in zip(bleys, seconds, strict=True):
                each.append(bley.start())
                bley.stop()
        for build, each in zip(bench.builds, seconds, strict=True):
            yield Row("start to first answer", build.name, median(each), "s", target="1.0")
        for bley in bleys:
            bley.start()  # it is stopped at the end


def idle(bench: Bench) -> Iterator[Row]:
    """Measure the CPU time without requests."""
    for build in bench.builds:
        with bench.bley(build) as bley:
            bench.load(bley, n=KNOWN, **PASSING)
            time.sleep(3)
            before = bley.cpu_seconds
            time.sleep(IDLE_SECONDS)
            used = bley.cpu_seconds - before
        yield Row(f"CPU when idle, of {IDLE_SECONDS} s", build.name, used, "s", target="none")
