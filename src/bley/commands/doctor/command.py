"""`bley doctor`: what is wrong with bley and its surroundings, why it matters, and what to do."""

import asyncio
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import click
import uvloop

from bley import __version__
from bley.commands.build import is_compiled
from bley.commands.doctor.clock import examine_clock
from bley.commands.doctor.daemon import examine_daemon, find_places
from bley.commands.doctor.exim import examine_exim
from bley.commands.doctor.finding import Finding, Level, fault, note, well, worst
from bley.commands.doctor.lists import examine_lists
from bley.commands.doctor.policy_place import BleyPlaces
from bley.commands.doctor.postfix import examine_postfix
from bley.commands.doctor.resolver import examine_resolver
from bley.commands.doctor.rights import examine_rights
from bley.commands.doctor.start import examine_start
from bley.commands.doctor.store import examine_space, examine_store
from bley.commands.documented import DocumentedCommand
from bley.commands.options import complete_folders, config_option, json_option, load_settings, run
from bley.commands.output import print_document, print_hanging
from bley.commands.policy_client import fetch_running
from bley.core.errors import SettingsError
from bley.core.escapes import escape_controls
from bley.daemon.start_check import RunningBley
from bley.ports import utc_now
from bley.settings.file import Configuration

__all__ = ["doctor"]

_STATUSES = {Level.WELL: 0, Level.NOTE: 0, Level.WARNING: 1, Level.FAULT: 2}
"""The exit statuses, those of a plugin of Nagios."""

_BLEY_COMMAND = re.compile(r"\bbley (?:check-config|doctor|import|lists)\b")
"""The commands in remedies."""

_MARGIN = " " * 19
"""The width of a level and a subject."""


@click.command(
    cls=DocumentedCommand,
    examples=["bley doctor", "bley doctor --quiet"],
    statuses={0: "All is well.", 1: "There are warnings.", 2: "There are faults, or the command line is invalid."},
)
@config_option
@json_option
@click.option(
    "--postfix",
    "postfix_folder",
    metavar="FOLDER",
    default="",
    shell_complete=complete_folders,
    help="Folder of main.cf. Default: Postfix's own.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show warnings and faults only.")
def doctor(file: Path | None, as_json: bool, postfix_folder: str, quiet: bool) -> None:
    """Examine bley and its surroundings, and show remedies.

    These are the settings, store, DNS lists, resolver, disk, rights of files, clock, the running bley, and the settings
    of Postfix and Exim that concern it. Each finding has a level, its reason, and the command or line that helps.
    """
    findings = _by_subject(_examine(file, postfix_folder))
    shown = [each for each in findings if not quiet or _STATUSES[each.level]]
    if as_json:
        level = worst(findings)
        print_document({"version": __version__, "level": level, "findings": [each._asdict() for each in shown]})
    else:
        for finding in shown:
            _print(finding)
    sys.exit(_STATUSES[worst(findings)])


def _examine(file: Path | None, postfix_folder: str) -> Iterator[Finding]:
    yield well("program", f"version {__version__}, {'compiled' if is_compiled() else 'not compiled'}")
    try:
        configuration = load_settings(file)
    except SettingsError as error:
        for each in error.faults:
            yield fault("settings", str(each), "bley does not start, and a reload keeps the old settings")
        return
    for finding in _examine_by(configuration, postfix_folder):
        yield finding._replace(remedy=_with_settings(finding.remedy, configuration.list_files.option))


def _with_settings(remedy: str, option: Sequence[str]) -> str:
    """Return the remedy with the option that names the settings file in its commands of bley."""
    return _BLEY_COMMAND.sub(lambda match: " ".join([match[0], *map(shlex.quote, option)]), remedy)


def _examine_by(configuration: Configuration, postfix_folder: str) -> Iterator[Finding]:
    running = fetch_running(configuration)
    yield from run(_examine_at_once(configuration, running), uvloop.new_event_loop)
    yield from examine_space(configuration.settings)
    yield from examine_resolver(configuration.settings)
    yield from examine_rights(configuration)
    yield from examine_clock(configuration.settings, utc_now())
    places = find_places(configuration, running)
    yield from examine_daemon(configuration, places)
    settings = configuration.settings
    bley = BleyPlaces(places, settings.check_timeout.total_seconds(), settings.trusted_networks)
    servers = [*examine_postfix(bley, postfix_folder), *examine_exim(bley)]
    yield from servers or [note("postfix", "neither Postfix nor Exim is on this machine: examine it where it runs")]


async def _examine_at_once(configuration: Configuration, running: RunningBley | None) -> list[Finding]:
    parts = await asyncio.gather(
        examine_start(configuration, running),
        examine_store(configuration.settings),
        examine_lists(configuration.settings),
    )
    return [finding for findings in parts for finding in findings]


def _by_subject(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings by their subjects, in the order in which these appear first."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.subject, []).append(finding)
    return list(chain.from_iterable(groups.values()))


def _print(finding: Finding) -> None:
    level = finding.level.upper() if _STATUSES[finding.level] else finding.level
    _print_text(f"{level:<9}{finding.subject:<10}", finding.what)
    if finding.why:
        _print_text(f"{_MARGIN}why: ", finding.why)
    if finding.remedy:  # may be a command, which must not be broken
        text = finding.remedy.replace("\n", f"\n{_MARGIN}")
        click.echo(escape_controls(f"{_MARGIN}do:  {text}", "\n\t"))


def _print_text(prefix: str, text: str) -> None:
    for number, line in enumerate(text.expandtabs().split("\n")):
        print_hanging(_MARGIN if number else prefix, line)
