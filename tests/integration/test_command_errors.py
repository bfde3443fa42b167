"""Whatever fails around it, a command ends with a message: never with a traceback, and never as if it had succeeded."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.free_ports import free_port
from tests.integration.running_bley import BLEY, Bley, request_options
from tests.integration.warm_start import run_bley

MAIL = {
    "client_address": "198.51.100.7",
    "helo_name": "friend",
    "sender": "a@example.com",
    "recipient": "b@example.org",
}
PRINTING = {
    "explain": ["explain", *request_options(**MAIL)],
    "why --json": ["why", "--json", "example.com"],
    "why": ["why", "example.com"],
    "stats": ["stats"],
    "report": ["report"],
    "replay": ["replay"],
    "top": ["top", "--once"],
    "export": ["export"],
    "forget": ["forget", "--all", "--dry-run"],
    "list": ["list"],
    "allow --list": ["allow", "--list"],
    "purge": ["purge"],
    "check-config": ["check-config"],
    "doctor": ["doctor"],
    "lists --test": ["lists", "--test", "dead.example*0"],
    "import": ["import", "{folder}/records"],
    "--help": ["--help"],
}


@pytest.fixture(scope="module")
def bley(tmp_path_factory: pytest.TempPathFactory) -> Bley:
    """Return a bley with a few records, which has ended."""
    folder = tmp_path_factory.mktemp("bley")
    with Bley(folder, workers=1) as bley:
        bley.ask(**MAIL)
        bley.ask(**MAIL | {"sender": "jürgen@exämple.com"})
    bley.run("export", folder / "records")
    return bley


def command_of(bley: Bley, name: str) -> list[str]:
    command, *options = (each.format(folder=bley.file.parent) for each in PRINTING[name])
    return [command] if command == "--help" else [command, "-c", str(bley.file), *options]


def run(
    bley: Bley, name: str, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return run_bley(command_of(bley, name), env=env, cwd=cwd)


def run_fresh(bley: Bley, name: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run it in a new interpreter, whose start is under test."""
    settings: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    command = [*BLEY, *command_of(bley, name)]
    return subprocess.run(command, timeout=60, check=False, **settings | options)  # type: ignore[call-overload, no-any-return]


def is_in_words(ran: subprocess.CompletedProcess[bytes], lines: int = 1) -> str:
    """Return the message on standard error; the test fails if it has another number of lines."""
    said = ran.stderr.decode()
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert len(said.splitlines()) == lines, said
    return said


@pytest.mark.parametrize("name", PRINTING)
def test_a_full_disk_below_standard_output(bley: Bley, name: str) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = run_fresh(bley, name, stdout=full)
    assert is_in_words(ran) == "Error: standard output cannot be written: No space left on device\n"
    assert ran.returncode == 2


@pytest.mark.parametrize("name", ["explain", "top", "export", "--help"])
def test_a_reader_that_has_gone_is_no_error_to_read_of(bley: Bley, name: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ran = run_fresh(bley, name, stdout=writer)
    os.close(writer)
    is_in_words(ran, 0)
    assert ran.returncode == 1


@pytest.mark.parametrize("name", ["why --json", "stats", "export", "import"])
def test_standard_streams_that_are_closed(bley: Bley, name: str) -> None:
    """Streams are closed as by `>&-`: no file of bley may get their numbers."""

    def close() -> None:
        for number in (0, 1):
            os.close(number)

    ran = run_fresh(bley, name, stdin=None, stdout=None, preexec_fn=close)
    assert ran.returncode == 2
    is_in_words(ran)


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin1"}, {"LC_ALL": "C"}]
)
@pytest.mark.parametrize("name", ["why", "export", "check-config"])
def test_another_locale(bley: Bley, name: str, environment: dict[str, str]) -> None:
    """Characters outside the locale become backslash codes; records are UTF-8 all the same."""
    ran = run_fresh(bley, name, env=os.environ | environment)
    assert "Traceback" not in ran.stderr.decode()
    assert ran.returncode == 0, ran.stderr
    if name.startswith("export"):
        assert "jürgen@xn--exmple-cua.com" in ran.stdout.decode()


