"""systemd's units in contrib/: bley starts when possible, and has its folders."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from bley.commands.ending import EXIT_FAILED, EXIT_WRONG_SETTINGS
from bley.server.listeners import MAX_DESCRIPTORS
from tests.conftest import IN_CI
from tests.integration.running_bley import Bley

CONTRIB = Path(__file__).parents[2] / "contrib"
UNITS = sorted(path.name for path in CONTRIB.iterdir() if path.suffix in (".service", ".timer", ".socket"))


def _unit(name: str) -> dict[str, list[str]]:
    """Return the values of each key, which may occur several times."""
    values: dict[str, list[str]] = defaultdict(list)
    for line in (CONTRIB / name).read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values[key] += value.split()
    return values


BLEY = _unit("bley.service")


def test_a_boot_does_not_wait_for_the_network() -> None:
    """bley retries all that it lacks, and network-online.target may take two minutes. A local store starts first."""
    assert BLEY["Wants"] == []
    assert "network-online.target" not in BLEY["After"]
    assert {"postgresql.service", "mariadb.service", "redis-server.service", "nss-lookup.target"} <= set(BLEY["After"])


def test_it_is_started_again_until_its_address_is_there() -> None:
    """But not with invalid settings, which no retry makes valid: the fault would fill the journal."""
    assert BLEY["Restart"] == ["on-failure"]
    assert BLEY["RestartPreventExitStatus"] == [str(EXIT_WRONG_SETTINGS)]
    assert str(EXIT_FAILED) not in BLEY["SuccessExitStatus"]
    assert BLEY["StartLimitIntervalSec"] == ["0"], "else systemd gives up after some attempts"
    assert int(BLEY["RestartSec"][0]) >= 1, "each attempt logs its fault"


def test_its_user_exists_while_it_does_not_run() -> None:
    """So bley.conf can belong to root:bley with mode 0640, and `sudo -u bley bley stats` works."""
    assert BLEY["User"] == ["bley"]
    assert "DynamicUser" not in BLEY
    assert BLEY["StateDirectoryMode"] == ["0750"]
    assert BLEY["RemoveIPC"] == BLEY["RestrictSUIDSGID"] == ["yes"], "which DynamicUser implies"


def test_it_has_the_folder_of_every_file_that_contrib_speaks_of() -> None:
    """All other folders are read-only for it."""
    assert BLEY["ProtectSystem"] == ["strict"]
    speaks = "".join(path.read_text(encoding="utf-8") for path in CONTRIB.glob("bley*") if path.is_file())
    for place, key in (("log", "LogsDirectory"), ("lib", "StateDirectory"), ("run", "RuntimeDirectory")):
        folders = set(re.findall(rf"(?<!\w)(?:/var)?/{place}/(bley)(?![\w-])", speaks))
        assert folders <= set(BLEY[key]), key
    assert re.search(r"/var/log/bley/bley\.log", speaks)
    assert BLEY["LogsDirectoryMode"] == ["0750"]


def test_the_log_is_not_for_everybody() -> None:
    assert BLEY["UMask"] == ["0027"]


def test_it_has_more_descriptors_than_connections() -> None:
    assert int(BLEY["LimitNOFILE"][0]) >= MAX_DESCRIPTORS


def test_a_forbidden_system_call_is_an_error_and_not_the_end() -> None:
    """A library may try a call and do without it."""
    assert BLEY["SystemCallErrorNumber"] == ["EPERM"]
    assert "@chown" in BLEY["SystemCallFilter"], "for listen_group"


NEEDS_ANALYZE = pytest.mark.skipif(
    not shutil.which("systemd-analyze") and not IN_CI, reason="there is no systemd-analyze: install systemd"
)


@NEEDS_ANALYZE
def test_it_may_do_little() -> None:
    """The exposure is that of systemd-analyze's ten-point scale; docs/install.md has the reasons for what is left."""
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=15"]
    subprocess.run([*command, CONTRIB / "bley.service"], check=True, stdout=subprocess.DEVNULL)


@NEEDS_ANALYZE
@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_every_line(name: str, tmp_path: Path) -> None:
    for unit in UNITS:
        text = (CONTRIB / unit).read_text(encoding="utf-8")
        (tmp_path / unit).write_text(re.sub("(?m)^ExecStart=.*", "ExecStart=/bin/true", text))
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert [line for line in said.stderr.splitlines() if str(tmp_path) in line or "nknown" in line] == []


def test_a_backup_can_be_restored_as_documented(tmp_path: Path) -> None:
    """The commands are those of docs/stores.md, without systemctl and chown. A WAL of the old file stays behind."""
    with Bley(tmp_path, workers=1) as bley:
        bley.ask(client_address="192.0.2.1", helo_name="friend", sender="a@example.com", recipient="b@example.org")
    bley.run("backup", tmp_path / "copy.db")
    kept = bley.run("export")
    tmp_path.joinpath("bley.db").write_bytes(b"damaged")
    tmp_path.joinpath("bley.db-wal").write_bytes(b"of the damaged file")
    text = CONTRIB.parent.joinpath("docs/stores.md").read_text(encoding="utf-8")
    [restore] = (block for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "chown" in block)
    commands = restore.replace("/var/lib/bley", str(tmp_path)).splitlines()
    lines = [re.sub(r"/var/backups/\S+", str(tmp_path / "copy.db"), line) for line in commands]
    own = [line for line in lines if not line.startswith(("systemctl", "chown"))]
    subprocess.run(["sh", "-ec", "\n".join(own)], check=True)
    assert bley.run("export") == kept
