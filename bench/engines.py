"""The cost of each engine of the store, with a thousand records and with a million.

    .venv/bin/python -m bench.engines [--engine NAME] [--records N] [FOLDER]

The servers are those of the integration tests, on this machine, which they share with bley and the load generator. Each
figure alternates with the bare responder, and the ratio is to that. Strangers have no lists and no SPF; a quarter is
deferred. FOLDER (var/bench) gets engines.json.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from tests.integration.stores import Servers

from bench.machine import machine
from bench.records import records_file
from bench.responders import bare_responder
from bench.running import KNOWN, PASSING, Bley, Load, build, fresh_bley, policy_load

ENGINES = ("sqlite", "postgresql", "mariadb", "redis")
PORTION = 10_000
ALONE = 2_000


@dataclass(frozen=True)
class Figure:
    """One line of the table; latencies are microseconds."""

    engine: str
    records: int
    work: str
    connections: int
    rate: float
    ratio: float
    p50: float
    p99: float


class Engine:
    """One engine with this number of records."""

    def __init__(self, name: str, records: int, bley: Bley, folder: Path, bare: int) -> None:
        self._name, self._records, self._bley, self._folder, self._bare = name, records, bley, folder, bare

    def figures(self) -> Iterator[Figure]:
        """Return all measurements, in order."""
        for connections, count in ((50, PORTION), (1, ALONE)):
            first = 10_000_000 * connections
            yield self._figure("strangers", c=connections, n=count, f=first)
            self._load(self._bley.port, n=count, f=2 * first, **PASSING)
            self._bley.restart()
            yield self._figure("known, not in memory", c=connections, n=count, f=2 * first, **PASSING)
            self._load(self._bley.port, n=KNOWN, k=KNOWN, f=2 * first, **PASSING)
            yield self._figure("known, in memory", c=connections, n=5 * count, k=KNOWN, f=2 * first, **PASSING)

    def _figure(self, work: str, **options: int) -> Figure:
        bare, bley = self._load(self._bare, **options), self._load(self._bley.port, **options)
        return Figure(
            self._name, self._records, work, options["c"], bley.rate, bley.rate / bare.rate, bley.p50, bley.p99
        )

    def _load(self, port: int, **options: int) -> Load:
        return policy_load(self._folder, port, **options)


def table(figures: list[Figure], rss: dict[str, float]) -> Table:
    """Return the table to print."""
    shown = Table("engine", "records", "work", "connections", "a second", "to bare", "p50 µs", "p99 µs", "RSS MB")
    for figure in figures:
        shown.add_row(
            figure.engine,
            f"{figure.records:,}",
            figure.work,
            str(figure.connections),
            f"{figure.rate:,.0f}",
            f"{figure.ratio:.3f}",
            f"{figure.p50:,.0f}",
            f"{figure.p99:,.0f}",
            f"{rss[f'{figure.engine} {figure.records}']:.0f}",
        )
    return shown


@click.command()
@click.option("--engine", "engines", multiple=True, default=ENGINES, show_default=True, help="Which; may be repeated.")
@click.option("--records", "sizes", multiple=True, type=int, default=(1_000, 1_000_000), show_default=True)
@click.argument("folder", type=click.Path(path_type=Path), default=Path("var/bench"))
def main(engines: tuple[str, ...], sizes: tuple[int, ...], folder: Path) -> None:
    """Measure, and show the table."""
    folder = folder.absolute()
    build(folder)
    work = folder / "engines"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    figures: list[Figure] = []
    rss: dict[str, float] = {}
    servers = Servers(work)
    with bare_responder() as bare, Progress(console=Console(stderr=True), transient=True) as progress:
        for size in progress.track(sizes):
            records = records_file(work, size)
            for name in progress.track(engines):
                database = {} if name == "sqlite" else {"database": servers.new_url(name)}
                with fresh_bley(work, use_spf=0, **database) as bley:
                    bley.run("import", records)
                    figures += Engine(name, size, bley, folder, bare.port).figures()
                    rss[f"{name} {size}"] = bley.rss_megabytes
    servers.close()
    Console(width=120).print(table(figures, rss))
    result = {**machine(), "rss_megabytes": rss, "figures": [asdict(figure) for figure in figures]}
    folder.joinpath("engines.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
