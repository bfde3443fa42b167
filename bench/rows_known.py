"""Rows of known mail: every triplet has passed before."""

from collections.abc import Iterator

from bench.rows import NEXT_ROUND, Bench, Row, Turn
from bench.running import KNOWN, PASSING, Bley, Server

__all__ = ["known_fifty", "known_one", "known_store", "mixed"]

PORTION = 20_000
LONG = 200_000


def known_fifty(bench: Bench) -> Iterator[Row]:
    """Measure known triplets on fifty connections."""
    yield from _in_memory(bench, "known, 50 connections", "0.60", n=LONG)


def known_one(bench: Bench) -> Iterator[Row]:
    """Measure known triplets on one connection."""
    yield from _in_memory(bench, "known, 1 connection", "0.80", n=PORTION, c=1)


def _in_memory(bench: Bench, work: str, target: str, **options: int) -> Iterator[Row]:
    def measure(server: Server, _: int) -> Turn:
        return bench.load(server, k=KNOWN, **options, **PASSING)

    with bench.bleys() as bleys:
        for bley in bleys:
            bench.load(bley, n=KNOWN, k=KNOWN, **PASSING)
        *ours, bare = bench.in_turn(measure, [*bleys, bench.bare])
    yield from bench.rows(work, ours, "bare responder", [bare], target)


def known_store(bench: Bench) -> Iterator[Row]:
    """Measure triplets that the store knows, after a restart, compared with strangers.

    The first requests after a restart are strangers that count for neither.
    """

    def measure(subject: tuple[Bley, bool], number: int) -> Turn:
        bley, is_known = subject
        if is_known:
            bley.restart()
            bench.load(bley, n=KNOWN, f=(number + 1) * NEXT_ROUND - KNOWN)
            return bench.load(bley, n=PORTION, **PASSING)
        return bench.load(bley, n=PORTION, f=number * NEXT_ROUND)

    with bench.bleys(use_spf=0) as bleys:
        for bley in bleys:
            bench.load(bley, n=PORTION, **PASSING)
        turns = bench.in_turn(measure, [(bley, is_known) for is_known in (True, False) for bley in bleys])
    known, strangers = turns[: len(bleys)], turns[len(bleys) :]
    yield from bench.rows("known in the store, not in memory", known, "strangers", strangers, "2.0")


def mixed(bench: Bench) -> Iterator[Row]:
    """Measure nine known triplets to one stranger."""

    def measure(server: Server, number: int) -> Turn:
        options = {"k": KNOWN, "f": number * NEXT_ROUND, **PASSING}
        bench.load(server, n=KNOWN, **options)
        return bench.load(server, n=LONG, p=10, **options)

    with bench.bleys(use_spf=0) as bleys:
        *ours, bare = bench.in_turn(measure, [*bleys, bench.bare])
    yield from bench.rows("mixed, 90 known and 10 strangers of 100", ours, "bare responder", [bare], "0.30")
