"""bley(1), from the commands as click knows them, and from the sections of docs/commands.md about all of them."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
from click.types import OptionHelpExtra
from docs.roff import PREAMBLE, blocks, entry, heading, joined, literal, text

from bley import __version__
from bley.cli import GROUPS, main
from bley.commands.documented import DocumentedCommand

__all__ = ["described_options", "documented_commands", "page", "usage"]

_HEAD = f""".\\" Made by docs/commands_page.py
.TH BLEY 1 "" "bley {__version__}" "User commands"
{PREAMBLE}.SH NAME
bley \\- intelligent greylisting daemon for Postfix and Exim
.SH SYNOPSIS
.B bley
.RB [ \\-c
.IR FILE ]
.I COMMAND
.RI [ OPTIONS ]
.RI [ ARGUMENTS ]
.br
.B bley
.RB [ \\-c
.IR FILE ]
.RB [ \\-f ]
.RB [ \\-p
.IR FILE ]
.RB [ \\-v ]
.RB [ \\-d ]
"""
_DESCRIPTION = """bley answers the policy requests of Postfix (SMTPD_POLICY_README) and Exim.
It defers suspicious strangers: clients that DNS blocklists name, or with a HELO name that does not match, the host
name of an access line, a sender equal to the recipient, or a failure of SPF.
A triplet of client, sender and recipient that retries after its wait passes, and is remembered.
Known triplets, clients on DNS allowlists, exempt clients, senders and recipients, postmaster and abuse pass at once.

Without a command bley runs as a daemon, like bley 2: in the background, unless -f or -d is given.
The command returns as soon as bley listens, or with status 2 if bley could not start.
"""
_COMMANDS = """Each command also has the options `-c FILE`, with the settings, and `-h`.
The exit statuses of a command are described where they differ from those in the section EXIT STATUS.
"""
_COMMON = {"--config", "--help"}
"""Options of each command."""

_SECTIONS = "Exit status", "Signals", "Web interface", "Environment", "Files", "Examples"
"""The sections of docs/commands.md that the page has."""

_TAIL = """.SH SEE ALSO
.BR bley.conf (5),
.BR postconf (5),
.BR postgrey (8)
"""


def page() -> str:
    """Return the manual page."""
    markdown = Path(__file__).with_name("commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.*)\n\n((?:.*\n)+?)(?=## |\Z)", markdown, re.MULTILINE))
    return joined(
        (
            _HEAD,
            heading("Description") + blocks(_DESCRIPTION),
            heading("Options") + "".join(entry(*each) for each in described_options(main)),
            heading("Commands") + blocks(_COMMANDS) + "".join(map(_section, documented_commands())),
            *(heading(title) + blocks(_without_marks(sections[title])) for title in _SECTIONS),
            _TAIL,
        )
    )


def documented_commands() -> Iterator[DocumentedCommand]:
    """Yield the commands in the order of --help."""
    context = _context(main)
    for name in (name for names in GROUPS.values() for name in names):
        command = main.get_command(context, name)
        assert isinstance(command, DocumentedCommand)
        yield command


def usage(command: click.Command) -> str:
    """Return how the command is called."""
    return " ".join(("bley", command.name or "", *command.collect_usage_pieces(_context(command))))


def described_options(command: click.Command) -> Iterator[tuple[str, str]]:
    """Yield the options that only this command has: its names with the value, and its text."""
    context = _context(command)
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and (command is main or _COMMON.isdisjoint(parameter.opts)):
            value = "" if parameter.is_flag else " " + parameter.make_metavar(context).strip("[]")
            extra = parameter.get_help_extra(context)
            yield ", ".join(parameter.opts) + value, " ".join((parameter.help or "", *_bounds(extra)))


def _context(command: click.Command) -> click.Context:
    return click.Context(command, **main.context_settings)


def _bounds(extra: OptionHelpExtra) -> Iterator[str]:
    if "default" in extra:
        yield f"Default: {extra['default']}."
    if "range" in extra:
        yield f"Range: {extra['range']}."


def _section(command: DocumentedCommand) -> str:
    statuses = "; ".join(f"{status}: {said[0].lower() + said[1:-1]}" for status, said in command.statuses.items())
    return "".join(
        (
            f'.SS "{text(usage(command))}"\n',
            *map(_paragraph, inspect.cleandoc(command.help or "").split("\n\n")),
            *(entry(*each) for each in described_options(command)),
            blocks(f"Exit status: {statuses}.\n") if statuses else "",
            literal(list(command.examples)),
        )
    )


def _paragraph(paragraph: str) -> str:
    mark, _, lines = paragraph.partition("\n")
    return literal(lines.splitlines()) if mark == "\b" else f".PP\n{text(paragraph)}\n"


def _without_marks(markdown: str) -> str:
    return re.sub(r"<!-- .* -->\n\n?", "", markdown)
