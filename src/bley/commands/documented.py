"""The help of a command: click's, then examples and exit statuses. docs/commands_page.py makes bley(1) from it too."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from bley.commands.ending import BleyCommand

__all__ = ["COMMON_STATUSES", "DocumentedCommand"]

COMMON_STATUSES = {
    0: "The command succeeded.",
    1: "The command failed, for a reason that standard error has.",
    2: "The settings or the command line are invalid, or standard output cannot be written.",
}
"""The exit statuses of each command, unless it documents its own."""


class DocumentedCommand(BleyCommand):
    """A command with examples, and with the exit statuses that differ from `COMMON_STATUSES`."""

    def __init__(
        self, *args: Any, examples: Sequence[str], statuses: Mapping[int, str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.statuses = statuses or {}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, which are never wrapped, and the exit statuses."""
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        if self.statuses:
            with formatter.section("Exit status"):
                formatter.write_dl([(str(status), text) for status, text in self.statuses.items()])
