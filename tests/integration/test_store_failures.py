"""How stores fail, and what bley does then: real servers that are killed, frozen, cut off, read-only, locked, full.

`pytest -rP` shows a line for each: "FAULT | engine | worst seconds until the first answers | until all later ones |
seconds until bley said that the store is back | its warning".
"""

import asyncio
import itertools
import re
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import pytest

from bley.core.greylist import Lifetimes, Record, Status
from bley.core.mail import Request, Triplet
from bley.core.wire import encode_request
from bley.database import Database, parse_database
from bley.ports import utc_now
from bley.privacy import PrivacyKey
from bley.store.opening import open_engine
from tests.integration.daemon import BLEY, WAIT_SECONDS, Bley
from tests.integration.database_server import PASSWORD, wait_until
from tests.integration.redis_servers import RedisSentinel
from tests.integration.servers import reachable_folder, require
from tests.integration.stores import Servers
from tests.integration.tcp_proxy import TcpProxy

STORE_SECONDS = 1.0
"""So long a request waits for the store at most."""

SLACK = 100
"""The first answers may be later by so many times what answers take that need no store, since a machine may be slow."""

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
    r"^\S+ bley\[\d+\]: store: back, all that was kept is written, 0 writes were dropped$", re.MULTILINE
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

    def answers_without_store(self) -> float:
        """As before, but to a recipient that is never delayed; the worst seconds."""
        return max(answer.seconds for answer in self._ask_at_once(["postmaster@example.org"] * PEERS))

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


@contextmanager
def a_place(servers: Servers, engine: str, *, has_proxy: bool) -> Iterator[Place]:
    server, url = servers.get(engine), servers.new_url(engine)
    place = Place(engine, url, url, server=server)
    with place.undo:
        if has_proxy:
            place.proxy = place.undo.enter_context(TcpProxy(server.port))
            place.url = place.proxy.url(url)
        yield place


def sqlite_place(folder: Path) -> Place:
    return Place("sqlite", f"sqlite:///{folder}/bley.db", "", folder / "bley.db")


Fault = Callable[[Place], AbstractContextManager[object]]
"""Entering it breaks the store, leaving it mends it."""


@contextmanager
def killed(place: Place) -> Iterator[None]:
    place.server.kill()
    try:
        yield
    finally:
        place.server.start()


@contextmanager
def frozen(place: Place) -> Iterator[None]:
    place.server.freeze()
    try:
        yield
    finally:
        place.server.thaw()


@contextmanager
def cut_off(place: Place) -> Iterator[None]:
    assert place.proxy
    place.proxy.cut()
    try:
        yield
    finally:
        place.proxy.mend()


@contextmanager
def read_only(place: Place) -> Iterator[None]:
    place.server.set_read_only(True)
    try:
        yield
    finally:
        place.server.set_read_only(False)


@contextmanager
def password_changed(place: Place) -> Iterator[None]:
    place.server.change_password("another")
    try:
        yield
    finally:
        place.server.change_password(PASSWORD)


@contextmanager
def locked(place: Place) -> Iterator[None]:
    with place.server.lock_tables(place.own_url):
        yield


@contextmanager
def locked_for_readers_too(place: Place) -> Iterator[None]:
    with place.server.lock_tables(place.own_url, readers=True):
        yield


@contextmanager
def redis_full(place: Place) -> Iterator[None]:
    place.server.set_full(True)
    try:
        yield
    finally:
        place.server.set_full(False)


@contextmanager
def redis_paused(place: Place) -> Iterator[None]:
    place.server.admin("CLIENT", "PAUSE", 60_000, "WRITE")
    try:
        yield
    finally:
        place.server.admin("CLIENT", "UNPAUSE")


