"""The delay of known mail beside ten open dashboards, compared with that without them.

.venv/bin/python -m bench.dashboards [FILE]

FILE is the database of a SQLite store, of which a copy is used; otherwise the store is empty. On a busy machine run it
with a priority of real time (`chrt -r 5`): else the other programs decide the result.
"""

import os
import shutil
import socket
import statistics
import tempfile
import threading
import time
from http.client import HTTPConnection
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

import click
from aiohttp import hdrs

from bench.running import Bley
from bley.core.mail import Request
from bley.core.wire import encode_request

_TABS, _REFRESH_SECONDS = 10, 5.0
_SECONDS, _PAUSE_SECONDS = 10.0, 0.001
_NAME = "mail.example.net"
_REQUEST = encode_request(
    Request("RCPT", "", "198.51.100.20", _NAME, _NAME, "jane@example.net", "info@example.org", "1.0")
)


@click.command(help=__doc__)
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--rounds", default=4, show_default=True)
def main(file: Path | None, rounds: int) -> None:
    """Print a row for each round, and the medians."""
    with tempfile.TemporaryDirectory() as folder:
        if file:
            shutil.copy(file, Path(folder) / "bley.db")
        with Bley(Path(folder), use_spf=0) as bley:
            _percentile(bley.port, 0.5)
            click.echo("99th percentile  alone  beside ten dashboards  ratio")
            found = [_round(bley) for _ in range(rounds)]
            _show("median", *(statistics.median(column) for column in zip(*found, strict=True)))


def _round(bley: Bley) -> tuple[float, float, float]:
    alone = _percentile(bley.port, _SECONDS)
    context = get_context("spawn")  # tabs in this process would delay its own clock
    ending = context.Event()
    tabs = context.Process(target=_open_tabs, args=(bley.web_place, ending))
    tabs.start()
    time.sleep(_REFRESH_SECONDS + 1)
    beside = _percentile(bley.port, _SECONDS)
    ending.set()
    tabs.join()
    _show("", alone, beside, beside / alone)
    return alone, beside, beside / alone


def _show(title: str, alone: float, beside: float, ratio: float) -> None:
    click.echo(f"{title:15} {1e6 * alone:4.0f} us {1e6 * beside:19.0f} us {ratio:6.2f}")


def _percentile(port: int, seconds: float) -> float:
    """Return the 99th percentile of the time of a request."""
    times, end = [], time.perf_counter() + seconds
    with socket.create_connection(("127.0.0.1", port)) as peer:
        while (begin := time.perf_counter()) < end:
            peer.sendall(_REQUEST)
            peer.recv(1000)
            times.append(time.perf_counter() - begin)
            time.sleep(_PAUSE_SECONDS)
    return statistics.quantiles(times, n=100)[98]


def _open_tabs(place: str, ending: Event) -> None:
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # real tabs do not use the processor of the server
    tabs = [threading.Thread(target=_refresh, args=(place, number, ending)) for number in range(_TABS)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()


def _refresh(place: str, number: int, ending: Event) -> None:
    """Request the overview as live.js does, of one of two ranges."""
    ending.wait(number * _REFRESH_SECONDS / _TABS)
    while not ending.is_set():
        http = HTTPConnection(place)
        path = f"/?range={('24h', '7d')[number % 2]}"
        http.request("GET", path, headers={hdrs.ACCEPT_ENCODING: "gzip", "Bley-Open": ""})
        http.getresponse().read()
        http.close()
        ending.wait(_REFRESH_SECONDS)


if __name__ == "__main__":
    main()
