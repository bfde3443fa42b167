"""The table of the sender domains whose mail came back most, with the line that would end their delays."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from bley.core.exemptions.lookup import SenderExemptions
from bley.core.history.advice import ListFiles
from bley.core.history.delayed_mail import DelayedDomain, DelayedMail, DomainMail
from bley.core.history.domain_counts import NULL_DOMAIN, REST
from bley.core.history.exempted import ExemptedCount, ExemptedMail
from bley.core.history.exemption_choices import choice_of_domain
from bley.core.history.shared_domains import is_large_provider
from bley.core.history.statistics import DELAY_BOUNDS
from bley.web.formatting import duration, number
from bley.web.urls import page_url

__all__ = ["DelayedDomains", "DelayedRow", "delayed_domains"]


class DelayedRow(NamedTuple):
    """A sender's domain, and its mail that came back."""

    domain: DelayedDomain
    share: float
    """Its share of all mail that came back."""
    median_delay: str
    mail: DomainMail
    """Its mail of the last days."""
    command: str
    """The line that would end the delays; empty if none would be safe."""
    note: str
    """Why there is no line, why it needs SPF, or how much mail it would have exempted."""
    search: str
    act: str
    """The action that does the same as the command."""


class DelayedDomains(NamedTuple):
    """The table, and the numbers in the text above it."""

    since: datetime
    """The start of the first day that was counted."""
    came_back: int
    """All mail that came back since then."""
    rows: Sequence[DelayedRow]
    null_sender: int
    """The mail of the null sender, which is no domain's."""


def delayed_domains(
    delayed: DelayedMail, files: ListFiles, senders: SenderExemptions, range_name: str, most: int, *, observes: bool
) -> DelayedDomains:
    """Return at most so many rows."""
    found = {each.name: each for each in delayed.most.domains}
    null_sender = found.pop(NULL_DOMAIN).came_back if NULL_DOMAIN in found else 0
    found.pop(REST, None)
    domains = list(found.values())[:most]
    rows = [_row(each, delayed, files, senders, range_name, observes=observes) for each in domains]
    return DelayedDomains(delayed.most.since, delayed.most.came_back, rows, null_sender)


def _row(
    domain: DelayedDomain,
    delayed: DelayedMail,
    files: ListFiles,
    senders: SenderExemptions,
    range_name: str,
    *,
    observes: bool,
) -> DelayedRow:
    name, mail, median = domain.name, delayed.mail.get(domain.name, DomainMail()), domain.median_delay_seconds
    choice, origin = choice_of_domain(name, mail), _exempting_entry(senders, name)
    if origin:
        command, act, note = "", "", f"It is exempt now, by {origin}."
    elif choice:
        command = files.command("allow", "--sender", choice.entry)
        act = page_url("/act/allow", {"kind": choice.kind, "entry": choice.entry, "q": name})
        note = _effect(mail, delayed.days, observes=observes)
    else:
        command, act, note = "", "", _LARGE if is_large_provider(name) else _NO_OWNER
    return DelayedRow(
        domain,
        domain.came_back / delayed.most.came_back,
        f"more than {duration(DELAY_BOUNDS[-1])}" if median is None else duration(median),
        mail,
        command,
        note,
        page_url("/search", {"q": name, "range": range_name}),
        act,
    )


def _effect(mail: DomainMail, days: int, *, observes: bool) -> str:
    """Return what mail the line would have exempted, or why it needs SPF."""
    if mail.is_ours:
        return "Only while SPF passes: it is your own domain, which others forge."
    if not mail.comes_back:
        came = "mails that would have been deferred came again" if observes else "deferred mails came back"
        numbers = f"{number(mail.came_back)} of {number(mail.deferred)} {came} in {days} days"
        return f"Only while SPF passes, since the name may be forged: {numbers}."
    return f"It {ExemptedMail(ExemptedCount(mail.deferred, is_at_least=False), days, observes)}."


_LARGE = "No line for a large provider: it would exempt spam too. Exempt single senders."
_NO_OWNER = "No line: this is no domain of a single owner."


def _exempting_entry(senders: SenderExemptions, name: str) -> str:
    """Return file and line of the entry that exempts the domain."""
    origin = senders.find_name(name) or senders.if_spf_passes.find_name(name)
    return ":".join(origin.split(":", 2)[:2]) if origin else ""
