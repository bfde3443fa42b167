"""A SQL database finds what core.search says is meant, and nothing else: its conditions only spare reading the rest."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bley.core.decision import Decision, KeptDecision
from bley.core.mail import Request, Triplet
from bley.core.policy import Reason
from bley.core.search import DecisionQuery, Search, StoredDecision
from bley.core.triplet import TripletRules
from bley.database import parse_database
from bley.store.opening import open_engine, open_history

RULES = TripletRules()
LABELS = ["mail", "Mx", "example", "EXAMPLE", "com", "a%b", "c_d", "über", "x-1", "#", "4711", "a/b", "", "e\\f", "g!h"]
ADDRESSES = ["192.0.2.7", "192.0.20.7", "::ffff:192.0.2.7", "2001:db8::7", "2001:db8:0:1::7", "2001:db80::7", "x", ""]
NETWORKS = ["192.0.2.0/24", "192.0.0.0/11", "2001:db8::/32", "2001:db8:0:1::/64", "2001:db8::/31", "::/3", "0.0.0.0/1"]

labels = st.sampled_from(LABELS)
names = st.lists(labels, max_size=3).map(".".join)
locals_ = st.builds(
    "".join, st.lists(st.sampled_from(["jane", "-", "7", "+x", "prvs=1=", "SRS0=h=t=", "#", "ü", "%"]), max_size=4)
)
mails = st.builds("{}@{}".format, locals_, names) | st.just("")
texts = names | mails | st.sampled_from(ADDRESSES + NETWORKS) | st.text(max_size=4)


def _mail(chance: random.Random) -> str:
    parts = ["jane", "Jane", "-", "7", "+x", "prvs=1=", "SRS0=h=t=", "#", "ü", "%"]
    return f"{''.join(chance.choices(parts, k=chance.randrange(4)))}@{_name(chance)}" if chance.random() < 0.9 else ""


def _name(chance: random.Random) -> str:
    return ".".join(chance.choices(LABELS, k=chance.randrange(4)))


def _kept(chance: random.Random) -> KeptDecision:
    instance, queue_id = chance.choice(["", "1.2.0", "x-1"]), chance.choice(["", "4Xy", "mail"])
    request = Request(
        "RCPT",
        "",
        chance.choice(ADDRESSES),
        _name(chance),
        _name(chance),
        _mail(chance),
        _mail(chance),
        instance,
        queue_id,
    )
    triplet = Triplet("client", request.sender, request.recipient)
    decision = Decision(request, Reason.CLEAN, triplet=triplet)
    return KeptDecision(datetime(2026, 11, 26, tzinfo=UTC), "pass", decision, request.sender, request.recipient)


class Filled:
    """A database of 500 decisions, in which the same few words come again and again."""

    def __init__(self, file: Path) -> None:
        self._runner = asyncio.Runner()
        self._runner.run(_fill(file))
        self._history = open_history(parse_database(f"sqlite:///{file}"))
        self.everything = self.find(DecisionQuery(), 1000)

    def find(self, query: DecisionQuery, limit: int) -> list[StoredDecision]:
        return list(self._runner.run(self._history.decisions(query, limit)))

    def close(self) -> None:
        self._runner.run(self._history.close())
        self._runner.close()


async def _fill(file: Path) -> None:
    engine = open_engine(parse_database(f"sqlite:///{file}"))
    await engine.prepare()
    chance = random.Random(4711)
    await engine.keep([_kept(chance) for _ in range(500)], {})
    await engine.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    filled = Filled(tmp_path_factory.mktemp("history") / "bley.db")
    yield filled
    filled.close()


@given(texts)
def test_all_that_is_meant_is_found(filled: Filled, text: str) -> None:
    query = DecisionQuery(Search(text, RULES))
    expected = [decision.number for decision in filled.everything if query.fits(decision)]
    assert [decision.number for decision in filled.find(query, 1000)] == expected
    assert [decision.number for decision in filled.find(query, 3)] == expected[:3]
