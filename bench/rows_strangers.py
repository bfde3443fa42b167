"""Rows of strangers: each request has a new triplet, a quarter of the clients has no name, bley defers a quarter."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pytest
from tests.integration.stores import Servers

from bench.responders import cold_responder, dns_answers, gross, missing_gross
from bench.rows import NEXT_ROUND, Bench, Row, Turn
from bench.running import Bley, Server

__all__ = ["nodes", "strangers_lists", "strangers_plain", "strangers_slow", "strangers_spf"]

LISTS = ("one.example", "two.example")
WITH_LISTS = {"dnsbls": ", ".join(LISTS)}
PORTION = 20_000
SLOW_MILLISECONDS = 20
CONNECTIONS = 50
TWO_NODES = "strangers, two nodes on PostgreSQL"
MANY_CONNECTIONS = 200
"""So many that connections are not what limits the rate when answers of the DNS take long."""


def _measure(bench: Bench, servers: Sequence[Server], connections: int = CONNECTIONS) -> list[list[Turn]]:
    def measure(server: Server, number: int) -> Turn:
        return bench.load(server, n=PORTION, c=connections, f=number * NEXT_ROUND)

    return bench.in_turn(measure, servers)


def strangers_plain(bench: Bench) -> Iterator[Row]:
    """Measure strangers without lists."""
    with bench.bleys(use_spf=0) as bleys, cold_responder(bench.folder) as cold, gross() as others:
        turns = _measure(bench, [*bleys, cold, *others])
    ours, (least, *theirs) = turns[: len(bleys)], turns[len(bleys) :]
    yield from _compared_with_gross(bench, "strangers, no lists", ours, theirs, "1.2")
    yield from bench.rows("strangers, no lists", ours, "cold responder", [least], "0.5")


def strangers_lists(bench: Bench) -> Iterator[Row]:
    """Measure strangers with two lists, compared with gross with the same."""
    port = None if missing_gross() else 53  # gross asks no other
    with (
        dns_answers(bench.folder, port=port) as resolver,
        bench.bleys(resolver=resolver, use_spf=0, **WITH_LISTS) as bleys,
        gross(resolver.partition(":")[0], LISTS) as others,
    ):
        turns = _measure(bench, [*bleys, *others])
    yield from _compared_with_gross(bench, "strangers, two lists", turns[: len(bleys)], turns[len(bleys) :], "1.2")


def strangers_spf(bench: Bench) -> Iterator[Row]:
    """Measure strangers with two lists and SPF, compared with two lists alone; a quarter has a record."""
    with (
        dns_answers(bench.folder) as resolver,
        bench.bleys(resolver=resolver, **WITH_LISTS) as with_spf,
        bench.bleys(resolver=resolver, use_spf=0, **WITH_LISTS) as without,
    ):
        turns = _measure(bench, [*with_spf, *without])
    ours, theirs = turns[: len(with_spf)], turns[len(with_spf) :]
    yield from bench.rows("strangers, two lists and SPF", ours, "two lists", theirs, "0.9")


def strangers_slow(bench: Bench) -> Iterator[Row]:
    """Measure the 99th percentile at half of the highest rate, with two lists whose answers take 20 ms."""
    with (
        dns_answers(bench.folder, milliseconds=SLOW_MILLISECONDS) as resolver,
        bench.bleys(resolver=resolver, use_spf=0, **WITH_LISTS) as bleys,
    ):
        at_full = _measure(bench, bleys, MANY_CONNECTIONS)
        rates = {bley: median(turn.rate for turn in turns) / 2 for bley, turns in zip(bleys, at_full, strict=True)}

        def measure(bley: Bley, number: int) -> Turn:
            options = {"n": PORTION, "c": MANY_CONNECTIONS, "f": number * NEXT_ROUND + NEXT_ROUND // 2}
            return bench.load(bley, r=int(rates[bley]), **options)

        at_half = bench.in_turn(measure, bleys)
    for build, bley, turns in zip(bench.builds, bleys, at_half, strict=True):
        milliseconds = median(turn.p99 for turn in turns) / 1e3
        work = "99th percentile, two lists of 20 ms"
        yield Row(work, build.name, milliseconds, "ms", other="half load", other_value=rates[bley], target="30")


def nodes(bench: Bench) -> Iterator[Row]:
    """Measure strangers on two nodes with one PostgreSQL, compared with one of them; each has fifty connections."""
    with TemporaryDirectory(prefix="postgresql") as folder, redirect_stdout(StringIO()), ExitStack() as running:
        servers = Servers(Path(folder))
        running.callback(servers.close)  # PostgreSQL prints its log
        try:
            urls = [servers.new_url("postgresql") for _ in bench.builds]
        except pytest.skip.Exception as why:  # as in a test
            yield Row(TWO_NODES, other=f"skipped: {why}", target="1.3")
            return
        pairs = [
            _Nodes(*(running.enter_context(bench.bley(build, use_spf=0, database=url)) for _ in range(2)))
            for build, url in zip(bench.builds, urls, strict=True)
        ]

        def measure(server: Server, number: int) -> Turn:
            of_two = {"c": 2 * CONNECTIONS, "f": number * NEXT_ROUND + NEXT_ROUND // 2}
            options = of_two if isinstance(server, _Nodes) else {"c": CONNECTIONS, "f": number * NEXT_ROUND}
            return bench.load(server, n=PORTION, **options)

        both: list[Server] = [*pairs, *(pair.one for pair in pairs)]
        turns = bench.in_turn(measure, both)
    ours, theirs = turns[: len(pairs)], turns[len(pairs) :]
    yield from bench.rows(TWO_NODES, ours, "one node", theirs, "1.3")


@dataclass(frozen=True)
class _Nodes:
    one: Bley
    other: Bley

    @property
    def ports(self) -> tuple[int, ...]:
        return self.one.ports + self.other.ports

    @property
    def cpu_seconds(self) -> float:
        return self.one.cpu_seconds + self.other.cpu_seconds


def _compared_with_gross(
    bench: Bench, work: str, ours: list[list[Turn]], theirs: list[list[Turn]], target: str
) -> Iterator[Row]:
    """Return the rows; `theirs` is empty if gross is missing."""
    if theirs:
        yield from bench.rows(work, ours, "gross", theirs, target)
        return
    for build, our in zip(bench.builds, ours, strict=True):
        rate, cpu = median(turn.rate for turn in our), median(turn.cpu for turn in our)
        yield Row(work, build.name, rate, cpu=cpu, other=missing_gross(), target=target)
