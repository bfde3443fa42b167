"""The page of a trial as one HTML file, in the looks of the dashboard: without a script, and nothing from elsewhere."""

import os
from pathlib import Path
from typing import Any

import click

from bley.trial.page import Page
from bley.web.rendering import STATIC, render_now

__all__ = ["render_html", "write_html"]

NOUNS = {"ham": "ham mails", "spam": "spam mails", "attempt": "rejected attempts"}
TITLES = {"ham": "Ham", "spam": "Spam", "attempt": "Rejected"}


def render_html(page: Page) -> str:
    """Return the page."""
    from markupsafe import Markup

    document = page.document
    labels: dict[str, Any] = document["labels"]
    figures = list(labels.values())
    style = Markup((STATIC / "style.css").read_text(encoding="utf-8"))
    values = document | {
        "style": style,
        "nouns": NOUNS,
        "titles": TITLES,
        "reasons": list(dict.fromkeys(reason for each in figures for reason in each["reasons"])),
        "months": _months(figures),
        "folders": [(label, each) for label, found in labels.items() for each in found["folders"]],
    }
    return render_now("try.html", values)


def _months(figures: list[dict[str, Any]]) -> list[tuple[str, list[tuple[int, int]]]]:
    """Return each month with the mails and the delayed ones of each label."""
    counts = [{each["month"]: (each["mails"], each["delayed"]) for each in label["months"]} for label in figures]
    return [(month, [each.get(month, (0, 0)) for each in counts]) for month in sorted(set().union(*counts))]


def write_html(page: Page, file: Path) -> None:
    """Write the page. It has addresses of mail, so only its owner may read it."""
    text = render_html(page)
    try:
        with open(file, "w", encoding="utf-8", opener=_open_private) as opened:
            opened.write(text)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
