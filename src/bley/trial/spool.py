"""The facts of all mails in the order of time, whatever their number: in a temporary file that only this process sees.

16 bytes of memory for each mail, and on disk some 200. The file has no name, so that it goes with the process.
"""

import marshal
import os
import tempfile
from array import array
from collections.abc import Iterator
from typing import IO, Self

from bley.trial.facts import Facts

__all__ = ["Spool"]

_NUMBER_BITS = 30
"""A key has the second, 33 bits, and the number of the mail: a billion of them."""


class Spool:
    """The facts that were added, to be read once all are there."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="bley-try-")  # noqa: SIM115 (closed by __exit__)
        self._keys, self._starts, self._end = array("Q"), array("Q"), 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, facts: Facts) -> None:
        """Add the facts of one mail."""
        self._keys.append(facts.at << _NUMBER_BITS | len(self._keys))
        self._starts.append(self._end)
        self._end += self._file.write(marshal.dumps(tuple(facts)))

    def in_order(self) -> Iterator[Facts]:
        """Yield the facts in the order of time; those of one second in the order in which they were added."""
        self._file.flush()
        self._starts.append(self._end)
        self._keys = array("Q", sorted(self._keys))
        descriptor, mask = self._file.fileno(), (1 << _NUMBER_BITS) - 1
        for key in self._keys:
            number = key & mask
            start = self._starts[number]
            yield Facts(*marshal.loads(os.pread(descriptor, self._starts[number + 1] - start, start)))
