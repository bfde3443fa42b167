"""What bley does while its store is away: two nodes, those who ask them, and what is promised.

`pytest -rP` shows a line for each: "FAULT | engine | worst seconds until the first answers | until all later ones |
seconds until bley said that the store is back | its warning".
"""

import asyncio
import itertools
import re
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from bley.core.greylist import Status
from bley.core.mail import Request
from bley.core.wire import encode_request
from bley.settings.database import parse_database
from bley.store.opening import open_engine
from tests.integration.database_server import PASSWORD, wait_until
from tests.integration.running_bley import WAIT_SECONDS, Bley
from tests.integration.tcp_proxy import TcpProxy

STORE_SECONDS = 1.0
"""So long a request waits for the store at most."""

SLACK = 100
"""The first answers may be later by so many times what answers take that need no store, since a machine may be slow."""

AT_ONCE_SECONDS, AT_ONCE_SLACK = 0.1, 20
"""The others take so long at most, or so many times what answers take that need no store; half of them at least."""

BACK_SECONDS = 30.0
"""Reached only when something hangs: bley tries a store that is away every second."""

FAULT_SECONDS = 1.2
"""So long strangers come while the store is known to be away: bley tries it meanwhile."""

PEERS = 4
"""Connections that ask at the moment of the fault; with Postfix it is one a smtpd."""

GREYLISTED = "action=DEFER_IF_PERMIT greylisted, try again later"
PASSED = "action=DUNNO"
ANSWERS = {"pass": PASSED, "defer": GREYLISTED}
STATUSES = {"pass": Status.CLEAN, "defer": Status.GREYLISTED}

WARNING = re.compile(r"^\S+ bley\[\d+\]: store: (.+); answering by on_store_error until it is back$", re.MULTILINE)
ALL_CLEAR = re.compile(
    r"^\S+ bley\[\d+\]: store: back, all queued writes are committed, 0 writes were dropped$", re.MULTILINE
)
LINE = re.compile(r"\S+Z bley\[\d+\]: \S.*")


class Answer(NamedTuple):
    action: str
    seconds: float


