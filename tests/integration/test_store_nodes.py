"""Several nodes on one store, on real servers: they are equal, and see each other's changes."""

import asyncio
import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from bley.core.greylist import Record, Status
from bley.core.mail import Request
from bley.ports import utc_now
from bley.settings.database import parse_database
from bley.store.opening import open_engine
from tests.integration.database_server import wait_until
from tests.integration.outages import GREYLISTED, PASSED, Peer, stranger
from tests.integration.running_bley import Bley
from tests.integration.stores import ENGINES, Servers

CONNECTIONS = 4
"""One connection to each node, used at the same time."""

STRANGERS = 200

NEWS_SECONDS = 80.0
"""A node polls every 20 s; this limit is reached only if it does not."""

ANY_MAIL = """\
{"bley": "3.0.0", "format": 1, "privacy": "off"}
{"client": "192.0.2.0/24", "sender": "ANY", "recipient": "ANY", "status": "clean", "first_seen": "TIME", \
"last_seen": "TIME", "attempts": 0}
"""
"""The record that `bley import postgrey` makes for a client on its whitelist."""


class Nodes:
    """Two nodes on the same database."""

    def __init__(self, folder: Path, url: str) -> None:
        self._url = url
        self.bleys = []
        for name in ("one", "two"):
            folder.joinpath(name).mkdir(parents=True)
            # On a busy machine the store may take a second; what bley then defers, it would defer anyway
            self.bleys.append(Bley(folder / name, database=url, on_store_error="defer"))

    def start(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Bley.start, self.bleys))

    def stop(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda bley: bley.__exit__(None, None, None), self.bleys))

    @contextmanager
    def wait_is_over(self) -> Iterator[None]:
        """Let the wait be over for all triplets, however short it was."""
        self._set(greylist_period="0", greylist_penalty="0")
        try:
            yield
        finally:
            self._set(greylist_period="5m", greylist_penalty="1m")

    def _set(self, **settings: str) -> None:
        for bley in self.bleys:
            bley.write_settings(**settings)
            bley.reload()

    def peers(self, stack: ExitStack) -> list[Peer]:
        return [stack.enter_context(Peer(bley.port)) for bley in self.bleys]

    def answers(self, requests: Callable[[int], Sequence[Request]], domain: str) -> list[str]:
        """Return all answers to the requests that each connection sends at the same time; all are logged then."""

        def ask(number: int) -> list[str]:
            with Peer(self.bleys[number % 2].port) as peer:
                return [peer.ask(request).action for request in requests(number)]

        with ThreadPoolExecutor(2 * CONNECTIONS) as pool:
            found = [answer for answers in pool.map(ask, range(2 * CONNECTIONS)) for answer in answers]
        wait_until(lambda: self.count(r"action=[a-z-]+", domain).total() == len(found), "all are logged")
        return found

    def records(self, domain: str) -> dict[str, Record]:
        """Return the records of recipients in this domain; fail if one has several."""
        found = asyncio.run(_records(self._url, domain))
        assert len(dict(found)) == len(found)
        return dict(found)

    def wait_for_statuses(self, domain: str, expected: Mapping[str, Status]) -> dict[str, Record]:
        """Return the records as soon as these recipients, and no others, have these statuses."""
        records: dict[str, Record] = {}

        def statuses() -> dict[str, Status]:
            return {recipient: record.status for recipient, record in records.items()}

        def are_there() -> bool:
            records.clear()
            records.update(self.records(domain))
            return statuses() == expected

        try:
            wait_until(are_there, "what is written behind the answers is there")
        except AssertionError:
            assert not records or statuses() == expected  # shows the difference
            raise
        return records

    def count(self, pattern: str, domain: str) -> Counter[str]:
        """Return the number of matching decisions for each recipient in this domain."""
        line = re.compile(rf"{pattern}, .* recipient=(\w+{domain})(?:,|$)", re.MULTILINE)
        return Counter(recipient for bley in self.bleys for recipient in line.findall(bley.log()))


async def _records(url: str, domain: str) -> list[tuple[str, Record]]:
    engine = open_engine(parse_database(url))
    found = [
        (triplet.recipient, record)
        async for portion in engine.records()
        for triplet, record in portion
        if triplet.recipient.endswith(domain)
    ]
    await engine.close()
    return found


class AllNodes:
    """The nodes of each engine, which start when first needed, and serve many tests."""

    def __init__(self, servers: Servers, folder: Path, stack: ExitStack) -> None:
        self._servers, self._folder, self._stack = servers, folder, stack
        self._running: dict[str, Nodes] = {}

    def on(self, engine: str) -> Nodes:
        if engine not in self._running:
            file = self._folder / "bley.db"
            url = f"sqlite:///{file}" if engine == "sqlite" else self._servers.new_url(engine)
            nodes = self._running[engine] = Nodes(self._folder / engine, url)
            self._stack.callback(nodes.stop)
            nodes.start()
        return self._running[engine]


@pytest.fixture(scope="module")
def all_nodes(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AllNodes]:
    with ExitStack() as stack:
        yield AllNodes(servers, tmp_path_factory.mktemp("nodes"), stack)


@pytest.fixture(params=ENGINES)
def nodes(request: pytest.FixtureRequest, all_nodes: AllNodes) -> Nodes:
    return all_nodes.on(request.param)


