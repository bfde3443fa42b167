"""bley during outages of its store: two nodes, their clients, and the promised behavior.

`pytest -rP` shows a line for each: "FAULT | engine | worst seconds until the first answers | until all later ones |
seconds until bley reported the recovery of the store | its warning".
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
"""The time that a request waits for the store at most."""

SLACK = 100
"""The factor by which first answers may be slower than answers without a store, since a machine may be slow."""

AT_ONCE_SECONDS, AT_ONCE_SLACK = 0.1, 20
"""The limit of all other answers, in seconds or as a factor of answers without a store; at least half of them meet it.
"""

BACK_SECONDS = 30.0
"""A limit that only a hang reaches: bley retries an unavailable store every second."""

FAULT_SECONDS = 1.2
"""The time for which strangers come during a known outage: bley retries the store meanwhile."""

PEERS = 4
"""The number of connections with a request at the moment of the fault; with Postfix it is one for each smtpd."""

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
    """A permanent connection to bley, as Postfix has one."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)

    def ask(self, request: Request) -> Answer:
        """Return the answer of bley, and its time."""
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
    """Return a stranger that bley defers for its HELO."""
    return Request(client_address="198.51.100.7", helo_name="friend", sender="a@example.com", recipient=recipient)


class Node:
    """A running bley with this `on_store_error`, and its clients."""

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
        """Disconnect, and stop bley."""
        self._stack.close()

    def ask(self, recipient: str) -> Answer:
        """Return the answer to a stranger's mail to this recipient."""
        return self._peers[0].ask(stranger(recipient))

    def decision(self, recipient: str) -> str:
        """Return the logged decision about it."""
        return self.bley.wait_log(rf"\]: (action=.* recipient={recipient},?.*)")[1]

    def defers_strangers(self) -> bool:
        """Whether it defers the next stranger because of its HELO."""
        recipient = self._recipient()
        self.ask(recipient)
        return "why=helo" in self.decision(recipient)

    def is_asked_by_all(self) -> float:
        """Send a stranger on each connection, all at once; return the worst time in seconds."""
        recipients = [self._recipient() for _ in self._peers]
        return max(self._checked(recipients, self._ask_at_once(recipients)))

    def answers_without_store(self) -> list[float]:
        """Do the same with a recipient that is never delayed; return the seconds of each."""
        return [answer.seconds for answer in self._ask_at_once(["postmaster@example.org"] * PEERS)]

    def _ask_at_once(self, recipients: list[str]) -> list[Answer]:
        with ThreadPoolExecutor(PEERS) as pool:
            return list(pool.map(lambda peer, recipient: peer.ask(stranger(recipient)), self._peers, recipients))

    def is_asked_for(self, seconds: float) -> list[float]:
        """Send strangers for this time, one after the other; return the seconds of each."""
        recipients, answers = [], []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            recipients.append(self._recipient())
            answers.append(self._peers[len(recipients) % PEERS].ask(stranger(recipients[-1])))
            time.sleep(0.02)
        return self._checked(recipients, answers)

    def forget_warnings(self) -> None:
        """Forget all warnings: on a slow machine a store is late now and then, mainly at the start."""
        self._warned_before += len(self.warnings())

    def warnings(self) -> list[str]:
        """Return its warnings about the store, "back" for a recovery; every line of the log must be bley's."""
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
    """The store of a test: an empty database of this server (None: SQLite's file)."""

    engine: str
    url: str
    """The URL in bley's settings."""
    own_url: str
    """The URL without a proxy or a sentinel in between."""
    file: Path = Path()
    server: Any = None
    proxy: TcpProxy | None = None
    undo: ExitStack = field(default_factory=ExitStack)
    """Work that outlasts its fault and must be undone."""

    def store_errors(self) -> set[str]:
        """Return the recipients of the stored decisions with the reason store-error."""
        match self.engine:
            case "sqlite":
                with closing(sqlite3.connect(self.file)) as database:
                    return {row[0] for row in database.execute(STORE_ERRORS)}
            case "redis":
                # An entry of a stream: its id, then alternating names and values.
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
"""A fault: entering it breaks the store, leaving it mends it."""


@contextmanager
def both_nodes(folder: Path, url: str) -> Iterator[list[Node]]:
    """Run two nodes on the same store, one for each `on_store_error`."""
    nodes = [Node(folder / mode, mode, url) for mode in ANSWERS]
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        for node in nodes:
            stack.callback(node.stop)
        list(pool.map(Node.start, nodes))
        yield nodes
        list(pool.map(Node.stop, nodes))


def wait_until_back(node: Node) -> float:
    """Wait until it reports the recovery; return the seconds."""
    begun = time.monotonic()
    wait_until(lambda: "back" in node.warnings(), "the store is back", BACK_SECONDS, 0.02)
    return time.monotonic() - begun


async def stored(url: str) -> dict[str, Status]:
    """Return the content of `bley export`: the recipients, and the standing of their mail."""
    engine = open_engine(parse_database(url))
    statuses = {triplet.recipient: record.status async for portion in engine.records() for triplet, record in portion}
    await engine.close()
    return statuses


def _joined(lists: Iterable[list[float]]) -> list[float]:
    return list(itertools.chain.from_iterable(lists))


class Trial:
    """The promised behavior, checked on both nodes of this store."""

    def __init__(self, place: Place, nodes: list[Node]) -> None:
        self._place, self._nodes = place, nodes
        self._first = self._later = 0.0

    def strangers_are_deferred(self) -> None:
        """Check a healthy store: strangers are deferred."""
        for node in self._nodes:
            wait_until(node.defers_strangers, "strangers are deferred", BACK_SECONDS, 0.1)

    def store_is_away(self, seconds: float = FAULT_SECONDS) -> str:
        """Check an outage: answers follow `on_store_error`, the first within 1 s, then at once, with one warning."""
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
        """Check the recovery: it is detected soon, and all answers from the outage are stored."""
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
