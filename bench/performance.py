"""The speed of bley, compared with the fastest possible Python server, on this machine now.

    .venv/bin/python -m bench.performance [--rounds 5] [--quick] [--only WORD] [--workers N] [FOLDER]

Each row alternates with the bare responder, `rounds` times; medians are shown, and the ratio is the median of the
rounds' ratios. The load generator runs at the same time and shares the cores with both. bley logs to a file, exports
metrics, and stores every decision. The curves follow (bench/curves.py); `--only` accepts `connections` and `records`
too. FOLDER (var/bench) gets performance.json, the plots (bench/plots.py), and bley's own files.
"""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.curves import Curves
from bench.machine import described, machine
from bench.plots import draw
from bench.running import KNOWN, PASSING, Bley, Load, bare_responder, build, dns_answers, fresh_bley, policy_load

__all__ = ["main"]

LISTS = {"dnsbls": "one.example, two.example"}
PORTION = 20_000
LONG = 200_000


@dataclass(frozen=True)
class Row:
    """One line of the table; `target` is the goal for `value`, or for the ratio if there is one."""

    work: str
    value: float
    unit: str
    bare: float | None = None
    ratio: float | None = None
    target: str = ""


class Bench:
    """The rows, one method each; `share` shortens all of them, `workers` is the setting."""

    def __init__(self, folder: Path, rounds: int, share: float, bare: int, workers: int) -> None:
        self._folder, self._rounds, self._share, self._bare = folder, rounds, share, bare
        self._workers = workers

    def rows(self) -> list[Callable[[], list[Row]]]:
        """Return all measurements, in order."""
        return [
            self.known,
            self.known_one_connection,
            self.known_in_store,
            self.strangers,
            self.strangers_with_dns,
            self.names,
            self.mixed,
            self.memory,
            self.start,
            self.idle,
            self.processor_time,
        ]

    def known(self) -> list[Row]:
        """Measure known triplets on fifty connections."""
        with self._bley() as bley:
            self._load(bley, n=KNOWN, k=KNOWN, **PASSING)
            pairs = self._in_turn(bley, {"n": LONG, "k": KNOWN, **PASSING})
        return [_rate("known triplets, 50 connections", pairs, "0.60"), _p99(pairs, "3")]

    def known_one_connection(self) -> list[Row]:
        """Measure known triplets on one connection."""
        with self._bley() as bley:
            self._load(bley, n=KNOWN, k=KNOWN, **PASSING)
            pairs = self._in_turn(bley, {"n": PORTION, "k": KNOWN, "c": 1, **PASSING})
        return [_rate("known triplets, 1 connection", pairs, "0.80")]

    def known_in_store(self) -> list[Row]:
        """Measure triplets that are known to the store, after a restart."""
        with self._bley() as bley:
            self._load(bley, n=PORTION, **PASSING)
            pairs = self._in_turn(bley, {"n": PORTION, **PASSING}, bley.restart)
        return [_rate("known triplets in the store, not in memory", pairs, "0.09 or 12,000/s")]

    def strangers(self) -> list[Row]:
        """Measure strangers without lists; a quarter is deferred."""
        with self._bley(use_spf=0) as bley:
            pairs = self._in_turn(bley, {"n": PORTION}, are_new=True)
        return [_rate("strangers, no lists, SQLite on disk", pairs, "0.06 or 8,000/s")]

    def strangers_with_dns(self) -> list[Row]:
        """Measure strangers with two lists, and SPF for a quarter."""
        with dns_answers(self._folder) as resolver, self._bley(resolver=resolver, **LISTS) as bley:
            time.sleep(1)  # until the lists are tested
            pairs = self._in_turn(bley, {"n": PORTION}, are_new=True)
        return [_rate("strangers, two lists and SPF", pairs, "0.04 or 5,000/s")]

    def names(self) -> list[Row]:
        """Measure strangers with two lists: clients with a name, and clients without one, whose names are queried."""
        rows = []
        for share, clients in ((0, "with a name"), (100, "without a name")):
            with dns_answers(self._folder) as resolver, self._bley(resolver=resolver, use_spf=0, **LISTS) as bley:
                time.sleep(1)  # until the lists are tested
                pairs = self._in_turn(bley, {"n": PORTION, "s": share}, are_new=True)
            rows.append(_rate(f"strangers {clients}, two lists", pairs, ""))
        return rows

    def mixed(self) -> list[Row]:
        """Measure nine known triplets to one stranger."""
        with self._bley(use_spf=0) as bley:
            self._load(bley, n=KNOWN, k=KNOWN, **PASSING)
            pairs = self._in_turn(bley, {"n": LONG, "k": KNOWN, "p": 10, **PASSING}, are_new=True)
        return [_rate("mixed, 90 known and 10 strangers of 100", pairs, "0.30")]

    def memory(self) -> list[Row]:
        """Measure the resident memory."""
        with self._bley(use_spf=0) as bley:
            at_start = bley.rss_megabytes
            self._load(bley, n=self._count(100_000), **PASSING)
            with_known = bley.rss_megabytes
            self._load(bley, n=self._count(1_000_000), f=100_000, t=900)
            after_strangers = bley.rss_megabytes
        return [
            Row("RSS at start", at_start, "MB", target="85"),
            Row("RSS with 100,000 known in memory", with_known, "MB", target="130"),
            Row("RSS after 1,000,000 strangers", after_strangers, "MB", target="170"),
        ]

    def start(self) -> list[Row]:
        """Measure the time from the command to the first answer."""
        seconds = []
        with self._bley() as bley:
            for _ in range(self._rounds):
                bley.stop()
                seconds.append(bley.start())
        return [Row("start to first answer", median(seconds), "s", target="1.0")]

    def idle(self) -> list[Row]:
        """Measure the CPU time without requests."""
        with self._bley() as bley:
            self._load(bley, n=KNOWN, **PASSING)
            time.sleep(3)
            before = bley.cpu_seconds
            time.sleep(10)
            used = bley.cpu_seconds - before
        return [Row("CPU when idle, of 10 s", used, "s", target="none")]

    def processor_time(self) -> list[Row]:
        """Measure the CPU time of all processes for a request, which other programs hardly affect."""
        with self._bley(use_spf=0) as bley:
            self._load(bley, n=KNOWN, k=KNOWN, **PASSING)
            known = [self._microseconds(bley, n=LONG, k=KNOWN, **PASSING) for _ in range(self._rounds)]
            strangers = [self._microseconds(bley, n=PORTION, f=each * 1_000_000) for each in range(1, self._rounds + 1)]
        return [
            Row("CPU for a known triplet, 50 connections", median(known), "µs"),
            Row("CPU for a stranger, no lists, SQLite on disk", median(strangers), "µs"),
        ]

    def _microseconds(self, bley: Bley, **options: int) -> float:
        options["n"] = self._count(options["n"])
        before = bley.cpu_seconds
        self._load(bley, **options)
        return 1e6 * (bley.cpu_seconds - before) / options["n"]

    def _bley(self, **settings: object) -> AbstractContextManager[Bley]:
        return fresh_bley(self._folder, workers=self._workers, **settings)

    def _count(self, number: int) -> int:
        return max(int(number * self._share), 1000)

    def _load(self, bley: Bley, **options: int) -> Load:
        return policy_load(self._folder, bley.port, **options)

    def _in_turn(
        self, bley: Bley, options: dict[str, int], before: Callable[[], None] = lambda: None, *, are_new: bool = False
    ) -> list[tuple[Load, Load]]:
        """Measure the bare responder and bley in turn; `are_new`: with other triplets each time."""
        options = options | {"n": self._count(options["n"])}
        pairs = []
        for number in range(self._rounds):
            if are_new:
                options["f"] = (number + 1) * 1_000_000
                if "k" in options:
                    self._load(bley, **options | {"n": KNOWN, "p": 0})
            before()
            pairs.append((policy_load(self._folder, self._bare, **options), self._load(bley, **options)))
        return pairs


