"""core.history.search and the SQL store: SQL finds exactly what `fits` accepts, for any text and any stored mail."""

import asyncio
import random
import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from bley.core.decision import Decision, DecisionEntry
from bley.core.greylist import Lifetimes, Sighting, Status
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, Search
from bley.core.mail import Request, Triplet, parse_address
from bley.core.reasons import Reason
from bley.core.triplet import TripletRules, bounded
from bley.settings.database import parse_database
from bley.store.opening import open_engine, open_history
from tests.fuzz.fields import SEPARATOR, Fields
from tests.fuzz.harness import Harness
from tests.searched import ADDRESSES, LABELS

_RULES = TripletRules()
_NOW = datetime(2026, 11, 26, tzinfo=UTC)
_NUMBER = 60
"""The number of decisions, and of records, stored for every input."""
_MOST = 10 * _NUMBER
_LONGEST = 500


def check(data: bytes) -> None:
    """Check a text, and one more stored mail: client, name, HELO, sender, recipient."""
    fields = Fields(data)
    text = fields.text()[:_LONGEST]
    request = Request("RCPT", "", *(fields.text()[:_LONGEST] for _ in range(5)))
    _store().check(text, request if any(request[2:]) else None)


class _Filled:
    """A SQLite database with many combinations of a few words."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bley-fuzz-")
        self._file = Path(self._folder.name) / "bley.db"
        database = parse_database(f"sqlite:///{self._file}")
        self._runner = asyncio.Runner()
        self._engine = open_engine(database)
        self._runner.run(self._engine.prepare())
        chance = random.Random(4711)
        requests = [_any_request(chance) for _ in range(_NUMBER)]
        self._runner.run(self._keep(requests, map(_triplet, requests)))
        self._triplets = frozenset(self._runner.run(self._all_triplets()))
        self._history = open_history(database)
        with closing(sqlite3.connect(self._file)) as connection:
            query = "SELECT (SELECT max(id) FROM decisions), (SELECT max(last_seen) FROM triplets)"
            ((self._last_decision, self._last_seen),) = connection.execute(query)

    async def _keep(self, requests: Sequence[Request], triplets: Iterable[Triplet], days: int = 0) -> None:
        kept = [
            DecisionEntry(_NOW, "pass", Decision(each, Reason.CLEAN), each.sender, each.recipient) for each in requests
        ]
        await self._engine.add_decisions(kept, {})
        sightings = [
            Sighting(triplet, Status.CLEAN, _NOW + timedelta(days=days, seconds=number), Lifetimes())
            for number, triplet in enumerate(triplets)
        ]
        await self._engine.transact(sightings, [])

    def check(self, text: str, request: Request | None) -> None:
        """Search for the text with this mail stored as well."""
        if request:
            self._runner.run(self._keep([request], {_triplet(request)} - self._triplets, days=1))
        try:
            self._runner.run(self._check(Search(text, _RULES)))
        finally:
            if request:
                self._forget()

    async def _check(self, search: Search) -> None:
        query = DecisionQuery(search)
        everything = await self._history.decisions(DecisionQuery(), _MOST)
        expected = [decision.number for decision in everything if query.fits(decision)]
        assert [each.number for each in await self._history.decisions(query, _MOST)] == expected, "other decisions"
        assert [each.number for each in await self._history.decisions(query, 3)] == expected[:3], "other first ones"
        by_recipient = DecisionQuery(recipients=frozenset([search.text.casefold()]))
        expected = [decision.number for decision in everything if by_recipient.fits(decision)]
        assert [each.number for each in await self._history.decisions(by_recipient, _MOST)] == expected, (
            "other recipients"
        )
        records = await self._all_triplets()
        fitting = {triplet for triplet in records if search.fits_triplet(triplet)}
        found = [triplet for triplet, _ in await self._history.records(RecordQuery(search), _MOST)]
        assert len(found) == len(set(found)), "a record twice"
        assert set(found) == fitting, f"missing {fitting - set(found)}, too many {set(found) - fitting}"
        assert len(await self._history.records(RecordQuery(search), 2)) == min(len(fitting), 2), "other first records"

    async def _all_triplets(self) -> list[Triplet]:
        return [triplet async for portion in self._engine.records() for triplet, _ in portion]

    def _forget(self) -> None:
        """Delete all but the mail that is there for every input."""
        with closing(sqlite3.connect(self._file, timeout=10)) as connection:
            connection.execute("DELETE FROM decisions WHERE id > ?", [self._last_decision])
            connection.execute("DELETE FROM triplets WHERE last_seen > ?", [self._last_seen])
            connection.commit()


@cache
def _store() -> _Filled:
    return _Filled()


def _triplet(request: Request) -> Triplet:
    address = parse_address(request.client_address)
    client = _RULES.client(address, "") if address else bounded(request.verified_name.casefold()) or "x"
    return Triplet(client, _RULES.sender(request.sender), _RULES.recipient(request.recipient))


def _any_request(chance: random.Random) -> Request:
    def name() -> str:
        return ".".join(chance.choices(LABELS, k=chance.randrange(4)))

    def mail() -> str:
        local = "".join(chance.choices(["jane", "Jane", "-", "7", "+x", "prvs=1=", "SRS0=h=t=", "#", "ü", "%"], k=3))
        return chance.choice(["", local, f"{local}@{name()}", f"{local}@{name()}"])

    address = chance.choice([*ADDRESSES, "192.0.2.0/24", "2001:db8::/64"])
    return Request("RCPT", "", address, name(), name(), mail(), mail(), chance.choice(["", "1.2.0"]), "4Xy")


def _seed(text: str, *mail: str) -> bytes:
    return SEPARATOR.join([text.encode(), *(each.encode() for each in mail)])


HARNESS = Harness(
    check,
    seeds=[
        _seed("example.com"),
        _seed("jane@example.com"),
        _seed("192.0.2.0/24"),
        _seed("2001:db8::/32"),
        _seed("::ffff:192.0.2.7"),
        _seed(""),
        _seed("1.2.0"),
        _seed("a%b"),
        _seed("<jane+x@c_d>", "192.0.2.7", "mx.c_d", "x", "prvs=1=Jane+y@c_d", "e\\f@g!h"),
        _seed("mail.example", "::1", "MAIL.EXAMPLE.", "mail.example.", "", "#@mail.example"),
    ],
    finds={
        "a dot": _seed("."),
        "an at sign": _seed("@"),
        "an at sign in a bracket": _seed("<@"),
        "an at sign before a network": _seed("@192.0.2.0/24"),
        "a sharp s": _seed("Straße@x.example", "192.0.2.7", "", "", "", "Straße@x.example"),
        "an umlaut in upper case": _seed("JÜRGEN@x.example", "192.0.2.7", "", "", "JÜRGEN@x.example", "b@x.example"),
        "a final sigma": _seed("ΟΔΥΣΣΕΥΣ@x.example", "192.0.2.7", "", "", "ΟΔΥΣΣΕΥΣ@x.example", "x@x.example"),
        "a record whose key is empty": _seed("", "S", "\0"),
        "everything": _seed("::/0"),
    },
    words=[
        *(label.encode() for label in LABELS if label),
        b"@",
        b"<",
        b">",
        b"::",
        b"192.0.2.",
        b"/24",
        b"%",
        b"_",
        SEPARATOR,
    ],
    longest=600,
)