@pytest.mark.parametrize("name", ["explain", "top", "export"])
@pytest.mark.parametrize("dbtype", ["pgsql", "mysql", "redis"])
@pytest.mark.parametrize("dbhost", ["127.0.0.1", "a..b"])
def test_a_store_that_is_away(bley: Bley, tmp_path: Path, name: str, dbtype: str, dbhost: str) -> None:
    away = Bley(tmp_path, dbtype=dbtype, dbhost=dbhost, dbport=free_port())
    tmp_path.joinpath("records").write_bytes(bley.file.with_name("records").read_bytes())
    ran = run(away, name)
    if name in ("explain", "top"):
        assert "Traceback" not in ran.stderr.decode()
        return
    assert is_in_words(ran).startswith(f"Error: {dbtype} ")
    assert ran.returncode == 1


@pytest.mark.parametrize("name", ["explain", "stats", "export"])
@pytest.mark.parametrize(("dbtype", "module"), [("pgsql", "asyncpg"), ("mysql", "aiomysql"), ("redis", "redis")])
def test_a_driver_that_is_missing(tmp_path: Path, name: str, dbtype: str, module: str) -> None:
    bley = Bley(tmp_path, dbtype=dbtype)
    (tmp_path / "without" / module).mkdir(parents=True)
    (tmp_path / "without" / module / "__init__.py").write_text(f"raise ImportError('no {module}')\n")
    ran = run_fresh(bley, name, env=os.environ | {"PYTHONPATH": str(tmp_path / "without")})
    assert f"{dbtype} needs {module}, which is not installed: pip install" in is_in_words(ran)
    assert ran.returncode == 2


def damage(folder: Path) -> None:
    (folder / "bley.db").write_bytes(b"this is no database, " * 100)


def make_folder(folder: Path) -> None:
    (folder / "bley.db").mkdir()


@pytest.mark.parametrize("name", ["explain", "why", "import"])
@pytest.mark.parametrize("make", [damage, make_folder])
def test_a_file_that_is_no_store(tmp_path: Path, bley: Bley, name: str, make: Callable[[Path], None]) -> None:
    wrong = Bley(tmp_path)
    make(tmp_path)
    tmp_path.joinpath("records").write_bytes(bley.file.with_name("records").read_bytes())
    ran = run(wrong, name)
    assert "Traceback" not in ran.stderr.decode()
    if name not in ("explain", "top"):
        assert f"{tmp_path}/bley.db" in is_in_words(ran)
        assert ran.returncode == 1