def test_who_was_deferred_by_one_passes_at_the_other(nodes: Nodes) -> None:
    """After the wait, whichever node it was; then it is known on both."""
    mail = [stranger("a@wait.example"), stranger("b@wait.example")]
    with ExitStack() as stack:
        peers = nodes.peers(stack)
        assert [peer.ask(request).action for peer, request in zip(peers, mail, strict=True)] == [GREYLISTED] * 2
        others = [partial(peer.ask, request) for peer, request in zip(peers, reversed(mail), strict=True)]
        assert [ask().action for ask in others] == [GREYLISTED] * 2, "it is early there too"
        stack.enter_context(nodes.wait_is_over())
        assert all(ask().action.startswith("action=PREPEND X-Greylist: delayed ") for ask in others)
        nodes.wait_for_statuses("@wait.example", dict.fromkeys(("a@wait.example", "b@wait.example"), Status.CLEAN))
        assert {peer.ask(request).action for peer in peers for request in mail} == {PASSED}


def test_a_client_whose_name_is_lost_at_the_other(nodes: Nodes) -> None:
    """It has waited under its domain; then it has another name at the first one, and is known."""
    named = stranger("x@lost.example")._replace(client_address="198.51.100.77", client_name="mx.lost.example")
    nameless, renamed = named._replace(client_name="unknown"), named._replace(client_name="mx.found.example")
    with ExitStack() as stack:
        one, two = nodes.peers(stack)
        assert [one.ask(named).action, two.ask(nameless).action] == [GREYLISTED] * 2
        stack.enter_context(nodes.wait_is_over())
        assert two.ask(nameless).action.startswith("action=PREPEND X-Greylist: delayed ")
        wait_until(partial(gets, one, PASSED, itertools.repeat(renamed)), "it is known everywhere")
        other_mail = nameless._replace(recipient="y@lost.example")
        assert one.ask(other_mail).action == GREYLISTED


def test_strangers_who_come_to_both_at_once(nodes: Nodes) -> None:
    """One record each; the second attempt is early, and all early retries add up."""
    requests = [stranger(f"x{number}@once.example") for number in range(STRANGERS)]
    answers = nodes.answers(lambda _: requests, "@once.example")
    assert Counter(answers) == {GREYLISTED: 2 * CONNECTIONS * STRANGERS}
    expected = {request.recipient: Status.GREYLISTED for request in requests}
    records = nodes.wait_for_statuses("@once.example", expected)
    early = nodes.count("reason=early", "@once.example")
    assert Counter({recipient: record.attempts for recipient, record in records.items()}) == early


def test_good_and_bad_mail_of_the_same_triplets_at_once(nodes: Nodes) -> None:
    """No update is lost: triplets that passed are clean, the others wait, and all early retries add up."""
    bad = [stranger(f"x{number}@mixed.example")._replace(client_name="mx.example.com") for number in range(STRANGERS)]
    good = [request._replace(helo_name="mx.example.com") for request in bad]

    def requests(number: int) -> Sequence[Request]:
        mine = [*bad, *good]
        random.Random(number).shuffle(mine)
        return mine

    assert Counter(nodes.answers(requests, "@mixed.example")).keys() == {GREYLISTED, PASSED}
    passed = nodes.count("action=pass, reason=clean", "@mixed.example")
    assert 0 < len(passed) < STRANGERS
    expected = {
        request.recipient: Status.CLEAN if request.recipient in passed else Status.GREYLISTED for request in bad
    }
    records = nodes.wait_for_statuses("@mixed.example", expected)
    early = nodes.count("reason=early", "@mixed.example")
    assert Counter({recipient: record.attempts for recipient, record in records.items()}) == early


def test_what_commands_change_both_hear(servers: Servers, all_nodes: AllNodes) -> None:
    """Deleted records, though both nodes cache them; and a client that passes with any mail from now on.

    On all engines at the same time, because each test waits for the next poll.
    """
    every = {engine: all_nodes.on(engine) for engine in ENGINES}
    with ThreadPoolExecutor(len(every)) as pool:
        list(pool.map(change_and_wait, every.values()))


def change_and_wait(nodes: Nodes) -> None:
    known = stranger("x@forget.example")._replace(client_address="203.0.113.1", client_name="mx.example.net")
    strangers = (stranger(f"x{number}@any.example") for number in itertools.count())
    trusted = (request._replace(client_address="192.0.2.2") for request in strangers)
    with ExitStack() as stack:
        peers = nodes.peers(stack)
        assert [peer.ask(known._replace(helo_name="mx.example.net")).action for peer in peers] == [PASSED, PASSED]
        assert [peer.ask(known).action for peer in peers] == [PASSED, PASSED]
        assert [peer.ask(next(trusted)).action for peer in peers] == [GREYLISTED, GREYLISTED]
        wait_until(lambda: bool(nodes.records("@forget.example")), "it is written")
        said = nodes.bleys[0].run("forget", "--client", "example.net", "--yes")
        assert "1 record and 1 relation forgotten" in said
        file = nodes.bleys[0].file.with_name("any")
        file.write_text(ANY_MAIL.replace("TIME", utc_now().isoformat()))
        assert "1 record imported" in nodes.bleys[0].run("import", file)
        for peer in peers:
            wait_until(partial(gets, peer, GREYLISTED, itertools.repeat(known)), "it is forgotten", NEWS_SECONDS, 0.2)
            wait_until(partial(gets, peer, PASSED, trusted), "any mail passes", NEWS_SECONDS, 0.2)


def gets(peer: Peer, action: str, requests: Iterator[Request]) -> bool:
    """Return whether this is the answer to the next request."""
    return peer.ask(next(requests)).action == action
