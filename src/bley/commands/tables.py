"""Tables for people: as wide as the terminal; into a pipe plain, one line a row."""

from collections.abc import Iterable, Sequence

from bley.log.decision_line import printable

__all__ = ["print_table"]

_WIDTH_OF_A_PIPE = 1000


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print rows below their titles; the columns of the titles in `right` are numbers. Cells are made safe."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, justify="right" if title in right else "left")
    for row in rows:
        table.add_row(*map(printable, row))
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_PIPE
    console.print(table)
