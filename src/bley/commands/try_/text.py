"""The page of a trial as text."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from bley.commands.output import print_hanging, print_table
from bley.core.findings import REASONS
from bley.core.history.outcome import format_duration
from bley.core.quantity import quantity
from bley.trial.facts import HAM
from bley.trial.page import Page

__all__ = ["print_page"]

_MOST_SHOWN = 20
"""Delayed ham mails that the text page shows."""

_MOST_MONTHS = 24

_MOST_FOLDERS = 30

LABEL_WORDS = {"ham": "ham", "spam": "spam", "attempt": "rejected"}
"""The titles of the labels' columns."""


def print_page(page: Page, html: Path | None) -> None:
    """Print the page."""
    document = page.document
    _print_read(page, document)
    if page.labels:
        click.echo()
        _print_delayed(document)
        _print_folders(document["labels"])
        _print_ham(document, html)
        _print_alternatives(document)
    click.echo()
    for text in page.assumptions if page.labels else []:
        print_hanging("- ", text)
    if html:
        print_hanging("", f"The page is written to {html}.")


def _print_read(page: Page, document: dict[str, Any]) -> None:
    print_hanging("", f"{quantity(document['read'], 'mail')} read, {document['usable']} usable")
    if document["first"]:
        print_hanging("", f"from {document['first'][:10]} to {document['last'][:10]}{_received_by(document)}")
    if not document["complete"]:
        click.echo("interrupted: the mail that was judged until then is shown")
    for title, name in (("not usable", "not_usable"), ("files not usable", "files_not_usable")):
        if rows := document[name]:
            click.echo()
            cells = [(str(row["count"]), row["reason"], row["example"]) for row in rows]
            print_table((title, "reason", "example"), cells, right=(title,))


def _received_by(document: dict[str, Any]) -> str:
    return f", received by {', '.join(document['border'])}" if document["border"] else ""


def _print_delayed(document: dict[str, Any]) -> None:
    labels: dict[str, Any] = document["labels"]
    titles = ("", *(LABEL_WORDS[label] for label in labels))
    print_table(titles, list(_rows(labels)), right=titles[1:])


def _rows(labels: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    figures = list(labels.values())
    yield "mails", *(str(each["mails"]) for each in figures)
    yield "of new triplets", *(str(each["strangers"]) for each in figures)
    yield "would have waited", *(_with_share(each["delayed"], each["mails"]) for each in figures)
    reasons = dict.fromkeys(reason for each in figures for reason in each["reasons"])
    for reason in reasons:
        yield f"  {reason}", *(_with_share(each["reasons"].get(reason, 0), each["mails"]) for each in figures)
    months = sorted({month["month"] for each in figures for month in each["months"]})[-_MOST_MONTHS:]
    for name in months:
        of_month = [
            next((m for m in each["months"] if m["month"] == name), {"mails": 0, "delayed": 0}) for each in figures
        ]
        yield f"in {name}", *(_with_share(month["delayed"], month["mails"]) for month in of_month)


def _print_folders(labels: dict[str, Any]) -> None:
    """Print the mail of each folder, if there are several."""
    rows = [
        (each["folder"], LABEL_WORDS[label], str(each["mails"]), _with_share(each["delayed"], each["mails"]))
        for label, figures in labels.items()
        for each in figures["folders"]
    ]
    if len(rows) < 2:
        return
    click.echo()
    titles = ("folder", "mail", "mails", "would have waited")
    print_table(titles, rows[:_MOST_FOLDERS], right=titles[2:])
    if len(rows) > _MOST_FOLDERS:
        click.echo(f"{quantity(len(rows) - _MOST_FOLDERS, 'further folder')}: --html FILE and --json show them")


def _with_share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.2%})" if whole else "-"


def _print_ham(document: dict[str, Any], html: Path | None) -> None:
    delayed: Sequence[dict[str, Any]] = document["delayed_ham"]
    if HAM not in document["labels"]:
        return
    click.echo()
    number = document["labels"][HAM]["delayed"]
    if not number:
        click.echo("no ham would have waited")
        return
    click.echo(
        f"ham that would have waited{':' if number <= _MOST_SHOWN else f', the first {_MOST_SHOWN} of {number}:'}"
    )
    for each in delayed[:_MOST_SHOWN]:
        click.echo()
        for prefix, text in describe_delayed(each):
            print_hanging(prefix, text)
    if document["exemptions"]:
        click.echo()
        cells = [(str(row["mails"]), row["command"]) for row in document["exemptions"]]
        print_table(("mails", "exempted by"), cells, right=("mails",))
    if number > _MOST_SHOWN and not html:
        click.echo(f"\n--html FILE and --json show up to {document['delayed_ham_shown_at_most']} of them")


def describe_delayed(each: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the lines about a delayed mail: client and envelope, why, how long, and the remedy."""
    yield f"{each['at'][:16].replace('T', ' ')}  ", f"from <{each['sender']}> to <{each['recipient']}>, {each['place']}"
    yield "  client  ", f"{each['client_name']} [{each['client_address']}], HELO {each['helo_name'] or '(none)'}"
    yield "  why     ", _why(each)
    yield "  wait    ", f"at least {format_duration_of(each['wait_seconds'])}"
    if each["exempt"]:
        yield "  exempt  ", each["exempt"]


def _why(each: dict[str, Any]) -> str:
    cause = f"{each['cause']}: {REASONS[each['cause']].says}"
    if each["reason"] != each["cause"]:
        cause = f"{each['reason']}, after {cause}"
    counted = [
        f"{name}={found['score']} ({found['detail']})" for name, found in each["findings"].items() if found["score"]
    ]
    return f"{cause}; {', '.join(counted)}" if counted else cause


def format_duration_of(seconds: float) -> str:
    """Return the duration in words."""
    return format_duration(timedelta(seconds=seconds))


def _print_alternatives(document: dict[str, Any]) -> None:
    labels: dict[str, Any] = document["labels"]
    titles = ("settings", *(f"{LABEL_WORDS[label]} delayed" for label in labels))
    rows = [
        (row["settings"], *(_with_share(row["delayed"][label], labels[label]["mails"]) for label in labels))
        for row in document["alternatives"]
    ]
    click.echo()
    print_table(titles, rows, right=titles[1:])
