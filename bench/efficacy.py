"""The value of each finding in real mail, from the first contacts in a file of labelled sessions.

    .venv/bin/python bench/efficacy.py sessions.jsonl.gz [--scores 'helo-half-match=0']

The file has one JSON object a line: `label` (ham or spam), `client_address`, `client_name`, `helo_name`, `sender`,
`recipient`, and optionally `date`. A first contact is the first session of its (client_address, sender, recipient).
Each is judged as `bley try` judges a stranger (`judge_offline`), with the default thresholds. There is
no DNS, so no lists and no SPF, no cache of judged clients, no exemptions and no name of our own.

All shares are printed with their 95 % interval (Wilson's score). The tables show: the hits of each finding, alone and
together with others; the judgement by bley 2's scores and by the default (or `--scores`), by reason, by month, and by
client, since one host that sends one mail to thousands is one host; the sources of the spam that passes; and each
delayed ham, for inspection. At the end the sessions are judged in the order of time, with the memory of the daemon,
without and with relations: delayed messages, relations (triplets with a delayed message), and first contacts.
"""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import sqrt
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from bley.checks.helo import OwnIdentity
from bley.core.findings import AnyReason, FindingKind
from bley.core.greylist import Status
from bley.core.mail import Request, parse_address
from bley.core.policy import Thresholds
from bley.core.scores import BLEY2, Scores, parse_scores
from bley.log.decision_line import printable
from bley.settings.file import Configuration, load
from bley.settings.settings import Settings
from bley.trial.facts import HAM, Facts
from bley.trial.judging import judge_offline
from bley.trial.sessions import SESSION_FIELDS, read_session
from bley.trial.trial import Trial, run_now

LABELS = ("ham", "spam")
_NO_RELATIONS = {"known_pairs": "0", "auto_known": "0", "known_by_spf": "0", "correspondent_days": "0"}
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


def first_contacts(file: Path) -> Iterator[dict[str, str]]:
    """Yield the sessions of `file` that no session with the same triplet precedes."""
    seen = set()
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        for line in lines:
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


def with_memory(title: str, sessions: Iterable[Facts], configuration: Configuration) -> Iterator[str]:
    """Return what is delayed in the order of time, by the nine steps with their memory, as `bley try` judges."""
    trial = Trial(configuration, OwnIdentity())
    whole, part = (defaultdict[str, Counter[str]](Counter) for _ in range(2))
    relations: dict[tuple[str, object], bool] = {}
    contacts = set()
    for facts in sessions:
        decision = run_now(trial.judge(facts))
        contact = facts.client_address, facts.sender.lower(), facts.recipient.lower()
        units = ["messages"] if contact in contacts else ["messages", "first contacts"]
        contacts.add(contact)
        for unit in units:
            whole[unit][facts.label] += 1
            part[unit][facts.label] += decision.defers
        relation = facts.label, decision.triplet or contact
        relations[relation] = relations.get(relation, False) or decision.defers
    for (label, _), is_delayed in relations.items():
        whole["relations"][label] += 1
        part["relations"][label] += is_delayed
    yield head(title)
    yield from (row(f"  {unit}", part[unit], whole[unit]) for unit in ("messages", "relations", "first contacts"))


def in_order(file: Path) -> list[Facts]:
    """Return all sessions with a date, in the order of time."""
    opener = gzip.open if file.suffix == ".gz" else open
    latest = int(datetime.now(UTC).timestamp())
    with opener(file, "rb") as lines:
        facts = (read_session(line, HAM, str(file), latest) for line in lines)
        return sorted((each for each in facts if each), key=lambda each: each.at)


def report(sessions: list[dict[str, str]], scores: Scores, console: Console) -> Iterator[str]:
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
    sessions = list(first_contacts(file))
    totals = Counter(session["label"] for session in sessions)
    click.echo(f"{totals['ham']} first contacts of ham, {totals['spam']} of spam\n")
    for line in report(sessions, scores, Console(stderr=True)):
        click.echo(printable(line.rstrip()))
    dated, defaults = in_order(file), load(None)
    for title, settings in (("memory, without relations", _NO_RELATIONS), ("memory and relations", {})):
        chosen = replace(defaults, settings=Settings.model_validate({"scores": text, **settings}))
        for line in with_memory(title, dated, chosen):
            click.echo(line.rstrip())


if __name__ == "__main__":
    main()
