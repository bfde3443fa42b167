"""The failures of stores on servers: killed, frozen, cut off, read-only, locked or full.

`pytest -rP` prints a line for each, in the format of `outages`.
"""

import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.integration.database_server import PASSWORD
from tests.integration.outages import (
    Fault,
    Place,
    Trial,
    be_away_at_start,
    both_nodes,
    fail_while_running,
)
from tests.integration.redis_servers import RedisSentinel
from tests.integration.running_bley import BLEY, WAIT_SECONDS, Bley
from tests.integration.servers import reachable_folder
from tests.integration.stores import Servers
from tests.integration.tcp_proxy import TcpProxy


@contextmanager
def a_place(servers: Servers, engine: str, *, has_proxy: bool) -> Iterator[Place]:
    server, url = servers.get(engine), servers.new_url(engine)
    place = Place(engine, url, url, server=server)
    with place.undo:
        if has_proxy:
            place.proxy = place.undo.enter_context(TcpProxy(server.port))
            place.url = place.proxy.url(url)
        yield place


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
def silent_and_replaced(place: Place) -> Iterator[None]:
    """A process that accepts connections without answering is replaced by the server; old connections stay."""
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


@pytest.mark.parametrize("name", SERVER_FAULTS)
def test_a_server_that_fails_while_bley_runs(servers: Servers, tmp_path: Path, name: str) -> None:
    on_each_server(servers, tmp_path, SERVER_FAULTS[name], partial(fail_while_running, name=name), has_proxy=True)


@pytest.mark.parametrize("name", SERVER_FAULTS_AT_START)
def test_a_server_that_is_away_at_the_start(servers: Servers, tmp_path: Path, name: str) -> None:
    """bley starts all the same, and connects as soon as it can."""
    on_each_server(servers, tmp_path, SERVER_FAULTS_AT_START[name], partial(be_away_at_start, name=name))


def on_each_server(
    servers: Servers,
    folder: Path,
    faults: Mapping[str, Fault],
    test: Callable[[Place, Path, Fault], None],
    *,
    has_proxy: bool = False,
) -> None:
    """All engines at the same time, because the test mostly waits."""
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
    """The cluster recovers by itself."""
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
    """A missing driver stops the start: exit status 2, and one line with the package to install.

    `check-config` prints the same line beforehand.
    """
    folder = tmp_path / "modules"
    folder.mkdir()
    folder.joinpath(f"{module}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{module}'\")\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    # With an interpreter of its own, which has imported nothing.
    file = Bley(tmp_path, database=url).file
    for name in ("serve", "check-config"):
        command: list[str | Path] = [*BLEY, name, "-c", file]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)
        said = ran.stderr
        assert ran.returncode == 2
        assert said.count("\n") == 1
        assert f"needs {module}, which is not installed: pip install 'bley[{extra}]'" in said
