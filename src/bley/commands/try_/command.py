"""The command `bley try` and its options."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import click

from bley.checks.helo import OwnIdentity
from bley.commands.documented import DocumentedCommand
from bley.commands.options import config_option, json_option, load_settings
from bley.commands.output import print_document
from bley.commands.progress import Interruption, progress
from bley.commands.try_.dns import judge_with_dns
from bley.commands.try_.html import write_html
from bley.commands.try_.text import print_page
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.values import host_name
from bley.trial.border import Border
from bley.trial.facts import HAM, SPAM, Facts
from bley.trial.page import Page
from bley.trial.reading import Reader, Source, sample_border, total_size
from bley.trial.spool import Spool
from bley.trial.trial import Trial, run_now

__all__ = ["try_", "try_mail"]

_PORTION = 200
"""Mails after which progress is shown and a signal is noticed."""

_TOLERANCE = timedelta(days=1)
"""A date may be so far in the future: clocks are wrong."""

_PATH = click.Path(path_type=Path)


@click.command(
    name="try",
    cls=DocumentedCommand,
    examples=[
        "bley try ~/Maildir --spam ~/Maildir/.Junk",
        "bley try /var/mail/jane old-mail.mbox.gz --mx mx.example.org",
        "bley try --spam spam.mbox ham.mbox --html try.html",
        "bley try /var/log/mail.log /var/log/mail.log.1",
    ],
    statuses={
        0: "The mail was judged.",
        1: "No mail was usable, the command was interrupted, or it failed; standard error has the reason.",
        2: "The settings or the command line are invalid, or standard output cannot be written.",
    },
)
@config_option
@click.argument("paths", metavar="PATH...", nargs=-1, type=_PATH)
@click.option("--spam", "spam", metavar="PATH", multiple=True, type=_PATH, help="Mailbox of spam. May be repeated.")
@click.option(
    "--mx",
    metavar="NAME",
    multiple=True,
    help="Mail server that receives mail from strangers, as its Received headers name it, its domain or its address. "
    "May be repeated. Default: the commonest one.",
)
@click.option("--dns", "uses_dns", is_flag=True, help="Query DNS lists, names and SPF, as they are today.")
@click.option(
    "--html", "html", metavar="FILE", type=click.Path(path_type=Path), help="Write the page as HTML, one file."
)
@json_option
def try_(
    file: Path | None,
    paths: tuple[Path, ...],
    spam: tuple[Path, ...],
    mx: tuple[str, ...],
    uses_dns: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    """Show what bley would have done with your own mail.

    PATH is a Maildir, an mbox, a mail, a folder of these, or a log of Postfix, Exim, postgrey or policyd-weight; each
    may be compressed by gzip. The mail is judged in the order of time, as the daemon would with these settings. Its
    facts come from the Received header that your mail server wrote. No body is read, nothing leaves this machine, and
    the store is not used.
    """
    if not paths and not spam:
        raise click.UsageError("name a mailbox: a Maildir, an mbox or a folder of mails")
    for path in (*paths, *spam):
        if not path.exists():
            raise click.UsageError(f"{path} does not exist: name a mailbox")
    configuration = load_settings(file)
    sources = [Source(path, HAM, spam) for path in paths] + [Source(path, SPAM) for path in spam]
    interruption = Interruption()
    page = try_mail(configuration, sources, mx, interruption, uses_dns=uses_dns)
    if html:
        write_html(page, html)
    if as_json:
        print_document(page.document)
    else:
        print_page(page, html)
    interruption.stop_if_requested("the page shows the mail that was judged until then")
    if not page.usable:
        raise click.ClickException(_nothing_usable(page))


def _nothing_usable(page: Page) -> str:
    if not page.reader.read:
        return "no mail was found: name a Maildir, an mbox, a mail, or a folder of these"
    if page.border:
        return f"no mail was received by {', '.join(page.border)}: name your mail server by --mx"
    return "no mail has a Received header with a client: name a mailbox of received mail"


def try_mail(
    configuration: Configuration,
    sources: Sequence[Source],
    mx: Sequence[str],
    interruption: Interruption,
    *,
    uses_dns: bool = False,
) -> Page:
    """Read and judge the mail; end early at a signal. The page then says so."""
    border = Border(mx, is_pattern=True) if mx else _find_border(sources)
    latest = int((utc_now() + _TOLERANCE).timestamp())
    hostname = border.names[0] if border.names else host_name()
    us = OwnIdentity(hostname, configuration.settings.trusted_networks)
    with Spool() as spool:
        with progress("reading", total=total_size(sources)) as advance:
            reader = Reader(border, latest, advance, lambda: interruption.is_requested)
            for source in sources:
                for facts in reader.facts(source):
                    spool.add(facts)
        with progress("judging", total=len(spool)) as advance:
            mails = reader.clients.marked(spool.in_order())
            judge = judge_with_dns if uses_dns else _judge
            trial = judge(configuration, us, _until_requested(mails, interruption, advance))
    return Page(
        configuration, trial, reader, border.names, len(spool), uses_dns, is_complete=not interruption.is_requested
    )


def _find_border(sources: Sequence[Source]) -> Border:
    with progress("searching for your mail server"):
        return sample_border(sources)


def _until_requested(
    mails: Iterator[Facts], interruption: Interruption, advance: Callable[[int], None]
) -> Iterator[Facts]:
    """Yield the mails; of those whose reading was interrupted, all that were read; else until a signal."""
    was_interrupted = interruption.is_requested
    for number, facts in enumerate(mails, 1):
        yield facts
        if number % _PORTION == 0:
            advance(_PORTION)
            if interruption.is_requested and not was_interrupted:
                return


def _judge(configuration: Configuration, us: OwnIdentity, mails: Iterator[Facts]) -> Trial:
    trial = Trial(configuration, us)
    for facts in mails:
        run_now(trial.judge(facts))
    return trial
