"""`bley check-config` says what `bley serve` says: each wrong set-up is given to both, and their lines are compared."""

import asyncio
import errno
import logging
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from io import StringIO
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from bley.core.errors import SettingsError
from bley.daemon import start_check
from bley.daemon.daemon import Daemon
from bley.daemon.start_check import check_start
from bley.log.output import open_sink
from bley.settings.database import parse_database
from bley.settings.file import load
from bley.store.sql_schema import VERSION
from tests.free_ports import free_port
from tests.integration.database_server import database_of
from tests.integration.nobody import NOBODY, as_nobody
from tests.integration.postfix import MASTER
from tests.integration.running_bley import BLEY, DEFAULTS, WAIT_SECONDS, Bley
from tests.integration.servers import reachable_folder, require
from tests.integration.stores import Servers
from tests.integration.warm_start import run_bley, start_bley

GOES_ON = "; answering by on_store_error until it is back"
KEY = "00" * 32


def nothing(_: Path, __: ExitStack) -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Case:
    """Settings, and what both commands say; `{folder}` is the folder, `{port}` the port of listen_addr."""

    settings: Mapping[str, str]
    says: tuple[str, ...]
    ends: bool = False
    """Whether `serve` ends."""
    status: int = 2
    """Its exit status then; 1 if a later start may succeed with these settings."""
    prepare: Callable[[Path, ExitStack], None] = nothing
    only_checked: tuple[str, ...] = ()
    """What only `check-config` says, since it knows all faults at once."""


def _database(folder: Path, _: ExitStack) -> None:
    with sqlite3.connect(folder / "bley.db") as database:
        database.execute("CREATE TABLE meta (name PRIMARY KEY, value)")
        database.execute("INSERT INTO meta VALUES ('schema', 99)")


def _clear_database(folder: Path, _: ExitStack) -> None:
    """Store addresses in clear."""
    file = folder / "clear.conf"
    file.write_text(f"[bley]\ndbpath = {folder}\nlisten_port = 0\nweb_listen =\ndnsbls =\ndnswls =\n")
    assert _serve(file)[0] == 0


def _garbage(folder: Path, _: ExitStack) -> None:
    folder.joinpath("bley.db").write_bytes(b"this is no database, " * 100)


def _file(folder: Path, _: ExitStack) -> None:
    folder.joinpath("file").write_text("mail")


def _folder(folder: Path, _: ExitStack) -> None:
    folder.joinpath("folder").mkdir()


def _fifo(folder: Path, _: ExitStack) -> None:
    os.mkfifo(folder / "fifo")


def _stale(folder: Path, _: ExitStack) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "s"))


def _living(folder: Path, stack: ExitStack) -> None:
    living = stack.enter_context(socket.socket(socket.AF_UNIX))
    living.bind(str(folder / "s"))
    living.listen()


