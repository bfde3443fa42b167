"""The lines of a file of text, of any size: bounded in length, with their numbers."""

from collections.abc import Iterator

from bley.trial.mailboxes import OpenedFile

__all__ = ["Line", "read_lines"]

_BLOCK = 1 << 18
_LONGEST = 16_384
"""Bytes of a line that are read. Postfix cuts its own at some 2,000."""

Line = tuple[int, bytes, int]
"""The number of the line, its text without the line end, and the bytes of the file up to its end."""


def read_lines(opened: OpenedFile, start: bytes, size: int) -> Iterator[Line]:
    """Yield the lines of a file whose `start` is read. Of one that may grow, `size` bytes are read."""
    text, number, position = start, 0, 0
    while True:
        *whole, rest = text.split(b"\n")
        for line in whole:
            number += 1
            position += len(line) + 1
            yield number, line[:_LONGEST].rstrip(b"\r"), position
        left = _BLOCK if opened.is_compressed else min(_BLOCK, size - position - len(rest))
        more = (opened.stream.read(left) if left > 0 else b"") or b""
        if not more:
            break
        if len(rest) > _LONGEST:
            position += len(rest) - _LONGEST
            rest = rest[:_LONGEST]
        text = rest + more
    if rest.strip():
        yield number + 1, rest[:_LONGEST], position + len(rest)