class Peer:
    """A connection to bley that stays open, as Postfix keeps it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)

    def ask(self, request: Request) -> Answer:
        """What bley answers, and after how long."""
        begun = time.monotonic()
        self._socket.sendall(encode_request(request))
        answer = b""
        while not answer.endswith(b"\n\n"):
            answer += self._socket.recv(4096) or b"(closed)\n\n"
        return Answer(answer.decode().strip(), time.monotonic() - begun)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def stranger(recipient: str) -> Request:
    """Whom bley defers for his HELO."""
    return Request(client_address="198.51.100.7", helo_name="friend", sender="a@example.com", recipient=recipient)


class Node:
    """A running bley with this `on_store_error`, and those who ask it."""

    def __init__(self, folder: Path, mode: str, database: str, **settings: object) -> None:
        folder.mkdir()
        self.mode = mode
        self.bley = Bley(folder, database=database, on_store_error=mode, **settings)
        self.bley.waits_for_store = False
        self.asked: list[str] = []
        """The recipients of strangers that came during the fault."""
        self._warned_before = 0
        self._stack = ExitStack()
        self._numbers = itertools.count()

    def start(self) -> None:
        """Start bley, and connect."""
        self._stack.enter_context(self.bley)
        self._peers = [self._stack.enter_context(Peer(self.bley.port)) for _ in range(PEERS)]

    def stop(self) -> None:
        """Hang up, and stop bley."""
        self._stack.close()

    def ask(self, recipient: str) -> Answer:
        """What becomes of a stranger's mail to this one."""
        return self._peers[0].ask(stranger(recipient))

    def decision(self, recipient: str) -> str:
        """What the log says of it."""
        return self.bley.wait_log(rf"\]: (action=.* recipient={recipient},?.*)")[1]

    def defers_strangers(self) -> bool:
        """Whether the next one is deferred because of what he is."""
        recipient = self._recipient()
        self.ask(recipient)
        return "why=helo" in self.decision(recipient)

    def is_asked_by_all(self) -> float:
        """A stranger comes on each connection, all at once; the worst seconds."""
        recipients = [self._recipient() for _ in self._peers]
        return max(self._checked(recipients, self._ask_at_once(recipients)))

    def answers_without_store(self) -> list[float]:
        """As before, but to a recipient that is never delayed; the seconds of each."""
        return [answer.seconds for answer in self._ask_at_once(["postmaster@example.org"] * PEERS)]

    def _ask_at_once(self, recipients: list[str]) -> list[Answer]:
        with ThreadPoolExecutor(PEERS) as pool:
            return list(pool.map(lambda peer, recipient: peer.ask(stranger(recipient)), self._peers, recipients))

    def is_asked_for(self, seconds: float) -> list[float]:
        """Strangers come for so long, one after the other; the seconds of each."""
        recipients, answers = [], []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            recipients.append(self._recipient())
            answers.append(self._peers[len(recipients) % PEERS].ask(stranger(recipients[-1])))
            time.sleep(0.02)
        return self._checked(recipients, answers)

    def forget_warnings(self) -> None:
        """Where a machine is slow a store is late now and then, at the start above all."""
        self._warned_before += len(self.warnings())

    def warnings(self) -> list[str]:
        """What it has said of its store, "back" for an all-clear; every line of the log is one that bley wrote."""
        log = self.bley.log()
        assert all(map(LINE.fullmatch, log.splitlines())), "a traceback?"
        assert PASSWORD not in log
        assert quote(PASSWORD, safe="") not in log
        assert log.count("answering by on_store_error") == len(WARNING.findall(log))
        assert log.count("store: back") == len(ALL_CLEAR.findall(log))
        said = [(match.start(), match[1]) for match in WARNING.finditer(log)]
        said += [(match.start(), "back") for match in ALL_CLEAR.finditer(log)]
        return [text for _, text in sorted(said)][self._warned_before :]

    def _recipient(self) -> str:
        return f"{self.mode}{next(self._numbers)}@example.org"

    def _checked(self, recipients: list[str], answers: list[Answer]) -> list[float]:
        self.asked += recipients
        assert {answer.action for answer in answers} <= {ANSWERS[self.mode]}
        assert all("reason=store-error" in line or "why=store-error" in line for line in map(self.decision, recipients))
        return [answer.seconds for answer in answers]


@dataclass
class Place:
    """Where the store of a test is: an empty database of this server (None: SQLite's file)."""

    engine: str
    url: str
    """As bley is told."""
    own_url: str
    """Without a proxy or a sentinel in between."""
    file: Path = Path()
    server: Any = None
    proxy: TcpProxy | None = None
    undo: ExitStack = field(default_factory=ExitStack)
    """What lasts longer than its fault."""

    def store_errors(self) -> set[str]:
        """The recipients of the decisions that the store has with the reason store-error."""
        match self.engine:
            case "sqlite":
                with closing(sqlite3.connect(self.file)) as database:
                    return {row[0] for row in database.execute(STORE_ERRORS)}
            case "redis":
                # An entry of a stream: its id, then name and value in turn.
                lines = self.server.ask("XRANGE bley:decisions - +", self.own_url).splitlines()
                entries = zip(_behind(lines, "reason"), _behind(lines, "recipient"), strict=True)
                return {recipient for reason, recipient in entries if reason == "store-error"}
        return set(self.server.ask(STORE_ERRORS, self.own_url).splitlines())


STORE_ERRORS = "SELECT recipient FROM decisions WHERE reason = 'store-error'"


def _behind(lines: list[str], name: str) -> list[str]:
    return [value for word, value in itertools.pairwise(lines) if word == name]


def sqlite_place(folder: Path) -> Place:
    return Place("sqlite", f"sqlite:///{folder}/bley.db", "", folder / "bley.db")


Fault = Callable[[Place], AbstractContextManager[object]]
"""Entering it breaks the store, leaving it mends it."""