CASES = {
    "all is well": Case({}, ()),
    "no folder for SQLite": Case(
        {"database": "sqlite:///{folder}/none/bley.db"},
        (
            "store: {folder}/none/bley.db: unable to open database file. There is no folder {folder}/none: create it, "
            "or mount its file system" + GOES_ON,
        ),
    ),
    "a newer schema": Case(
        {},
        (
            "store: {folder}/bley.db: its schema is 99, of a newer bley; this bley supports {version}: upgrade bley"
            + GOES_ON,
        ),
        prepare=_database,
    ),
    "SQLite's file is damaged": Case({}, ("store: {folder}/bley.db: file is not a database. ",), prepare=_garbage),
    "no PostgreSQL": Case(
        {"database": "postgresql://bley@127.0.0.1:1/bley"},
        ("store: pgsql bley at 127.0.0.1:1: [Errno 111] Connection refused" + GOES_ON,),
    ),
    "no MySQL": Case(
        {"database": "mysql://bley@127.0.0.1:1/bley"},
        ("store: mysql bley at 127.0.0.1:1: Can't connect to MySQL server on '127.0.0.1': [Errno 111] Connection",),
    ),
    "no Redis": Case(
        {"database": "redis://127.0.0.1:1/0"},
        ("store: redis 0 at 127.0.0.1:1: Error 111 connecting to 127.0.0.1:1. Connection refused" + GOES_ON,),
    ),
    "no file of TLS authorities": Case(
        {"database": "redis://127.0.0.1:1/0?tls=verify&ca={folder}/none"},
        ("dbtls_ca: {folder}/none cannot be read: No such file or directory",),
        ends=True,
    ),
    "a new key": Case({"privacy": "keyed-hash"}, ()),
    "no folder for the key": Case(
        {"privacy": "keyed-hash", "privacy_key_file": "none/key"},
        ("privacy_key_file: {folder}/bley.db: privacy_key_file: {folder}/none/key cannot be made: No such file or",),
        ends=True,
    ),
    "no key for hashed addresses": Case(
        {"privacy": "keyed-hash"},
        ("privacy_key_file: {folder}/bley.db: its addresses are in clear: ",),
        ends=True,
        prepare=_clear_database,
    ),
    "no folder for the log": Case(
        {"log_file": "{folder}/none/log"},
        ("log_file: {folder}/none/log cannot be opened: No such file or directory",),
        ends=True,
    ),
    "the log is a folder": Case(
        {"log_file": "{folder}/folder"},
        ("log_file: {folder}/folder cannot be opened: Is a directory",),
        ends=True,
        prepare=_folder,
    ),
    "no folder for the pid file": Case(
        {"pid_file": "{folder}/none/pid"},
        ("pid_file: {folder}/none/pid cannot be written: No such file or directory",),
        ends=True,
    ),
    "the pid file is a FIFO": Case(
        {"pid_file": "{folder}/fifo"},
        ("pid_file: {folder}/fifo cannot be written: " + os.strerror(errno.ENXIO),),
        ends=True,
        prepare=_fifo,
    ),
    "an address of another machine": Case(
        {"listen_addr": "192.0.2.1"},
        ("listen_addr: cannot listen at 192.0.2.1: Cannot assign requested address",),
        ends=True,
        status=1,
    ),
    "no host can have this name": Case(
        {"listen_addr": "x" * 64}, ("listen_addr: cannot listen at " + "x" * 64 + ": ",), ends=True
    ),
    "no folder for the socket": Case(
        {"listen_mode": "0666", "listen_addr": "unix:{folder}/none/s"},
        ("listen_addr: cannot listen at unix:{folder}/none/s: No such file or directory: create the folder ",),
        ends=True,
        status=1,
    ),
    "the socket is a file": Case(
        {"listen_mode": "0666", "listen_addr": "unix:{folder}/file"},
        ("listen_addr: cannot listen at unix:{folder}/file: the file exists and is not a socket",),
        ends=True,
        status=1,
        prepare=_file,
    ),
    "a stale socket": Case({"listen_mode": "0666", "listen_addr": "unix:{folder}/s"}, (), prepare=_stale),
    "a socket that Postfix cannot reach": Case(
        {"listen_addr": "unix:{folder}/s"},
        ("listen_addr: unix:{folder}/s: mode 0660 and group root do not let user postfix connect: set ",),
    ),
    "a socket of another program": Case(
        {"listen_mode": "0666", "listen_addr": "unix:{folder}/s"},
        ("listen_addr: cannot listen at unix:{folder}/s: another process listens there: by ",),
        ends=True,
        status=1,
        prepare=_living,
    ),
    "several faults": Case(
        {"listen_mode": "0666", "listen_addr": "unix:{folder}/none/s, 192.0.2.1", "pid_file": "{folder}/none/pid"},
        ("listen_addr: cannot listen at unix:{folder}/none/s: ",),
        ends=True,
        status=1,
        only_checked=("listen_addr: cannot listen at 192.0.2.1: ", "pid_file: {folder}/none/pid cannot be written: "),
    ),
    "no certificate": Case(
        {"web_listen": "127.0.0.1:0", "web_tls_cert": "{folder}/none.pem"},
        ("web_tls_cert: {folder}/none.pem cannot be read: No such file or directory",),
        ends=True,
    ),
    "no certificate in the file": Case(
        {"web_listen": "127.0.0.1:0", "web_tls_cert": "{folder}/file"},
        ("web_tls_cert: {folder}/file cannot be used: it must hold a certificate and its key, in PEM form",),
        ends=True,
        prepare=_file,
    ),
    "an address of another machine for the web": Case(
        {"web_listen": "192.0.2.1:1338", "web_proxy": "192.0.2.2"},
        ("web_listen: cannot listen at 192.0.2.1 port 1338: Cannot assign requested address",),
        ends=True,
        status=1,
    ),
    "a dead list": Case(
        {"dnsbls": "dnsbl.sorbs.net", "resolver": "127.0.0.1:1", "check_timeout": "1s"},
        (
            "{file}:9: dnsbls: dnsbl.sorbs.net has been dead since 2024-06-05: ",
            "{file}:9: dnsbl_threshold = 1 is never reached: ",
        ),
        only_checked=("DNS: no answer from 127.0.0.1:1; until it answers, its checks count 0 and delay no mail",),
    ),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket."""
    with reachable_folder() as folder:
        yield folder


def _write(folder: Path, case: Case) -> Path:
    file = folder / "bley.conf"
    # `use_spf` and the lists of DEFAULTS are off, so that no DNS query is sent.
    own = {"dbpath": str(folder), "listen_port": str(free_port()), "log_file": "-"}
    settings = DEFAULTS | own | {key: text.format(folder=folder) for key, text in case.settings.items()}
    order = ["web_listen", "dnswls", "use_spf", "cache_valid", "dbpath", "listen_port", "log_file", "dnsbls"]
    keys = [*order, *(key for key in settings if key not in order)]
    file.write_text("[bley]\n" + "".join(f"{key} = {settings[key]}\n" for key in keys))
    return file


def _serve(file: Path) -> tuple[int, str]:
    """Return the status and the output of `bley serve`, stopped as soon as it listens and its store is known."""
    with TemporaryFile() as said:
        process = start_bley(["serve", "-c", file], stdout=said, stderr=said)
        end = time.monotonic() + WAIT_SECONDS
        while process.poll() is None and b", store " not in _content(said):
            assert time.monotonic() < end, _content(said)
            time.sleep(0.01)
        pid_file = re.search(r"^pid_file = (.+)$", file.read_text(), re.MULTILINE)
        while process.poll() is None and pid_file and not Path(pid_file[1]).is_file():  # it is written last
            assert time.monotonic() < end, _content(said)
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        return process.wait(WAIT_SECONDS), re.sub(r"(?m)^\S+Z bley\[\d+\]: ", "", _content(said).decode())


def _content(file: object) -> bytes:
    number = file.fileno()  # type: ignore[attr-defined]
    return os.pread(number, os.fstat(number).st_size, 0)


def _state(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """Return all that may change in the folder."""
    found = {each.name: each.lstat() for each in folder.iterdir()}
    return {name: (stat.st_ino, stat.st_mode, stat.st_mtime_ns, stat.st_size) for name, stat in found.items()}


def _compare(folder: Path, case: Case) -> None:
    """Give the case to both commands, and compare what they say."""
    with ExitStack() as stack:
        file = _write(folder, case)
        case.prepare(folder, stack)
        before = _state(folder)
        checked = run_bley(["check-config", "-c", file], cwd=folder)
        said = checked.stderr.decode()
        assert checked.stdout.startswith(f"# {file}\n[bley]\n".encode())
        assert _state(folder) == before
        status, served = _serve(file)
    lines = [line.removeprefix("warning: ") for line in said.splitlines()]
    starts = [line.format(folder=folder, file=file, version=VERSION) for line in (*case.says, *case.only_checked)]
    assert [line[: len(start)] for line, start in zip_longest(lines, starts, fillvalue="")] == starts
    assert set(lines[: len(case.says)]) <= set(served.splitlines())
    assert (checked.returncode, status) == ((2, case.status) if case.ends else (0, 0)), served


@pytest.mark.parametrize("name", CASES)
def test_both_say_the_same(name: str, folder: Path) -> None:
    """And the status 2 of `check-config` means that `serve` would end; the check has changed nothing."""
    if "Postfix" in name:
        require(MASTER, "postfix")
    _compare(folder, CASES[name])


class TestServers:
    """A database server is reached, but refuses bley."""

    @pytest.mark.parametrize("engine", ["postgresql", "mariadb", "redis"])
    def test_a_wrong_password(self, engine: str, servers: Servers, folder: Path) -> None:
        url = servers.new_url(engine)
        password = re.search(r":([^:@/]+)@", url)
        assert password
        wrong = url.replace(password[1], "wrong")
        why = {
            "postgresql": 'password authentication failed for user "bley"',
            "mariadb": "Access denied for user 'bley'",
            "redis": "invalid username-password pair",
        }
        _compare(folder, Case({"database": wrong}, (f"store: {_place(url)}: {why[engine]}",)))

    @pytest.mark.parametrize("engine", ["postgresql", "mariadb", "redis"])
    @pytest.mark.parametrize("is_prepared", [False, True])
    def test_a_server_that_accepts_no_writes(
        self, engine: str, is_prepared: bool, servers: Servers, folder: Path
    ) -> None:
        """A replica, say."""
        url = servers.new_url(engine)
        if is_prepared:
            assert _serve(_write(folder, Case({"database": url}, ())))[0] == 0
        says = (f"store: {_place(url)}: ",)
        server = servers.get(engine)
        server.set_read_only(True)
        try:
            said = run_bley(["check-config", "-c", _write(folder, Case({"database": url}, ()))]).stderr.decode()
        finally:
            server.set_read_only(False)
        lines = said.removeprefix("warning: ").splitlines()
        assert [line[: len(start)] for line, start in zip_longest(lines, says, fillvalue="")] == list(says)
        assert all(re.search("(?i)read.?only", line) for line in lines)

    def test_a_schema_in_which_bley_may_create_no_tables(self, servers: Servers, folder: Path) -> None:
        """PostgreSQL 15 gives that right to the owner of the database only."""
        url = servers.new_url("postgresql")
        name = database_of(url)
        servers.get("postgresql").sql(f"ALTER DATABASE {name} OWNER TO postgres")
        servers.get("postgresql").sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC", name)
        _compare(folder, Case({"database": url}, (f"store: {_place(url)}: permission denied for schema public",)))

    def test_a_user_who_may_only_read(self, servers: Servers, folder: Path) -> None:
        """MariaDB checks rights before it checks that a table is valid."""
        server, url = servers.get("mariadb"), servers.new_url("mariadb")
        server.sql("CREATE OR REPLACE USER reader IDENTIFIED BY 'secret'")
        server.sql(f"GRANT SELECT ON {database_of(url)}.* TO reader")
        url = re.sub("//[^@]*@", "//reader:secret@", url)
        file = _write(folder, Case({"database": url}, ()))
        for said in (run_bley(["check-config", "-c", file]).stderr.decode(), _serve(file)[1]):
            assert f"store: {_place(url)}: CREATE command denied to user 'reader'@" in said

    @pytest.mark.parametrize("engine", ["postgresql", "mariadb", "redis"])
    def test_an_empty_database_stays_empty(self, engine: str, servers: Servers, folder: Path) -> None:
        url = servers.new_url(engine)
        assert run_bley(["check-config", "-c", _write(folder, Case({"database": url}, ()))]).stderr == b""
        statement = {
            "redis": "DBSIZE",
            "mariadb": "SHOW TABLES",
            "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
        }
        assert servers.get(engine).ask(statement[engine], url).strip() in ("", "0")


class TestRunningBley:
    """The bley that runs with these settings is no fault, any other program is one."""

    @pytest.mark.parametrize("workers", [1, 2])
    def test_its_own_addresses_are_no_fault(self, folder: Path, workers: int) -> None:
        """It is known by its settings file, which web_listen names."""
        addresses, web = f"127.0.0.1, ::1, unix:{folder}/s", f"127.0.0.1:{free_port()}"
        with Bley(folder, listen_addr=addresses, listen_mode="0666", web_listen=web, workers=workers) as bley:
            for file in (bley.file, folder / ".." / folder.name / "bley.conf"):
                assert run_bley(["check-config", "-c", file], cwd=folder).stderr == b""
            assert bley.ask(recipient="postmaster@example.org") == "action=DUNNO"

    @pytest.mark.parametrize(("workers", "option"), [(1, "-c {}"), (2, "-c {}"), (1, "-c{}"), (1, "--config={}")])
    def test_without_a_web_it_is_known_by_its_command_line(self, folder: Path, workers: int, option: str) -> None:
        """It is a fresh interpreter, since a fork has the command line of its parent."""
        addresses = f"127.0.0.1, ::1, unix:{folder}/s"
        file = Bley(folder, listen_addr=addresses, listen_mode="0666", workers=workers).file
        command = [*BLEY, "serve", *option.format("bley.conf").split()]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout
                assert any(b", store " in line for line in process.stdout)
                assert run_bley(["check-config", "-c", file]).stderr == b""
            finally:
                process.terminate()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
    def test_another_user_knows_it_by_its_command_line_too(self, folder: Path) -> None:
        """Such a user cannot see which process listens at the port."""
        file = Bley(folder).file
        file.chmod(0o644)
        with subprocess.Popen([*BLEY, "serve", "-c", file], cwd=folder, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout
                assert any(b", store " in line for line in process.stdout)
                assert "in use" not in as_nobody(lambda: _checked(file))
            finally:
                process.terminate()
        with socket.create_server(("127.0.0.1", load(file).settings.listen_port)):
            assert "listen_addr: cannot listen at 127.0.0.1: Address already in use" in as_nobody(
                lambda: _checked(file)
            )

    @pytest.mark.parametrize("has_web", [True, False])
    def test_another_bley_with_the_same_addresses_is_named(self, folder: Path, has_web: bool) -> None:
        web = f"127.0.0.1:{free_port()}" if has_web else ""
        with Bley(folder, web_listen=web) as bley:
            other = folder / "other.conf"
            other.write_text(bley.file.read_text())
            ran = run_bley(["check-config", "-c", other])
            says = [
                "listen_addr: cannot listen at 127.0.0.1",
                f"web_listen: cannot listen at 127.0.0.1 port {web[10:]}",
            ]
            name = Path(f"/proc/{bley.process.pid}/comm").read_text().strip()
            by = f": Address already in use: by {name}, process {bley.process.pid}"
            assert ran.stderr.decode().splitlines() == [f"{what}{by}" for what in says[: 1 + has_web]]
            assert ran.returncode == 2

    def test_a_program_at_web_listen_that_never_answers_is_not_waited_for(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            ran = run_bley(["check-config", "-c", Bley(folder, web_listen=f"127.0.0.1:{port}").file])
        assert ran.stderr.decode().startswith(
            f"web_listen: cannot listen at 127.0.0.1 port {port}: Address already in use"
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
class TestRights:
    """bley runs as another user than root."""

    @pytest.mark.parametrize("name", ["bley.db", "bley.db-wal", "bley.key", "log"])
    def test_a_file_that_root_created_is_named(self, folder: Path, name: str) -> None:
        """By a `bley serve` that was started by hand, say. Root itself can open it, and so can the check."""
        file = _write(folder, Case({"log_file": f"{folder}/log", "privacy": "keyed-hash"}, ()))
        folder.joinpath(name).write_text(KEY if name == "bley.key" else "")
        os.chown(folder, NOBODY, NOBODY)
        ran = run_bley(["check-config", "-c", file])
        owner = folder.owner()
        assert ran.stderr.decode().splitlines()[-1] == (
            f"warning: {folder}/{name} belongs to root, and its folder to {owner}: bley as {owner} cannot use it: "
            f"chown {owner} {folder}/{name}"
        )
        os.chown(folder / name, NOBODY, NOBODY)
        assert b"belongs to root" not in run_bley(["check-config", "-c", file]).stderr

    @pytest.mark.parametrize(
        ("settings", "mode", "says"),
        [
            ({}, 0o755, "store: {folder}/bley.db: unable to open database file. User nobody may not create files in"),
            ({"log_file": "{folder}/log"}, 0o755, "log_file: {folder}/log cannot be opened: Permission denied"),
            ({"pid_file": "{folder}/pid"}, 0o755, "pid_file: {folder}/pid cannot be written: Permission denied"),
            (
                {"listen_mode": "0666", "listen_addr": "unix:{folder}/s"},
                0o755,
                "listen_addr: cannot listen at unix:{folder}/s: Permission denied: bley's user cannot create files in",
            ),
            (
                {"listen_mode": "0666", "listen_addr": "unix:{folder}/s", "listen_group": "daemon"},
                0o777,
                "listen_group: daemon cannot own unix:{folder}/s: Operation not permitted: ",
            ),
        ],
    )
    def test_both_say_what_this_user_may_not_do(
        self, settings: dict[str, str], mode: int, says: str, folder: Path
    ) -> None:
        file = _write(folder, Case({"dbpath": f"{folder}/db"} | settings, ()))
        if settings:
            folder.joinpath("db").mkdir()
            folder.joinpath("db").chmod(0o777)
        else:
            file = _write(folder, Case({}, ()))
        folder.chmod(mode)
        checked, served = as_nobody(lambda: _checked(file)), as_nobody(lambda: _started(file))
        start = says.format(folder=folder)
        assert [line[: len(start)] for line in checked.splitlines()] == [start]
        assert checked.strip() in served

    def test_a_database_that_this_user_may_only_read(self, folder: Path) -> None:
        """`serve` only reads at its start, and says so with the first mail."""
        assert _serve(_write(folder, Case({}, ())))[0] == 0
        for name in ("bley.db", "bley.conf"):
            folder.joinpath(name).chmod(0o644)
        folder.chmod(0o777)
        file = folder / "bley.conf"
        assert as_nobody(lambda: _checked(file)).startswith(
            f"store: {folder}/bley.db: attempt to write a readonly database. User nobody may not"
        )


def _checked(file: Path) -> str:
    report = asyncio.run(check_start(load(file), None))
    return "".join(f"{line}\n" for line in (*report.warnings, *report.faults))


def _started(file: Path) -> str:
    """Return what a bley says that stops as soon as it has started, or its fault."""
    said = StringIO()
    logging.getLogger("bley").addHandler(logging.StreamHandler(said))
    configuration = load(file)
    try:
        open_sink(configuration.settings.log_file)
        daemon = Daemon(configuration, lambda: configuration, logging.INFO)
        asyncio.run(daemon.run(lambda: os.kill(os.getpid(), signal.SIGTERM)))
    except SettingsError as error:
        return f"{said.getvalue()}{error}"
    return said.getvalue()


def test_a_part_that_takes_too_long_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up of a host name, say, which cannot be stopped."""
    gate = threading.Event()
    monkeypatch.setattr(start_check, "_SECONDS", 0.01)
    monkeypatch.setattr(start_check, "check_address", lambda *_: gate.wait())
    report = asyncio.run(start_check.check_start(load(_write(folder, Case({}, ()))), None))
    gate.set()
    assert "listen_addr: not checked, since that took more than 0.01 s" in report.warnings
    assert not report.faults


def _place(url: str) -> str:
    return str(parse_database(url))