def _rate(work: str, pairs: list[tuple[Load, Load]], target: str) -> Row:
    ratio = median(bley.rate / bare.rate for bare, bley in pairs)
    return Row(
        work,
        median(bley.rate for _, bley in pairs),
        "/s",
        median(bare.rate for bare, _ in pairs),
        ratio,
        target,
    )


def _p99(pairs: list[tuple[Load, Load]], target: str) -> Row:
    ratio = median(bley.p99 / bare.p99 for bare, bley in pairs)
    return Row(
        "the same, 99th percentile",
        median(bley.p99 for _, bley in pairs),
        "µs",
        median(bare.p99 for bare, _ in pairs),
        ratio,
        f"less than {target}",
    )


def table(rows: list[Row]) -> Table:
    """Return the table to print."""
    shown = Table("work", "bley", "bare", "ratio", "target")
    for row in rows:
        shown.add_row(
            row.work,
            f"{row.value:,.2f} {row.unit}" if row.value < 100 else f"{row.value:,.0f} {row.unit}",
            "" if row.bare is None else f"{row.bare:,.0f}",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.target,
        )
    return shown


@click.command()
@click.option("--rounds", default=5, show_default=True, help="How often each row and point is measured.")
@click.option("--quick", is_flag=True, help="A tenth of the requests, and of the largest store.")
@click.option("--only", default="", help="Only the rows and curves whose method has this in its name.")
@click.option("--workers", default=1, show_default=True, help="The setting, for the rows of the table.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("var/bench"))
def main(rounds: int, quick: bool, only: str, workers: int, folder: Path) -> None:
    """Measure, show the table, draw the curves."""
    folder = folder.absolute()
    build(folder)
    share = 0.1 if quick else 1.0
    rows: list[Row] = []
    curves: dict[str, list[dict[str, object]]] = {}
    with bare_responder() as bare, Progress(console=Console(stderr=True), transient=True) as progress:
        bench, both = Bench(folder, rounds, share, bare, workers), Curves(folder, rounds, share, bare)
        for measure in progress.track([each for each in bench.rows() if only in each.__name__]):
            rows += measure()
        for curve in progress.track([each for each in (both.connections, both.records) if only in each.__name__]):
            curves[curve.__name__] = [asdict(point) for point in curve()]
    measured = {**machine(), "workers": workers, "rounds": rounds, "quick": quick}
    Console().print(table(rows))
    click.echo(described(measured))
    result = {**measured, "rows": [asdict(row) for row in rows], **curves}
    folder.joinpath("performance.json").write_text(json.dumps(result, indent=1) + "\n")
    for plot in draw(result, folder):
        click.echo(plot)


if __name__ == "__main__":
    main()
