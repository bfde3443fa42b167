"""A store with made-up but plausible mail, for the screenshots of the dashboard.

There is more mail by day than by night. Known mail passes, and the checks themselves judge strangers. Of the deferred
clients, servers retry and most others never do.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from itertools import chain
from typing import NamedTuple

from bley.checks.request import check_request
from bley.core.decision import Decision, DecisionEntry
from bley.core.dnslists.lists import Answer, DnsList, ListAnswer, Meaning, parse_dns_lists
from bley.core.evidence import Evidence, Finding
from bley.core.findings import Check
from bley.core.greylist import Lifetimes, Record, Sighting, Standing, Status, Timing
from bley.core.history.domain_counts import DAY_SECONDS, counted_domains, domain_events, split_domains
from bley.core.history.list_counts import ListEvent, cause_with_lists, latency_kind, list_kind
from bley.core.history.nodes import node_keys
from bley.core.history.statistics import Count, count_keys
from bley.core.mail import Request, Triplet, parse_address
from bley.core.policy import Thresholds, decisive_lists, judge
from bley.core.reasons import Reason
from bley.store.engine import Engine, counts_per_span

__all__ = ["DNSBL", "fill", "strangers"]

DNSBL = "zen.spamhaus.org"
_SECOND = "bl.spamcop.net"
"""A list with some of the same clients."""
_SECOND_SHARE = 0.4
_SAYS = "https://www.spamhaus.org/query/ip/"
_TIMING = Timing()
_LISTED_SHARE = 0.55
_SERVERS = ("mx1.mailing-lists.example", "out.shop.example", "mail.university.example", "smtp3.bank.example",
            "mta7.newsletter.example", "mail.bakery.example", "relay.city.example")  # fmt: skip
_CARELESS = ("school.example", "clinic.example", "hotel.example", "choir.example", "architects.example", "farm.example")
"""Senders' domains whose servers have a wrong name, the most active first."""
_CARELESS_SHARE = 0.06
_SENDERS = ("anna", "orders", "newsletter", "no-reply", "carlos", "billing", "mei.lin", "support")
_RECIPIENTS = ("jane", "omar", "info", "sales", "li.wei", "hanna", "office")
_DOMAINS = ("example.org", "example.org", "example.org", "museum.example", "dentist.example")
"""The recipients' domains, one as often as it is here."""
_BATCH = 2000


class Mail(NamedTuple):
    """A mail to one recipient: its properties, and the delays of its sender's retries."""

    request: Request
    is_known: bool
    retries: Sequence[timedelta]


def strangers(chance: random.Random, number: int) -> Iterator[Request]:
    """Yield requests of unknown clients, most of them suspicious."""
    for _ in range(number):
        yield _spam(chance) if chance.random() < 0.6 else _ham(chance, stranger=True)


def _mail(chance: random.Random) -> Mail:
    if chance.random() < 0.42:
        is_stubborn = chance.random() < 0.12
        return Mail(_spam(chance), False, _retries(chance, 2) if is_stubborn else ())
    if chance.random() < 0.8:
        return Mail(_ham(chance, stranger=False), True, ())
    return Mail(_ham(chance, stranger=True), False, _retries(chance, 4))


def _retries(chance: random.Random, number: int) -> list[timedelta]:
    """Return retry times as of a mail queue: short intervals first, then longer ones."""
    times, wait = [], chance.choice((2, 5, 10, 15, 30))
    for _ in range(number):
        times.append(timedelta(minutes=wait * chance.uniform(1, 1.4)))
        wait *= chance.choice((2, 3, 4))
    return times


def _ham(chance: random.Random, *, stranger: bool) -> Request:
    name = chance.choice(_SERVERS)
    domain = name.partition(".")[2]
    if stranger:
        domain = f"{chance.choice(('atelier', 'garden', 'office', 'team'))}{chance.randrange(900)}.example"
        if chance.random() < _CARELESS_SHARE:
            domain = _CARELESS[int(len(_CARELESS) * chance.random() ** 2)]
        name = f"mail.{domain}"
    is_careful = domain not in _CARELESS and chance.random() < 0.97
    helo = name if is_careful else f"web{chance.randrange(20)}.local"
    return _request(chance, f"198.51.{chance.randrange(90, 110)}.{chance.randrange(1, 255)}", name, helo, domain)


def _spam(chance: random.Random) -> Request:
    address = f"203.0.{chance.randrange(100, 120)}.{chance.randrange(1, 255)}"
    dynamic = f"dsl-{address.replace('.', '-')}.pool.telecom.example"
    name = chance.choice(("unknown", dynamic, dynamic, f"vps{chance.randrange(900)}.hosting.example"))
    helo = chance.choice(
        (dynamic, "friend", "localhost.localdomain", address, f"vps{chance.randrange(900)}.hosting.example")
    )
    return _request(chance, address, name, helo, f"offers{chance.randrange(400)}.example")


def _request(chance: random.Random, address: str, name: str, helo: str, domain: str) -> Request:
    return Request(
        protocol_state="RCPT",
        client_address=address,
        client_name=name,
        helo_name=helo,
        sender=f"{chance.choice(_SENDERS)}@{domain}",
        recipient=f"{chance.choice(_RECIPIENTS)}@{chance.choice(_DOMAINS)}",
        instance=f"{chance.randrange(0x1000, 0xFFFF):x}.{chance.randrange(0x10000000, 0xFFFFFFFF):x}.0",
    )


