"""Labeled sessions in the order of time, each judged by itself, and with the memory that bley would have had.

The memory is that of `bley try`: the daemon's nine steps, in which deferred ham is retried and spam is not. What is
delayed is counted in three units:

    first contacts   the first session of each client address, sender and recipient
    relations        the first session of each triplet, as bley compares them: a pool of servers is one client
    messages         all sessions
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from bley.checks.helo import NO_IDENTITY
from bley.core.greylist import Status
from bley.core.mail import parse_address
from bley.core.names.host_kind import server_domain
from bley.core.policy import Thresholds
from bley.core.scores import Scores
from bley.settings.file import load
from bley.trial.facts import Facts
from bley.trial.judging import judge_offline
from bley.trial.trial import Trial, run_now

__all__ = ["UNITS", "WAYS", "Replayed", "replay"]


_NO_RELATIONS = {"known_pairs": False, "auto_known": 0, "known_by_spf": False, "correspondent_days": timedelta(0)}


@dataclass(frozen=True, slots=True)
class Replayed:
    """A session, and what happens to it."""

    label: str
    is_first_contact: bool
    is_first_of_relation: bool
    is_delayed_by_itself: bool
    is_delayed_without_relations: bool
    """With the memory of the triplets before."""
    is_delayed: bool
    """With the relations to all sessions before, too."""
    reason: str
    """The reason with them."""


UNITS: dict[str, Callable[[Replayed], bool]] = {
    "first contacts": lambda session: session.is_first_contact,
    "relations": lambda session: session.is_first_of_relation,
    "messages": lambda session: True,
}


WAYS: dict[str, Callable[[Replayed], bool]] = {
    ", each by itself": lambda session: session.is_delayed_by_itself,
    ", without relations": lambda session: session.is_delayed_without_relations,
    ", with memory": lambda session: session.is_delayed,
}


def replay(sessions: Iterable[Facts], scores: Scores) -> Iterator[Replayed]:
    """Judge the sessions in the order of time."""
    configuration = load(None).overridden({"scores": scores})
    trial, rules = Trial(configuration, NO_IDENTITY), configuration.settings.triplet_rules
    without_relations = Trial(configuration.overridden(_NO_RELATIONS), NO_IDENTITY)
    contacts, relations = set[tuple[str, str, str]](), set[tuple[str, str, str]]()
    for facts in sorted(sessions, key=lambda facts: facts.at):
        address = parse_address(facts.client_address)
        if address is None:
            raise ValueError(f"{facts.client_address!r} is no address")
        _, (status, _) = judge_offline(facts.request, address, Thresholds(), scores)
        decision = run_now(trial.judge(facts))
        contact = (facts.client_address, facts.sender.lower(), facts.recipient.lower())
        client = rules.client(address, server_domain(facts.request.verified_name, address))
        relation = (client, rules.sender(facts.sender), rules.recipient(facts.recipient))
        yield Replayed(
            label=facts.label,
            is_first_contact=contact not in contacts,
            is_first_of_relation=relation not in relations,
            is_delayed_by_itself=status is Status.GREYLISTED,
            is_delayed_without_relations=run_now(without_relations.judge(facts)).defers,
            is_delayed=decision.defers,
            reason=decision.reason.value,
        )
        contacts.add(contact)
        relations.add(relation)
