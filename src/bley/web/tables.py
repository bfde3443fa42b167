"""The tables of the pages for programs: CSV (RFC 4180) and JSON."""

import csv
import io
import json
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Cell", "Table", "as_csv", "as_json"]

Cell = str | int | float | None

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell begins with that a spreadsheet would take for a formula, some after blanks."""


class Table(NamedTuple):
    """Named columns, and rows of as many cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def as_csv(table: Table) -> str:
    """With a head line. A text that a spreadsheet would compute gets an apostrophe in front."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.columns)
    writer.writerows([_defused(cell) for cell in row] for row in table.rows)
    return text.getvalue()


def as_json(table: Table) -> str:
    """A list of objects."""
    return json.dumps([dict(zip(table.columns, row, strict=True)) for row in table.rows])


def _defused(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" ").startswith(_FORMULA) else cell
