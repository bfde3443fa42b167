"""`bley explain`: every step of a decision."""

import logging
from pathlib import Path

import click
import uvloop

from bley.checks.lists.watch import ListWatch
from bley.commands.documents import print_document, print_steps
from bley.commands.explanation import Explanation
from bley.commands.explanation import explain as explain_request
from bley.commands.options import config_option, json_option, load_settings
from bley.commands.request import request_options
from bley.core.mail import Request
from bley.daemon.dns_checks import DnsChecks
from bley.ports import utc_now
from bley.settings.file import Configuration

__all__ = ["explain"]


@click.command()
@config_option
@json_option
@click.pass_obj
@request_options
def explain(before: Path | None, file: Path | None, as_json: bool, request: Request) -> None:
    """Show every step of the decision about a request, without storing anything."""
    explanation = uvloop.run(_explain(load_settings(file or before), request))
    if as_json:
        print_document(explanation.document)
    else:
        print_steps(explanation.steps)


async def _explain(configuration: Configuration, request: Request) -> Explanation:
    logging.getLogger("bley").addHandler(logging.NullHandler())  # the steps say it all
    watch = ListWatch(utc_now)
    dns = DnsChecks(configuration.settings, watch)
    dns.activate()
    try:
        return await explain_request(configuration, dns.checks, utc_now, request)
    finally:
        await watch.close()
        await dns.close()