@contextmanager
def file_locked(place: Place) -> Iterator[None]:
    with closing(sqlite3.connect(place.file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def file_locked_for_readers_too(place: Place) -> Iterator[None]:
    """As by a program that does not share the file."""
    with closing(sqlite3.connect(place.file, isolation_level=None, timeout=WAIT_SECONDS)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def file_immutable(place: Place) -> Iterator[None]:
    """What root cannot write either."""
    files = [str(file) for file in place.file.parent.glob("bley.db*") if not file.name.endswith("-shm")]
    changed = subprocess.run(["chattr", "+i", *files], capture_output=True, check=False)
    if changed.returncode:
        pytest.skip(f"chattr: {changed.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


@contextmanager
def disk_full(place: Place) -> Iterator[None]:
    filler = place.file.with_name("filler")
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def file_moved(place: Place) -> Iterator[None]:
    """With all that belongs to it, and put back again."""
    aside = place.file.parent / "aside"
    aside.mkdir()
    for file in place.file.parent.glob("bley.db*"):
        file.rename(aside / file.name)
    yield
    assert not place.file.exists(), "no new one is made in its place"
    for file in aside.iterdir():
        file.rename(place.file.parent / file.name)


@contextmanager
def folder_missing(place: Place) -> Iterator[None]:
    """As when a file system is not mounted."""
    place.file.parent.rmdir()
    yield
    place.file.parent.mkdir()


@contextmanager
def silent_and_replaced(place: Place) -> Iterator[None]:
    """What takes connections and says nothing is replaced by the server; the old connections are never ended."""
    place.server.kill()
    with socket.create_server((place.server.host, place.server.port), backlog=1000) as listener, ExitStack() as taken:
        try:
            yield
            listener.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    taken.enter_context(listener.accept()[0])
        finally:
            listener.close()
            place.server.start()
        place.undo.enter_context(taken.pop_all())


def on_all(fault: Fault) -> dict[str, Fault]:
    return dict.fromkeys(("postgresql", "mariadb", "redis"), fault)


FILE_FAULTS: dict[str, Fault] = {
    "moved away": file_moved,
    "read-only": file_immutable,
    "locked for writers": file_locked,
    "full": disk_full,
}
FILE_FAULTS_AT_START: dict[str, Fault] = {"gone": folder_missing, "locked": file_locked_for_readers_too}
SERVER_FAULTS: dict[str, dict[str, Fault]] = {
    "killed": on_all(killed),
    "frozen": on_all(frozen),
    "network cut": on_all(cut_off),
    "read-only": on_all(read_only),
    "password changed": on_all(password_changed),
    "locked for writers": {"postgresql": locked, "mariadb": locked, "redis": redis_paused},
    "locked": {"postgresql": locked_for_readers_too, "mariadb": locked_for_readers_too},
    "full": {"redis": redis_full},
}
SERVER_FAULTS_AT_START: dict[str, dict[str, Fault]] = {
    "gone": on_all(killed),
    "silent": on_all(silent_and_replaced),
    "password changed": on_all(password_changed),
}


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
            at_best = max(pool.map(Node.answers_without_store, self._nodes))
            later = [each for times in pool.map(lambda node: node.is_asked_for(seconds), self._nodes) for each in times]
            self._later = max(later, default=0)
        warnings = list(itertools.chain.from_iterable(node.warnings() for node in self._nodes))
        assert len(warnings) == 2, warnings
        said, _ = warnings
        assert said.startswith(f"{parse_database(self._place.url)}: ")
        assert self._first < STORE_SECONDS + max(STORE_SECONDS, SLACK * at_best)
        assert not later or median(later) < STORE_SECONDS, "each waits for the store"
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


@contextmanager
def a_folder(folder: Path, *, on_small_disk: bool = False) -> Iterator[Path]:
    folder.mkdir()
    if not on_small_disk:
        yield folder
        return
    require("mount", "mount")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "bley-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


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


@pytest.mark.parametrize("name", FILE_FAULTS)
def test_a_file_that_fails_while_bley_runs(tmp_path: Path, name: str) -> None:
    with a_folder(tmp_path / "store", on_small_disk=name == "full") as folder:
        fail_while_running(sqlite_place(folder), tmp_path, FILE_FAULTS[name], name)


@pytest.mark.parametrize("name", FILE_FAULTS_AT_START)
def test_a_file_that_is_away_at_the_start(tmp_path: Path, name: str) -> None:
    """bley starts all the same, and opens it when it can."""
    with a_folder(tmp_path / "store") as folder:
        be_away_at_start(sqlite_place(folder), tmp_path, FILE_FAULTS_AT_START[name], name)


@pytest.mark.parametrize("name", SERVER_FAULTS)
def test_a_server_that_fails_while_bley_runs(servers: Servers, tmp_path: Path, name: str) -> None:
    on_each_server(servers, tmp_path, SERVER_FAULTS[name], partial(fail_while_running, name=name), has_proxy=True)


@pytest.mark.parametrize("name", SERVER_FAULTS_AT_START)
def test_a_server_that_is_away_at_the_start(servers: Servers, tmp_path: Path, name: str) -> None:
    """bley starts all the same, and connects when it can."""
    on_each_server(servers, tmp_path, SERVER_FAULTS_AT_START[name], partial(be_away_at_start, name=name))


def on_each_server(
    servers: Servers,
    folder: Path,
    faults: Mapping[str, Fault],
    test: Callable[[Place, Path, Fault], None],
    *,
    has_proxy: bool = False,
) -> None:
    """All at the same time, since mostly they wait."""
    for engine in faults:
        servers.get(engine)
        folder.joinpath(engine).mkdir()

    def run(engine: str) -> None:
        with a_place(servers, engine, has_proxy=has_proxy) as place:
            test(place, folder / engine, faults[engine])

    with ThreadPoolExecutor(len(faults)) as pool:
        running = {engine: pool.submit(run, engine) for engine in faults}
    failed = {engine: error for engine, each in running.items() if isinstance(error := each.exception(), Exception)}
    if failed:
        raise ExceptionGroup(", ".join(failed), list(failed.values()))


def test_a_master_that_dies_is_replaced_by_its_sentinel(tmp_path: Path) -> None:
    """Nobody mends anything here."""
    with reachable_folder() as folder, RedisSentinel(folder) as sentinel:
        url = sentinel.new_database()
        number = url.rpartition("/")[2]
        place = Place("redis", url, sentinel.replica.url_of(number), server=sentinel.replica)
        with both_nodes(tmp_path, url) as nodes:
            trial = Trial(place, nodes)
            trial.strangers_are_deferred()
            for node in nodes:
                node.forget_warnings()
            sentinel.master.kill()
            trial.store_is_away(seconds=0)  # soon the replica is the master
            trial.store_is_back("master killed, sentinel")


RECORDS = 5000
OF_DAMAGED_PAGE, OF_GOOD_PAGE = "known2500@example.org", "known0001@example.org"


def damage_all(file: Path) -> None:
    """The file is no database any more."""
    file.write_bytes(b"\xa5" * file.stat().st_size)


def damage_pages(file: Path) -> None:
    """The pages of one record."""
    data = bytearray(file.read_bytes())
    page = int.from_bytes(data[16:18], "big")  # sqlite.org/fileformat2.html#page_size
    found = {match.start() // page for match in re.finditer(re.escape(OF_DAMAGED_PAGE.encode()), data)}
    assert found
    assert 0 not in found
    for number in found:
        data[number * page : (number + 1) * page] = b"\xa5" * page
    file.write_bytes(data)


DAMAGES = {"all of it": damage_all, "some pages": damage_pages}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_sqlite_file(tmp_path: Path, what: str) -> None:
    """bley says so and what to do, leaves the file alone, and goes on with a good one when that is there."""
    place = sqlite_place(tmp_path / "store")
    file, good = place.file, place.file.with_name("good.db")
    asyncio.run(fill(file))
    good.write_bytes(file.read_bytes())
    DAMAGES[what](file)
    before, inode = file.read_bytes(), file.stat().st_ino
    with both_nodes(tmp_path, place.url) as nodes:
        trial = Trial(place, nodes)
        for node in nodes:
            assert node.ask(OF_DAMAGED_PAGE).action == ANSWERS[node.mode]
        said = trial.store_is_away()
        assert "The file is damaged: stop bley, move it away, and put a backup in its place" in said
        assert file.stat().st_ino == inode
        assert file.read_bytes() == before

        for each in file.parent.glob("bley.db-*"):
            each.unlink()
        good.rename(file)
        trial.store_is_back(f"damaged at start, {what}")
        for node in nodes:
            node.ask(OF_GOOD_PAGE)
            assert "reason=early" in node.decision(OF_GOOD_PAGE)


def test_what_the_warning_of_a_damaged_file_advises_saves_the_records(tmp_path: Path) -> None:
    """All but those of the damaged pages."""
    if not shutil.which("sqlite3"):
        pytest.skip("sqlite3 is missing: install the Debian package sqlite3")
    file, new = tmp_path / "store/bley.db", tmp_path / "new.db"
    asyncio.run(fill(file))
    damage_pages(file)
    node = Node(tmp_path / "node", "pass", f"sqlite:///{file}")
    try:
        node.start()
        node.ask(OF_DAMAGED_PAGE)
        advice = re.findall(rf"`([^`]*sqlite3 {file} [^`]*NEW[^`]*)`", node.warnings()[0])
    finally:
        node.stop()
    assert len(advice) == 1
    subprocess.run(["sh", "-c", advice[0].replace("NEW", str(new))], capture_output=True, check=True)
    saved = asyncio.run(stored(f"sqlite:///{new}"))
    assert RECORDS - 200 < len(saved) < RECORDS
    assert OF_GOOD_PAGE in saved


async def fill(file: Path) -> None:
    """A database of many pages."""
    file.parent.mkdir()
    engine = open_engine(Database(file=file))
    await engine.prepare()
    record = Record(Status.GREYLISTED, utc_now(), utc_now())
    known = [Triplet("198.51.100.0/24", "a@example.com", f"known{number:04}@example.org") for number in range(RECORDS)]
    await engine.unite([(triplet, record) for triplet in known], utc_now(), Lifetimes())
    await engine.claim_key(PrivacyKey().check)
    await engine.close()


@pytest.mark.parametrize(
    ("module", "extra", "url"),
    [
        ("asyncpg", "postgresql", "postgresql://bley@127.0.0.1/bley"),
        ("aiomysql", "mysql", "mysql://bley@127.0.0.1/bley"),
        ("redis", "redis", "redis://127.0.0.1"),
    ],
)
def test_a_driver_that_is_missing_prevents_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, extra: str, url: str
) -> None:
    """It will not come by itself: exit status 2, one line that says what to install."""
    folder = tmp_path / "modules"
    folder.mkdir()
    folder.joinpath(f"{module}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{module}'\")\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    # With an interpreter of its own, which has imported nothing.
    command: list[str | Path] = [*BLEY, "serve", "-c", Bley(tmp_path, database=url).file]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 2
    assert said.count("\n") == 1
    assert f"needs {module}, which is not installed: pip install 'bley[{extra}]'" in said
