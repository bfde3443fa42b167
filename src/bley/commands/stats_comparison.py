"""`bley stats --compare`: the figures of a period and those of the period before, side by side in 80 columns."""

from collections.abc import Iterator

import click

from bley.commands.output import print_table
from bley.commands.stats_figures import Statistics
from bley.core.quantity import percent

__all__ = ["NUMBERS", "compared_summary", "print_comparison"]

NUMBERS = ("number", "before", "change")
"""The titles of a number in both periods."""


def print_comparison(now: Statistics, before: Statistics) -> None:
    """Print the summary, then each table that both periods have. A row that one period lacks has a dash or 0."""
    titles = ("", *NUMBERS, "share", "share before")
    print_table(titles, list(compared_summary(now, before)), right=titles[1:])
    earlier = dict(before.groups)
    for title, numbers in now.groups:
        if title in earlier and (names := dict.fromkeys([*numbers, *earlier[title]])):
            click.echo()
            rows = [(name, *_compared(numbers.get(name, 0), earlier[title].get(name, 0))) for name in names]
            print_table((title, *NUMBERS), rows, right=NUMBERS)


def compared_summary(now: Statistics, before: Statistics) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the summary: name, NUMBERS, and both shares."""
    earlier = {name: (number, share) for name, number, share in before.summary}
    for name, number, share in now.summary:
        number_before, share_before = earlier.get(name, ("-", ""))
        is_countable = number.isdecimal() and number_before.isdecimal()
        change = _change(int(number), int(number_before)) if is_countable else ""
        numbers = map(_short, (number, number_before))
        yield name, *numbers, change, _percentage(share), _percentage(share_before)


def _short(number: str) -> str:
    """Return a number, or the bound of a median delay in few characters."""
    return number.removeprefix("at most ").replace("longer than a day", "> 1 d")


def _compared(number: int, before: int) -> tuple[str, str, str]:
    return str(number), str(before), _change(number, before)


def _change(number: int, before: int) -> str:
    """Return the change in percent; empty if there was nothing before."""
    if not before:
        return ""
    return f"{'+' if number >= before else '-'}{percent(abs(number - before) / before)}"


def _percentage(share: str) -> str:
    """Return the percentage of a share in words."""
    first, *_ = share.split(" ")
    return first if first.endswith("%") else ""
