"""The value of each finding in real mail, from the first contacts in a file of labelled sessions.

    .venv/bin/python -m bench.efficacy sessions.jsonl.gz [--scores 'helo-half-match=0']

The file has one JSON object a line: `label` (ham or spam), `client_address`, `client_name`, `helo_name`, `sender`,
`recipient`, and optionally `date`. A first contact is the first session of its (client_address, sender, recipient).
Each is judged as `bley try` judges a stranger (`judge_offline`), with the default thresholds. There is
no DNS, so no lists and no SPF, no cache of judged clients, no exemptions and no name of our own. Sessions with a date
are also replayed in the order of time, with the memory that bley would have had (bench/replayed_sessions.py).

All shares are printed with their 95 % interval (Wilson's score). The tables show: the hits of each finding, alone and
together with others; the judgement by bley 2's scores and by the default (or `--scores`), by reason, by month, and by
client, since one host that sends one mail to thousands is one host; the same by itself and with memory, in first
contacts, relations and messages; the sources of the spam that passes; and each delayed ham, for inspection.
"""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from bench.replayed_sessions import UNITS, WAYS, Replayed, replay
from bley.core.findings import AnyReason, FindingKind
from bley.core.greylist import Status
from bley.core.mail import Request, parse_address
from bley.core.policy import Thresholds
from bley.core.scores import BLEY2, Scores, parse_scores
from bley.log.decision_line import printable
from bley.trial.judging import judge_offline
from bley.trial.sessions import SESSION_FIELDS, read_session

LABELS = ("ham", "spam")
_LATEST = (1 << 32) - 1
"""The latest date that the memory can store."""
FEWEST = 0.002
"""Combinations of findings that hit less spam, and no ham, are not shown."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A first contact, its findings, and the reason for its delay; None if it passes."""

    label: str
    month: str
    request: Request
    facts: frozenset[FindingKind]
    reason: AnyReason | None


Group = Callable[[Contact], object]


def lines_of(file: Path) -> Iterator[str]:
    """Yield the lines of `file`."""
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        yield from lines


def first_contacts(file: Path) -> Iterator[dict[str, str]]:
    """Yield the sessions of `file` that no session with the same triplet precedes."""
    seen = set()
    for line in lines_of(file):
        session = json.loads(line)
        triplet = (session["client_address"], session["sender"].lower(), session["recipient"].lower())
        if triplet not in seen:
            seen.add(triplet)
            yield session


def judged(session: dict[str, str], scores: Scores) -> Contact:
    """Judge a session by these scores."""
    request = Request(**{name: session[name] for name in SESSION_FIELDS})
    address = parse_address(request.client_address)
    if address is None:
        raise click.ClickException(f"{request.client_address!r} is no address")
    evidence, (status, reason) = judge_offline(request, address, Thresholds(), scores)
    facts = frozenset(finding.kind for finding in evidence.values() if finding.kind)
    month = session.get("date", "")[:7] or "undated"
    return Contact(session["label"], month, request, facts, reason if status is Status.GREYLISTED else None)


