"""Throughput by connections, and the cost of a request by records in the store.

Each point alternates with the bare responder, `rounds` times. Strangers have no lists and no SPF; a quarter is
deferred. The store is SQLite on disk.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.records import records_file
from bench.running import KNOWN, PASSING, Load, fresh_bley, policy_load

__all__ = ["BARE", "IN_MEMORY", "IN_STORE", "STRANGERS", "Curves", "Point", "points"]

BARE = "bare responder"
IN_MEMORY = "known, in memory"
IN_STORE = "known, not in memory"
STRANGERS = "strangers"

CONNECTIONS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
LONG = 50_000
PORTION = 6_000
RECORDS = (1_000, 10_000, 100_000, 1_000_000)
OF_A_STORE = 1_000
"""Requests of a load on a filled store: at most the number of records in the smallest."""
SCATTERED = {"f": 10_000_000, "d": 89_989}
"""Options of policy_load for strangers that are in no store, with names spread among those of the records."""


@dataclass(frozen=True)
class Point:
    """Medians of the rounds: requests a second, and the 99th percentile in microseconds; `records` are in the store."""

    work: str
    connections: int
    records: int
    rate: float
    p99: float


@dataclass(frozen=True)
class Curves:
    """The curves, one method each; `share` reduces the loads and the largest store, `bare` is a port."""

    folder: Path
    rounds: int
    share: float
    bare: int

    def connections(self) -> Iterator[Point]:
        """Measure 1 to 500 connections with an empty store."""
        for count in CONNECTIONS:
            known = {"c": count, "n": int(LONG * self.share), "k": KNOWN, **PASSING}
            new = {"c": count, "n": int(PORTION * self.share)}
            loads = defaultdict(list)
            with fresh_bley(self.folder, use_spf=0) as bley:
                self._load(bley.port, known | {"n": KNOWN})
                for number in range(self.rounds):
                    loads[BARE].append(self._load(self.bare, known))
                    loads[IN_MEMORY].append(self._load(bley.port, known))
                    loads[STRANGERS].append(self._load(bley.port, new | {"f": (number + 1) * 1_000_000}))
            yield from points(loads, count, 0)

    def records(self) -> Iterator[Point]:
        """Measure 1,000 to 1,000,000 records with 50 connections (policy_load's default).

        Each round has a fresh copy of the filled store, and a bley with empty caches.
        """
        for count in RECORDS:
            if count > RECORDS[-1] * self.share:
                break
            known = {"n": OF_A_STORE, "d": count // OF_A_STORE, **PASSING}
            loads = defaultdict(list)
            with fresh_bley(self.folder, use_spf=0) as bley:
                bley.run("import", records_file(bley.folder, count))
                bley.stop()
                filled = shutil.copy(bley.folder / "bley.db", bley.folder / "filled.db")
                for _ in range(self.rounds):
                    shutil.copy(filled, bley.folder / "bley.db")
                    os.sync()  # otherwise the measurement waits until the copy is on disk
                    bley.start()
                    loads[BARE].append(self._load(self.bare, known))
                    loads[IN_STORE].append(self._load(bley.port, known))
                    loads[STRANGERS].append(self._load(bley.port, {"n": OF_A_STORE, **SCATTERED}))
                    bley.stop()
            yield from points(loads, 50, count)

    def _load(self, port: int, options: Mapping[str, int]) -> Load:
        return policy_load(self.folder, port, **options)


def points(loads: Mapping[str, list[Load]], connections: int, records: int) -> Iterator[Point]:
    """Yield a point for each work from its loads."""
    for work, each in loads.items():
        rate, p99 = median(load.rate for load in each), median(load.p99 for load in each)
        yield Point(work, connections, records, rate, p99)