class TestNamesThatAreNotUtf8:
    """The bytes of a file system have no encoding."""

    FOLDER = b"b\xfcro \x1b[31m"

    @pytest.mark.parametrize("name", ["explain", "export", "check-config", "stats"])
    def test_a_folder(self, tmp_path: Path, name: str) -> None:
        folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + self.FOLDER))
        folder.mkdir()
        (folder / "bley.conf").write_text("[bley]\ndnsbls =\ndnswls =\nuse_spf = 0\nweb_listen =\n")
        bley = Bley(tmp_path)
        bley.file = folder / "bley.conf"
        ran = run(bley, name, cwd=folder)
        assert "Traceback" not in ran.stderr.decode()
        assert b"\x1b" not in ran.stdout + ran.stderr

    @pytest.mark.parametrize("name", ["explain", "check-config"])
    def test_settings_that_are_not_there(self, tmp_path: Path, name: str) -> None:
        bley = Bley(tmp_path)
        bley.file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + self.FOLDER))
        ran = run(bley, name)
        assert ran.returncode == 2
        assert "b\\udcfcro \\x1b[31m: cannot be read: No such file or directory" in is_in_words(ran)

    def test_records(self, bley: Bley) -> None:
        name = Path(os.fsdecode(os.fsencode(bley.file.parent) + b"/r\xfc"))
        said = bley.run("export", name)
        assert "records exported" in said
        assert "2 records imported" in bley.run("import", name)

    @pytest.mark.parametrize(
        "url", [b"sqlite:///\xff", b"postgresql://u\xff@127.0.0.1/x", b"mysql://u:\xff@127.0.0.1/x"]
    )
    def test_a_url(self, bley: Bley, url: bytes) -> None:
        assert "the URL is not UTF-8" in bley.run("import", "bley", os.fsdecode(url), status=2)

    @pytest.mark.parametrize(
        "command", [["why", "\udcff@example.com"], ["forget", "--sender", "j\udcfcrgen@example.com"]]
    )
    def test_what_is_looked_for(self, bley: Bley, command: list[str]) -> None:
        ran = run_bley([command[0], "-c", bley.file, *command[1:]])
        assert "Traceback" not in ran.stderr.decode()

    @pytest.mark.parametrize("name", ["explain", "export"])
    def test_passwords(self, tmp_path: Path, name: str) -> None:
        bley = Bley(tmp_path, dbtype="pgsql", dbpass_file=tmp_path / "password")
        (tmp_path / "password").write_bytes(b"gehe\xfcm")
        assert "is not UTF-8" in is_in_words(run(bley, name))
        bley.write_settings(dbpass_file="")
        ran = run(bley, name, env=os.environ | {"BLEY_DBPASS": os.fsdecode(b"gehe\xfcm")})
        assert is_in_words(ran) == "BLEY_DBPASS: is not UTF-8\n"
        assert ran.returncode == 2

    def test_the_password_of_the_dashboard(self, tmp_path: Path) -> None:
        ran = run_bley(["web-password", tmp_path / "web"], input=b"gehe\xfcm geheim\n")
        assert is_in_words(ran) == "Error: the password is not UTF-8, the encoding that browsers send\n"
        assert ran.returncode == 2


@pytest.mark.parametrize("target", ["{folder}", "{folder}/none/records", "/dev/full", "/proc/records", "/"])
def test_records_that_cannot_be_written(bley: Bley, tmp_path: Path, target: str) -> None:
    target = target.format(folder=tmp_path)
    assert bley.run("export", target, status=1).startswith(f"Error: {target}: ")


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"{}", b"[" * 100_000, b'{"bley": "3", "format": 1, "privacy": "off"}\n' + b"[" * 100_000],
)
def test_records_that_are_none(bley: Bley, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "records").write_bytes(content)
    ran = run_bley(["import", "-c", bley.file, tmp_path / "records"])
    assert "Traceback" not in ran.stderr.decode()


@pytest.mark.parametrize("command", [["serve"], []], ids=["serve", "bley"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"log_file": "{folder}/none/log"}, "log_file: "),
        ({"pid_file": "{folder}/none/pid"}, "pid_file: "),
        ({"listen_addr": "unix:{folder}/none/socket"}, "listen_addr: "),
        ({"listen_addr": "192.0.2.1"}, "listen_addr: "),
        ({"web_listen": "192.0.2.1:1", "web_password_file": "{folder}/none"}, "web_password_file: "),
        ({"dbtype": "oracle"}, "dbtype = oracle: "),
    ],
)
def test_a_start_that_cannot_be(tmp_path: Path, command: list[str], settings: dict[str, str], message: str) -> None:
    file = tmp_path / "bley.conf"
    settings = {"log_file": f"{tmp_path}/log", "listen_port": "0", "web_listen": ""} | settings
    lines = (f"{key} = {value.format(folder=tmp_path)}\n" for key, value in settings.items())
    file.write_text("[bley]\n" + "".join(lines))
    ran = run_bley([*command, "-c", file], cwd=tmp_path)
    assert message in is_in_words(ran)
    assert ran.returncode == (1 if message == "listen_addr: " and command else 2)


@pytest.mark.parametrize("folder", ["/dev/null", "/dev/null/graphs", "/proc/graphs"])
def test_pictures_that_cannot_be_written(bley: Bley, folder: str) -> None:
    said = bley.run("graph", "-q", "-d", folder, status=1)
    assert said.startswith(f"Error: {folder}")
    assert "Traceback" not in said
