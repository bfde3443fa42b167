"""The command `bley report` and its options."""

from datetime import datetime
from pathlib import Path

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.options import complete_files, config_option, json_option, load_settings, run
from bley.commands.output import print_document
from bley.commands.progress import progress
from bley.commands.report.mail import SENDMAIL, check_recipient, make_mail, submit
from bley.commands.report.page import Report
from bley.commands.report.senders import Senders
from bley.commands.stats import gather_statistics
from bley.commands.stats_period import StatsPeriod, parse_period
from bley.commands.store_access import opened_history
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.values import host_name
from bley.store.delayed_domains import SHOWN_DOMAINS, read_delayed_mail
from bley.web.delayed_domains import delayed_domains

__all__ = ["gather_report", "report"]


async def gather_report(configuration: Configuration, wanted: StatsPeriod, now: datetime) -> Report:
    """Return the report on the period. Raises StoreError."""
    async with opened_history(configuration.settings) as history:
        statistics = await gather_statistics(history, configuration, wanted, now)
        delayed = await read_delayed_mail(history, statistics.since, now, configuration.timings.longest)
    figures = statistics.figures
    observes = figures.defers_nothing or (not figures.deferred and configuration.settings.mode == "observe")
    found = delayed_domains(
        delayed, configuration.list_files, configuration.senders, "", SHOWN_DOMAINS, observes=observes
    )
    return Report(statistics, host_name(), observes, Senders(found, observes))


def _recipient(_context: click.Context, _option: click.Parameter, address: str | None) -> str | None:
    try:
        return check_recipient(address) if address is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(
    cls=DocumentedCommand,
    examples=["bley report", "bley report --since 28d --mail postmaster@example.org"],
)
@config_option
@click.option(
    "--since",
    default="7d",
    show_default=True,
    metavar="WHEN",
    help="Start of the period: an age such as 12h or 28d, at most 400d, or a time such as 2026-11-26T14:00Z.",
)
@click.option(
    "--mail", metavar="ADDRESS", callback=_recipient, help="Mail the report to this address instead of printing it."
)
@click.option(
    "--sendmail",
    metavar="PROGRAM",
    default=SENDMAIL,
    show_default=True,
    shell_complete=complete_files,
    help="Program that takes the mail.",
)
@json_option
def report(file: Path | None, since: str, mail: str | None, sendmail: str, as_json: bool) -> None:
    """Show on one page whether bley is worth it.

    The page has the answer first: how much deferred mail never came back, and how much good mail was delayed. In mode =
    observe it shows what would have been deferred. The figures follow, with those of the period before, and what was
    wrong. bley stats has more figures, and no advice.
    """
    now = utc_now()
    if mail is not None and as_json:
        raise click.UsageError("--mail and --json exclude each other: a mail is for people")
    try:
        wanted = parse_period(since, "", now)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    configuration = load_settings(file)
    with progress("counting"):
        found = run(gather_report(configuration, wanted, now))
    if as_json:
        print_document(found.document)
    elif mail is None:
        click.echo("\n".join(found.lines))
    else:
        submit(make_mail(found.lines, found.subject, mail, found.host, now), mail, sendmail)
        click.echo(f"the report is mailed to {mail}")