async def fill(engine: Engine, now: datetime, length: timedelta, number: int) -> None:
    """Fill the store with this number of mails over this time until now."""
    await engine.prepare()
    chance, counts, by_day = random.Random(5), Counter[tuple[int, str, str]](), Counter[Count]()
    kept = sorted(_history(chance, now, length, number), key=lambda each: each.at)
    for begin in range(0, len(kept), _BATCH):
        batch = kept[begin : begin + _BATCH]
        await engine.add_decisions(batch, {})
        await engine.transact([sighting for each in batch if (sighting := _sighting(each))], [])
    for each in kept:
        keys = count_keys(each.decision, each.outcome), node_keys(each), _list_keys(each.decision)
        for kind, name in chain(*keys):
            counts[int(each.at.timestamp()) // 60, kind, name] += 1
        by_day.update(_domain_counts(each))
    numbers = [*counts_per_span(counts).items(), *by_day.items()]
    for begin in range(0, len(numbers), _BATCH):
        await engine.add_decisions([], dict(numbers[begin : begin + _BATCH]))


def _domain_counts(kept: DecisionEntry) -> Iterator[Count]:
    day = int(kept.at.timestamp()) // DAY_SECONDS * DAY_SECONDS
    for side, domain in split_domains(counted_domains(kept.sender, kept.recipient)):
        for event in domain_events(kept.decision, kept.outcome):
            yield Count(DAY_SECONDS, day, f"{side}-{event}", domain)


def _history(chance: random.Random, now: datetime, length: timedelta, number: int) -> Iterator[DecisionEntry]:
    lists = parse_dns_lists(f"{DNSBL} {_SECOND}")
    for _ in range(number):
        at = _moment(chance, now, length)
        mail = _mail(chance)
        for decision, when in _decisions(chance, mail, at, lists):
            if when < now:
                yield DecisionEntry(
                    when,
                    decision.outcome(observes=False),
                    decision,
                    decision.request.sender,
                    decision.request.recipient,
                    node="mx2" if int(when.timestamp()) % 3 else "mx1",
                )


def _moment(chance: random.Random, now: datetime, length: timedelta) -> datetime:
    """Return a random instant: by day three times as often as by night, and at weekends half as often."""
    while True:
        at = now - length * chance.random()
        likely = 0.55 + 0.45 * math.sin((at.hour + at.minute / 60 - 8) / 24 * 2 * math.pi)
        if chance.random() < likely * (0.5 if at.weekday() >= 5 else 1):
            return at


def _decisions(
    chance: random.Random, mail: Mail, at: datetime, lists: Sequence[DnsList]
) -> Iterator[tuple[Decision, datetime]]:
    request = mail.request
    if mail.is_known:
        yield Decision(request, Reason.KNOWN), at
        return
    address = parse_address(request.client_address)
    assert address
    is_spammer = request.client_address.startswith("203.")
    is_listed = is_spammer and chance.random() < _LISTED_SHARE
    listing = lists[: 1 + (chance.random() < _SECOND_SHARE)] if is_listed else ()
    pool = f"{request.client_address.rpartition('.')[0]}.0/24" if is_spammer else request.client_name.partition(".")[2]
    triplet = Triplet(pool, request.sender, request.recipient)
    evidence: Evidence = {**check_request(request, address), Check.DNSBL: _finding(lists, listing)}
    status, reason = judge(evidence, Thresholds())
    if status is not Status.GREYLISTED:
        yield Decision(request, reason, triplet=triplet, standing=Standing.NEW, evidence=evidence), at
        return
    wait, cause = _TIMING.wait(0), cause_with_lists(reason, decisive_lists(evidence, Thresholds()))
    yield (
        Decision(request, reason, True, triplet, standing=Standing.NEW, evidence=evidence, wait=wait, cause=reason),
        at,
    )
    yield from _comes_back(mail, triplet, at, cause)


def _comes_back(mail: Mail, triplet: Triplet, at: datetime, cause: str) -> Iterator[tuple[Decision, datetime]]:
    for attempts, after in enumerate(mail.retries):
        record = Record(Status.GREYLISTED, at, at, attempts, cause)
        left = _TIMING.remaining(record, at + after)
        if left < timedelta(0):
            yield (
                Decision(
                    mail.request, Reason.WAITED, False, triplet, record, Standing.WAITED, delayed=after, cause=cause
                ),
                at + after,
            )
            return
        yield (
            Decision(mail.request, Reason.EARLY, True, triplet, record, Standing.EARLY, wait=left, cause=cause),
            at + after,
        )


def _finding(lists: Sequence[DnsList], listing: Sequence[DnsList]) -> Finding:
    answer = Answer(Meaning.LISTED, (IPv4Address("127.0.0.4"),))
    answers = [
        ListAnswer(each, answer, _SAYS) if each in listing else ListAnswer(each, Answer(Meaning.CLEAR))
        for each in lists
    ]
    return Finding(len(listing), "", tuple(answers))


def _list_keys(decision: Decision) -> Iterator[tuple[str, str]]:
    """Yield kind and name of the counts of DNS lists, as the daemon makes them (service.decisive_lists)."""
    for each in decision.evidence[Check.DNSBL].answers if decision.evidence else ():
        yield list_kind(Check.DNSBL, ListEvent.QUERIES), each.dns_list.name
        yield latency_kind(0.015), each.dns_list.name
        if each.weight:
            yield list_kind(Check.DNSBL, ListEvent.LISTED), each.dns_list.name
    for check, name in decisive_lists(decision.evidence, Thresholds()):
        yield list_kind(check, ListEvent.ALONE), name


def _sighting(kept: DecisionEntry) -> Sighting | None:
    decision = kept.decision
    if decision.triplet is None:
        return None
    status = Status.GREYLISTED if decision.defers else Status.CLEAN
    attempts = 1 if decision.reason is Reason.EARLY else 0
    return Sighting(decision.triplet, status, kept.at, Lifetimes(), attempts, cause=decision.cause)
