"""A search finds exactly the matches that core.history.search defines, on each kind of store.

Conditions in a database only reduce the rows to read.
"""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bley.core.decision import DecisionEntry
from bley.core.greylist import Lifetimes, Record
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, Search, StoredDecision
from bley.core.mail import Triplet
from bley.settings.database import parse_database
from bley.store.history import History
from bley.store.opening import open_engine, open_history
from bley.store.redis_history import RedisHistory
from tests.fake_redis import FakeRedisClient
from tests.searched import ADDRESSES, LABELS, LOCALS, NASTY, NETWORKS, NOW, RULES, some_decisions, some_records

labels = st.sampled_from(LABELS)
names = st.lists(labels, max_size=3).map(".".join)
locals_ = st.builds("".join, st.lists(st.sampled_from(LOCALS), max_size=4))
mails = st.builds("{}@{}".format, locals_, names) | st.just("")
texts = names | mails | st.sampled_from(ADDRESSES + NETWORKS + NASTY) | st.text(max_size=4)


class Filled:
    """A store of 250 decisions and of 250 records, with many combinations of a few words."""

    def __init__(self, folder: Path, kind: str) -> None:
        kept, records = some_decisions(250), some_records(250)
        self._runner = asyncio.Runner()
        self._history: History
        if kind == "sqlite":
            database = parse_database(f"sqlite:///{folder}/bley.db")
            self._runner.run(_fill(f"sqlite:///{folder}/bley.db", kept, records))
            self._history = open_history(database)
        else:
            self._history = RedisHistory("redis", FakeRedisClient(kept, records))
        self.all_decisions = self.decisions(DecisionQuery(), 1000)
        self.all_records = sorted(records.items(), key=lambda record: record[1].last_seen, reverse=True)

    def decisions(self, query: DecisionQuery, limit: int, before: str = "") -> list[StoredDecision]:
        return list(self._runner.run(self._history.decisions(query, limit, before)))

    def records(self, search: Search, limit: int) -> list[tuple[Triplet, Record]]:
        return list(self._runner.run(self._history.records(RecordQuery(search), limit)))

    def close(self) -> None:
        self._runner.run(self._history.close())
        self._runner.close()


async def _fill(url: str, kept: Sequence[DecisionEntry], records: dict[Triplet, Record]) -> None:
    engine = open_engine(parse_database(url))
    await engine.prepare()
    await engine.add_decisions(kept, {})
    await engine.unite(list(records.items()), NOW, Lifetimes())
    await engine.close()


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    filled = Filled(tmp_path_factory.mktemp("history"), request.param)
    yield filled
    filled.close()


def _check(filled: Filled, text: str) -> None:
    search = Search(text, RULES)
    query = DecisionQuery(search)
    expected = [decision.number for decision in filled.all_decisions if query.fits(decision)]
    assert [decision.number for decision in filled.decisions(query, 1000)] == expected
    assert [decision.number for decision in filled.decisions(query, 3)] == expected[:3]
    if len(expected) > 3:
        assert [decision.number for decision in filled.decisions(query, 3, expected[2])] == expected[3:6]
    records = [record for record in filled.all_records if search.fits_triplet(record[0])]
    assert filled.records(search, 1000) == records
    assert filled.records(search, 3) == records[:3]


@settings(max_examples=settings().max_examples // 4)  # each reads all decisions several times
@given(texts)
@example("x" * 150 + "jane" + "x" * 150 + "@com")
def test_all_that_is_meant_is_found(filled: Filled, text: str) -> None:
    _check(filled, text)


@pytest.mark.parametrize("text", ADDRESSES + NETWORKS + NASTY)
def test_nasty_texts(filled: Filled, text: str) -> None:
    _check(filled, text)


def test_what_stands_in_the_store_finds_itself(filled: Filled) -> None:
    for decision in filled.all_decisions[::50]:
        for text in (decision.sender, decision.recipient, decision.client_name, decision.helo_name):
            _check(filled, text)
    for triplet, _ in filled.all_records[::50]:
        for text in triplet:
            _check(filled, text)


@pytest.mark.parametrize("text", [".", "@", "<@", "<@>", "@.", "..", "<", ">", "\u3002"])
def test_an_empty_domain_fits_none(filled: Filled, text: str) -> None:
    search = Search(text, RULES)
    assert not search.addresses
    assert [each for each in filled.all_decisions if search.fits(each) and search.word not in each] == []
    assert filled.records(search, 1000) == []
