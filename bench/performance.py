"""The speed of bley on this machine now, compared with other servers.

    .venv/bin/python -m bench.performance [--rounds 5] [--quick] [--only WORD] [--workers N] [--python PATH] [FOLDER]

Each row alternates with what it is compared with, `rounds` times: the fastest possible Python server, the same for
strangers, gross (Debian package), or another row. The load generator runs at the same time and shares the cores. bley
logs to a file, exports metrics, and stores every decision. `--python` adds the bley of another virtual environment to
each row, for example the compiled build.

The curves follow (bench/curves.py); `--only` selects rows by the names of their functions, and accepts `connections`
and `records`. FOLDER (var/bench) gets performance.json, the plots (bench/plots.py), and the servers' files.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from bench.builds import find_builds
from bench.curves import Curves
from bench.machine import described, machine
from bench.plots import draw
from bench.responders import bare_responder
from bench.rows import Bench, Row, table
from bench.rows_known import known_fifty, known_one, known_store, mixed
from bench.rows_process import idle, memory, start
from bench.rows_strangers import nodes, strangers_lists, strangers_plain, strangers_slow, strangers_spf
from bench.running import build

__all__ = ["ROWS", "main"]

WIDTH = 120
ROWS: list[Callable[[Bench], Iterator[Row]]] = [
    strangers_plain,
    strangers_lists,
    strangers_spf,
    strangers_slow,
    known_store,
    known_fifty,
    known_one,
    mixed,
    nodes,
    memory,
    start,
    idle,
]


@click.command()
@click.option("--rounds", default=5, show_default=True, help="How often each row and point is measured.")
@click.option("--quick", is_flag=True, help="A tenth of the requests, and of the largest store.")
@click.option("--only", default="", help="Only the rows and curves whose function has this in its name.")
@click.option("--workers", default=1, show_default=True, help="The setting, for the rows of the table.")
@click.option("--python", "others", multiple=True, help="Measure also the bley of this Python; may be repeated.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("var/bench"))
def main(rounds: int, quick: bool, only: str, workers: int, others: tuple[str, ...], folder: Path) -> None:
    """Measure, show the table, draw the curves."""
    folder = folder.absolute()
    build(folder)
    share = 0.1 if quick else 1.0
    builds = find_builds(others)
    rows: list[Row] = []
    curves: dict[str, list[dict[str, object]]] = {}
    with bare_responder() as bare, Progress(console=Console(stderr=True), transient=True) as progress:
        bench, both = Bench(folder, rounds, share, workers, builds, bare), Curves(folder, rounds, share, bare.port)
        for measure in progress.track([each for each in ROWS if only in each.__name__]):
            rows += measure(bench)
        for curve in progress.track([each for each in (both.connections, both.records) if only in each.__name__]):
            curves[curve.__name__] = [asdict(point) for point in curve()]
    measured = {**machine(), "workers": workers, "rounds": rounds, "quick": quick}
    measured["build"] = ", ".join(each.name for each in builds)
    Console(width=WIDTH).print(table(rows))
    click.echo(described(measured))
    result = {**measured, "rows": [asdict(row) for row in rows], **curves}
    folder.joinpath("performance.json").write_text(json.dumps(result, indent=1) + "\n")
    for plot in draw(result, folder):
        click.echo(plot)


if __name__ == "__main__":
    main()
