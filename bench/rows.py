"""The rows of the table of `make bench`, and how their figures are computed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Self, TypeVar

from rich.table import Table

from bench.builds import Build
from bench.running import KNOWN, Bley, Load, Server, fresh_bley, policy_load

__all__ = ["NEXT_ROUND", "Bench", "Row", "Turn", "table"]

NEXT_ROUND = 1_000_000
"""The distance between the first triplets of two rounds, which have none in common."""

LIMIT_SECONDS = 1800
"""The end of one load: a million strangers on a busy machine take less."""

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Turn:
    """One load of one server: requests a second, 99th percentile and CPU time of a request in microseconds."""

    rate: float
    p99: float
    cpu: float

    @classmethod
    def of(cls, load: Load, cpu_seconds: float) -> Self:
        """Return the turn of a load that took this much CPU time."""
        return cls(load.rate, load.p99, 1e6 * cpu_seconds / load.requests)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    `other` names what the value is compared with, in the same rounds. Both ratios are medians of the rounds' ratios,
    and the higher the better: our requests a second to its, and its CPU time of a request to ours. `target` is the goal
    for `ratio`, or for the value if there is none. `cpu` is in microseconds a request. Without `other_value`, `other`
    says why nothing was compared.
    """

    work: str
    build: str = ""
    value: float | None = None
    unit: str = "/s"
    cpu: float | None = None
    other: str = ""
    other_value: float | None = None
    ratio: float | None = None
    cpu_ratio: float | None = None
    target: str = ""

    @classmethod
    def side_by_side(
        cls, work: str, build: str, ours: Sequence[Turn], other: str, theirs: Sequence[Turn], target: str
    ) -> Self:
        """Return the row of two servers' turns, one each round."""
        rounds = list(zip(ours, theirs, strict=True))
        return cls(
            work,
            build,
            median(turn.rate for turn in ours),
            cpu=median(turn.cpu for turn in ours),
            other=other,
            other_value=median(turn.rate for turn in theirs),
            ratio=median(our.rate / their.rate for our, their in rounds),
            cpu_ratio=median(their.cpu / our.cpu for our, their in rounds),
            target=target,
        )


@dataclass(frozen=True)
class Bench:
    """What all rows have in common; `share` reduces the numbers of requests, `workers` is the setting."""

    folder: Path
    rounds: int
    share: float
    workers: int
    builds: Sequence[Build]
    bare: Server

    @contextmanager
    def bleys(self, **settings: object) -> Iterator[list[Bley]]:
        """Run a bley of each build, in their order."""
        with ExitStack() as running:
            yield [running.enter_context(self.bley(build, **settings)) for build in self.builds]

    @contextmanager
    def bley(self, build: Build, **settings: object) -> Iterator[Bley]:
        """Run a bley of this build with a store of its own, unless the settings name one."""
        with fresh_bley(self.folder, build.python, workers=self.workers, **settings) as bley:
            yield bley

    def count(self, number: int) -> int:
        """Return how many requests to send instead of this number."""
        return max(int(number * self.share), KNOWN)

    def load(self, server: Server, **options: int) -> Turn:
        """Load a server; the letters of the options are those of policy_load.c."""
        options |= {"n": self.count(options["n"]), "t": LIMIT_SECONDS}
        before = server.cpu_seconds
        load = policy_load(self.folder, *server.ports, **options)
        return Turn.of(load, server.cpu_seconds - before)

    def in_turn(self, measure: Callable[[Subject, int], Turn], subjects: Sequence[Subject]) -> list[list[Turn]]:
        """Measure the subjects one after the other, in each round; `measure` gets one, and the number of the round.

        Return the turns of each subject.
        """
        rounds = [[measure(subject, number) for subject in subjects] for number in range(1, self.rounds + 1)]
        return [list(turns) for turns in zip(*rounds, strict=True)]

    def rows(
        self, work: str, ours: Sequence[list[Turn]], other: str, theirs: Sequence[list[Turn]], target: str
    ) -> Iterator[Row]:
        """Return a row for each build; `theirs` are the turns of one server, or of one for each build."""
        for build, our, their in zip(self.builds, ours, cycle(theirs)):
            yield Row.side_by_side(work, build.name, our, other, their, target)


def table(rows: Sequence[Row]) -> Table:
    """Return the table to print; the build has a column if several were measured."""
    has_builds = len({row.build for row in rows if row.build}) > 1
    titles = ["work", *["build"] * has_builds, "bley", "compared with", "ratio", "CPU a request", "CPU ratio", "target"]
    shown = Table(*titles)
    for row in rows:
        other = row.other if row.other_value is None else f"{row.other} {row.other_value:,.0f}/s"
        shown.add_row(
            row.work,
            *[row.build] * has_builds,
            "" if row.value is None else _quantity(row.value, row.unit),
            other,
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.cpu is None else f"{row.cpu:,.0f} µs",
            "" if row.cpu_ratio is None else f"{row.cpu_ratio:.2f}",
            row.target,
        )
    return shown


def _quantity(value: float, unit: str) -> str:
    if unit == "/s":
        return f"{value:,.0f}/s"
    return f"{value:,.2f} {unit}" if value < 100 else f"{value:,.0f} {unit}"
