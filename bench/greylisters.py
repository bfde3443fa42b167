"""bley, postgrey and sqlgrey under the same load, compared with the bare responder.

    .venv/bin/python -m bench.greylisters [--rounds 3] [FOLDER]

postgrey and sqlgrey are Debian's, with their own databases (Berkeley DB, SQLite); `make test` installs them. All get
requests on fifty connections, in turn. Known: repeated requests of triplets that have waited. Strangers: a new triplet
each; bley has no lists here and defers a quarter, the others defer all. FOLDER (var/bench) gets greylisters.json.
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from statistics import median

import click
from rich.console import Console
from rich.table import Table
from tests.integration.greylisters import DELAY_OVER_SECONDS, postgrey_folder, running_postgrey, running_sqlgrey
from tests.integration.servers import reachable_folder

from bench.machine import described, machine
from bench.responders import bare_responder
from bench.running import KNOWN, build, fresh_bley, policy_load

__all__ = ["main"]

KNOWN_REQUESTS = {"bley": 100_000, "postgrey": 5_000, "sqlgrey": 2_000}
STRANGERS = {"bley": 20_000, "postgrey": 5_000, "sqlgrey": 2_000}


@dataclass(frozen=True)
class Figure:
    """Requests a second by kind of request, and their ratio to the bare responder's."""

    greylister: str
    known: float
    known_ratio: float
    strangers: float
    strangers_ratio: float


@contextmanager
def _greylisters(folder: Path) -> Iterator[Mapping[str, int]]:
    """Yield their ports by name."""
    with ExitStack() as running:
        bley = running.enter_context(fresh_bley(folder, use_spf=0))
        postgrey = running.enter_context(
            running_postgrey(running.enter_context(postgrey_folder()), "--auto-whitelist-clients=0")
        )
        home = running.enter_context(reachable_folder())
        # No domain is known by its senders, and no client waits because it has too many.
        settings = {"db_name": home / "sqlgrey.db", "group_domain_level": 1000, "connect_src_throttle": 0}
        sqlgrey = running.enter_context(running_sqlgrey(home, "SQLite", **settings))
        yield {"bley": bley.port, "postgrey": postgrey.port, "sqlgrey": sqlgrey.port}


def measure(folder: Path, name: str, port: int, bare: int, rounds: int) -> Figure:
    """Measure one greylister, alternating with the bare responder."""
    for _ in range(2):  # deferred; passes after the wait
        policy_load(folder, port, n=KNOWN, k=KNOWN, s=0, h=0)
        time.sleep(DELAY_OVER_SECONDS)
    known, strangers = [], []
    for number in range(rounds):
        load = {"n": KNOWN_REQUESTS[name], "k": KNOWN, "s": 0, "h": 0}
        known.append((policy_load(folder, port, **load).rate, policy_load(folder, bare, **load).rate))
        load = {"n": STRANGERS[name], "f": (number + 1) * 1_000_000}
        strangers.append((policy_load(folder, port, **load).rate, policy_load(folder, bare, **load).rate))
    return Figure(
        name,
        median(rate for rate, _ in known),
        median(rate / of_bare for rate, of_bare in known),
        median(rate for rate, _ in strangers),
        median(rate / of_bare for rate, of_bare in strangers),
    )


@click.command()
@click.option("--rounds", default=3, show_default=True, help="How often each is measured.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("var/bench"))
def main(rounds: int, folder: Path) -> None:
    """Measure, and show the table."""
    folder = folder.absolute()
    build(folder)
    work = folder / "greylisters"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    with redirect_stdout(StringIO()), bare_responder() as bare, _greylisters(work) as ports:  # they print their logs
        figures = [measure(folder, name, port, bare.port, rounds) for name, port in ports.items()]
    shown = Table("greylister", "known a second", "to bare", "strangers a second", "to bare")
    for each in figures:
        shown.add_row(
            each.greylister,
            f"{each.known:,.0f}",
            f"{each.known_ratio:.4f}",
            f"{each.strangers:,.0f}",
            f"{each.strangers_ratio:.4f}",
        )
    Console().print(shown)
    measured = {**machine(), "rounds": rounds, "quick": False}
    click.echo(described(measured))
    result = {**measured, "figures": [asdict(figure) for figure in figures]}
    folder.joinpath("greylisters.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
