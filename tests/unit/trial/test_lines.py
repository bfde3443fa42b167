"""The lines of files, of any size."""

import io

import pytest

from bley.trial.lines import read_lines
from bley.trial.mailboxes import OpenedFile


def lines(
    text: bytes, start: int = 3, size: int | None = None, *, is_compressed: bool = False
) -> list[tuple[int, bytes]]:
    stream = io.BytesIO(text)
    opened = OpenedFile(stream, is_compressed)  # type: ignore[arg-type]
    found = read_lines(opened, stream.read(start), len(text) if size is None else size)
    return [(number, line) for number, line, _ in found]


@pytest.mark.parametrize("start", [0, 1, 3, 7, 100])
def test_lines_have_their_numbers(start: int) -> None:
    assert lines(b"a\r\n\nbcd\ne", start) == [(1, b"a"), (2, b""), (3, b"bcd"), (4, b"e")]


def test_a_long_line_is_cut() -> None:
    found = lines(b"x" * 3_000_000 + b"\nnext\n", is_compressed=True)
    assert [len(line) for _, line in found] == [16_384, 4]


def test_a_file_that_grows_is_read_up_to_its_size() -> None:
    assert lines(b"a\nb\nc\nd\n", 2, 4) == [(1, b"a"), (2, b"b")]
