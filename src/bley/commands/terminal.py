"""Lines for a terminal that is too narrow: texts and tables break between words, never in a name or an address."""

import re
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console

__all__ = ["hanging_lines", "table_lines", "table_width", "terminal_width"]

_GAP = 2
"""Blanks between two columns."""
_HANG = re.compile(r" *(?:\S  )?")
"""The start of a step's text: its indentation, and the score of a finding."""


def terminal_width() -> int | None:
    """Return the width of the terminal; None if the output goes elsewhere."""
    console = Console()
    return console.width if console.is_terminal else None


def hanging_lines(prefix: str, text: str, width: int | None, command: str = "") -> Iterator[str]:
    """Yield the text behind the prefix. Its further lines are indented as far. A longer word has a line of its own.

    A command ends the text, on a line of its own where it does not fit: it is never broken, so that it can be copied.
    """
    if width is not None and command and cell_len(prefix + text + command) > width:
        yield from hanging_lines(prefix, text.rstrip(), width)
        yield f"    {command}"
        return
    text += command
    start = match.end() if (match := _HANG.match(text)) else 0
    indent = cell_len(prefix) + start
    if width is None or cell_len(prefix) + cell_len(text) <= width:
        yield prefix + text
        return
    rest = text[start:]
    first, *others = _broken(rest, max(width - indent, 1))
    yield prefix + text[:start] + first
    yield from (" " * indent + line for line in others)


def _broken(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and cell_len(f"{lines[-1]} {word}") > width:
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return lines


def table_width(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return the width that the table needs."""
    widths = _widths(titles, rows)
    return sum(widths) + _GAP * (len(widths) - 1)


def _widths(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(titles, *rows, strict=True)]


def table_lines(
    titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str], width: int
) -> Iterator[str]:
    """Yield a table that is too wide for the terminal.

    As many columns as fit stay columns. The cells of the others stand below their row, each with its title.
    """
    widths = _widths(titles, rows)
    kept, total = 1, widths[0]
    while kept < len(titles) and total + _GAP + widths[kept] <= width:
        total += _GAP + widths[kept]
        kept += 1
    yield _line(titles[:kept], titles, widths, right)
    for row in rows:
        yield _line(row[:kept], titles, widths, right)
        others = zip(titles[kept:], row[kept:], strict=True)
        text = ", ".join(f"{title} {cell}".strip() for title, cell in others if cell not in ("", "-"))
        if text:
            yield from hanging_lines("    ", text, width)


def _line(cells: Iterable[str], titles: Sequence[str], widths: Sequence[int], right: Sequence[str]) -> str:
    padded = []
    for cell, title, width in zip(cells, titles, widths, strict=False):
        blanks = " " * (width - cell_len(cell))
        padded.append(blanks + cell if title in right else cell + blanks)
    return (" " * _GAP).join(padded).rstrip()
