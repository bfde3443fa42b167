"""The scripts `bley` and `bleygraph`, and `python -m bley`. Nothing is imported before Ctrl-C ends quietly."""

from bley.commands.interrupts import ending_at_interrupt

__all__ = ["graph", "main"]


def main() -> None:
    """Run bley."""
    with ending_at_interrupt():
        from bley.cli import main as bley
    bley(prog_name="bley")


def graph() -> None:
    """Run `bley graph` by its name of bley 2."""
    with ending_at_interrupt():
        from bley.commands.graph.command import graph as bleygraph
    bleygraph(prog_name="bleygraph")


if __name__ == "__main__":
    main()