@contextmanager
def both_nodes(folder: Path, url: str) -> Iterator[list[Node]]:
    """Two on the same store, one for each `on_store_error`."""
    nodes = [Node(folder / mode, mode, url) for mode in ANSWERS]
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        for node in nodes:
            stack.callback(node.stop)
        list(pool.map(Node.start, nodes))
        yield nodes
        list(pool.map(Node.stop, nodes))


def wait_until_back(node: Node) -> float:
    """Until it says so; the seconds."""
    begun = time.monotonic()
    wait_until(lambda: "back" in node.warnings(), "the store is back", BACK_SECONDS, 0.02)
    return time.monotonic() - begun


async def stored(url: str) -> dict[str, Status]:
    """What `bley export` would show: recipients, and what is known of their mail."""
    engine = open_engine(parse_database(url))
    statuses = {triplet.recipient: record.status async for portion in engine.records() for triplet, record in portion}
    await engine.close()
    return statuses


def _joined(lists: Iterable[list[float]]) -> list[float]:
    return list(itertools.chain.from_iterable(lists))


class Trial:
    """What bley promises, checked on both nodes of this place."""

    def __init__(self, place: Place, nodes: list[Node]) -> None:
        self._place, self._nodes = place, nodes
        self._first = self._later = 0.0

    def strangers_are_deferred(self) -> None:
        """The store is well."""
        for node in self._nodes:
            wait_until(node.defers_strangers, "strangers are deferred", BACK_SECONDS, 0.1)

    def store_is_away(self, seconds: float = FAULT_SECONDS) -> str:
        """Answers come by `on_store_error`, the first within 1 s, then at once; the warning, which came once."""
        with ThreadPoolExecutor(2) as pool:
            self._first = max(pool.map(Node.is_asked_by_all, self._nodes))
            without_store = _joined(pool.map(Node.answers_without_store, self._nodes))
            later = _joined(pool.map(lambda node: node.is_asked_for(seconds), self._nodes))
            self._later = max(later, default=0)
        warnings = list(itertools.chain.from_iterable(node.warnings() for node in self._nodes))
        assert len(warnings) == 2, warnings
        said, _ = warnings
        assert said.startswith(f"{parse_database(self._place.url)}: ")
        assert self._first < STORE_SECONDS + max(STORE_SECONDS, SLACK * max(without_store))
        assert not later or median(later) < max(AT_ONCE_SECONDS, AT_ONCE_SLACK * median(without_store))
        return said

    def store_is_back(self, what: str) -> None:
        """It is soon known to be back, with all that was answered meanwhile."""
        with ThreadPoolExecutor(2) as pool:
            back_after = max(pool.map(wait_until_back, self._nodes))
        said = self._nodes[0].warnings()[0]
        said = said.removeprefix(f"{parse_database(self._place.url)}: ")
        print(f"{what} | {self._place.engine} | {self._first:.2f} | {self._later:.2f} | {back_after:.1f} | {said}")
        self.strangers_are_deferred()
        self._check_records()
        for node in self._nodes:
            assert set(node.warnings()[1::2]) == {"back"}

    def _check_records(self) -> None:
        statuses = asyncio.run(stored(self._place.url))
        for node in self._nodes:
            found = {recipient: statuses.get(recipient) for recipient in node.asked}
            assert found == dict.fromkeys(node.asked, STATUSES[node.mode])
        asked = {recipient for node in self._nodes for recipient in node.asked}
        end = time.monotonic() + BACK_SECONDS
        while missing := asked - self._place.store_errors():
            assert time.monotonic() < end, f"decisions on these are not in the store: {missing}"
            time.sleep(0.2)


def fail_while_running(place: Place, folder: Path, fault: Fault, name: str) -> None:
    with both_nodes(folder, place.url) as nodes:
        trial = Trial(place, nodes)
        trial.strangers_are_deferred()
        for node in nodes:
            node.forget_warnings()
        with fault(place):
            trial.store_is_away()
        trial.store_is_back(name)


def be_away_at_start(place: Place, folder: Path, fault: Fault, name: str) -> None:
    with ExitStack() as stack:
        with fault(place):
            trial = Trial(place, stack.enter_context(both_nodes(folder, place.url)))
            trial.store_is_away()
        trial.store_is_back(f"{name}, at start")
