"""Random inputs: pieces of seeds, joined, cut and changed, for use without coverage."""

import random
from collections.abc import Iterator

from tests.fuzz.harness import Harness

__all__ = ["mutated"]

_MOST_CHANGES = 6


def mutated(harness: Harness, chance: random.Random) -> Iterator[bytes]:
    """Yield inputs for the harness without end."""
    pool = [seed for seed in (*harness.seeds, *harness.finds.values()) if seed]
    while True:
        data = bytearray(chance.choice(pool))
        for _ in range(chance.randint(1, _MOST_CHANGES)):
            _change(data, pool, harness, chance)
        yield bytes(data[: harness.longest])


def _change(data: bytearray, pool: list[bytes], harness: Harness, chance: random.Random) -> None:
    begin, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    place = slice(begin, min(end, begin + chance.choice((1, 1, 4, 64))))
    match chance.randrange(6):
        case 0:
            data[place] = b""
        case 1:
            data[begin:begin] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 4)))
        case 2 if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case 3:
            data[begin:begin] = data[place] * chance.randint(1, 3)
        case 4 if harness.words:
            data[begin:begin] = chance.choice(harness.words)
        case _:
            other = chance.choice(pool)
            data[begin:] = other[chance.randrange(len(other)) :]