def interval(part: int, whole: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson's score)."""
    if not whole:
        return 0.0, 1.0
    z = 1.96
    share = part / whole
    middle = share + z * z / (2 * whole)
    spread = z * sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    return (middle - spread) / (1 + z * z / whole), (middle + spread) / (1 + z * z / whole)


def row(title: str, counts: Counter[str], totals: Counter[str]) -> str:
    """Return a row: the number of each label, its share, and the interval."""
    cells = ""
    for label in LABELS:
        low, high = interval(counts[label], totals[label])
        share = counts[label] / totals[label] if totals[label] else 0.0
        cells += f"{counts[label]:8}{share:9.2%}{f'{low:.2%} - {high:.2%}':>18}"
    return f"{title:34}{cells}"


def head(title: str) -> str:
    """Return the line above the rows."""
    return f"{title:34}" + "".join(f"{label:>8}{'%':>9}{'95 % interval':>18}" for label in LABELS)


def labels(contacts: Iterable[Contact]) -> Counter[str]:
    """Count the contacts of each label."""
    return Counter(contact.label for contact in contacts)


def findings(contacts: list[Contact]) -> Iterator[str]:
    """Return the hits of each finding, in all and alone."""
    totals = labels(contacts)
    yield head("finding")
    for fact in FindingKind:
        if hit := labels(contact for contact in contacts if fact in contact.facts):
            yield row(fact, hit, totals)
            yield row("    and nothing else", labels(c for c in contacts if c.facts == {fact}), totals)


def combinations(contacts: list[Contact]) -> Iterator[str]:
    """Return the combinations of findings, the most frequent ones first; `*`: they delay."""
    totals, counts = labels(contacts), Counter((contact.facts, contact.label) for contact in contacts)
    delays = {contact.facts: contact.reason is not None for contact in contacts}
    yield f"{'ham':>8}{'spam':>8}  findings, * where they delay"
    for facts in sorted(delays, key=lambda facts: -sum(counts[facts, label] for label in LABELS)):
        ham, spam = (counts[facts, label] for label in LABELS)
        if ham or spam >= FEWEST * totals["spam"]:
            mark = "*" if delays[facts] else " "
            yield f"{ham:8}{spam:8} {mark}{', '.join(fact for fact in FindingKind if fact in facts) or 'nothing'}"


def judgement(title: str, contacts: list[Contact]) -> Iterator[str]:
    """Return the delayed contacts and clients, by reason and by month."""
    delayed = [contact for contact in contacts if contact.reason]
    clients = {(contact.label, contact.request.client_address): contact for contact in reversed(contacts)}.values()
    yield head(title)
    yield row("first contacts delayed", labels(delayed), labels(contacts))
    yield row("clients delayed the first time", labels(c for c in clients if c.reason), labels(clients))
    yield from _grouped(delayed, contacts, lambda contact: contact.reason, by_all=True)
    yield from _grouped(delayed, contacts, lambda contact: contact.month, by_all=False)


def _grouped(delayed: list[Contact], contacts: list[Contact], group: Group, *, by_all: bool) -> Iterator[str]:
    """Return a row for each group of delayed contacts, as a share of all contacts or of those of the same group."""
    groups = {group(contact) for contact in (delayed if by_all else contacts)}
    for name in sorted(groups, key=str):
        whole = contacts if by_all else [contact for contact in contacts if group(contact) == name]
        yield row(f"  {name}", labels(contact for contact in delayed if group(contact) == name), labels(whole))


def passing_spam(contacts: list[Contact]) -> Iterator[str]:
    """Return the clients that send most of the passing spam."""
    passed = Counter(
        (c.request.client_address, c.request.client_name) for c in contacts if c.label == "spam" and not c.reason
    )
    yield f"spam that passes: {passed.total()} contacts of {len(passed)} clients, most of"
    for (address, name), count in passed.most_common(5):
        yield f"{count:8}  {name} [{address}]"


def delayed_ham(contacts: list[Contact]) -> Iterator[str]:
    """Return each delayed ham: client, HELO, sender, recipient's domain, findings."""
    yield "ham that is delayed"
    for contact in contacts:
        if contact.label == "ham" and contact.reason:
            request, found = contact.request, ", ".join(fact for fact in FindingKind if fact in contact.facts)
            client = f"{request.client_name} [{request.client_address}], HELO {request.helo_name}"
            domains = [address.rpartition("@")[2] or "<>" for address in (request.sender, request.recipient)]
            yield f"  {client}, from {domains[0]} to {domains[1]}: {found}"


def memory(sessions: list[Replayed]) -> Iterator[str]:
    """Return what is delayed by itself and with memory, in each unit; and the reasons of first contacts with memory."""
    yield head("delayed, in the order of time")
    for unit, is_counted in UNITS.items():
        counted = [session for session in sessions if is_counted(session)]
        totals = Counter(session.label for session in counted)
        for title, is_delayed in WAYS.items():
            yield row(f"{unit}{title}", Counter(each.label for each in counted if is_delayed(each)), totals)
    yield ""
    contacts = [session for session in sessions if session.is_first_contact]
    yield head("reasons of first contacts")
    for reason in sorted({session.reason for session in contacts}):
        counts = Counter(session.label for session in contacts if session.reason == reason)
        yield row(f"  {reason}", counts, Counter(session.label for session in contacts))


def report(sessions: list[dict[str, str]], replayed: list[Replayed], scores: Scores, console: Console) -> Iterator[str]:
    """Return the whole report."""
    by_bley2, by_scores = (
        [
            judged(session, each)
            for session in track(sessions, str(each), console=console, disable=not console.is_terminal)
        ]
        for each in (BLEY2, scores)
    )
    for part in (
        findings(by_scores),
        combinations(by_scores),
        judgement("scores = bley2", by_bley2),
        judgement(f"scores = {scores}", by_scores),
        memory(replayed) if replayed else ["no memory: no session has a date"],
        passing_spam(by_scores),
        delayed_ham(by_scores),
    ):
        yield from part
        yield ""


@click.command(help=__doc__)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--scores", "text", default="default", help="Compared with those of bley 2, as in bley.conf.")
def main(file: Path, text: str) -> None:
    """Judge the sessions of the file and print the report."""
    try:
        scores = parse_scores(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--scores") from error
    sessions, console = list(first_contacts(file)), Console(stderr=True)
    totals = Counter(session["label"] for session in sessions)
    click.echo(f"{totals['ham']} first contacts of ham, {totals['spam']} of spam\n")
    dated = [facts for line in lines_of(file) if (facts := read_session(line.encode(), "", "", _LATEST))]
    replayed = list(
        track(replay(dated, scores), "memory", len(dated), console=console, disable=not console.is_terminal)
    )
    for line in report(sessions, replayed, scores, console):
        click.echo(printable(line.rstrip()))


if __name__ == "__main__":
    main()
