"""A command or a bley without the right to a file says which user has it, and the command that helps, in one line."""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from bley import cli
from bley.corrections.errors import CorrectionError
from bley.corrections.local_file import LocalFile
from bley.operator_files import deny_reading
from bley.settings import file as settings_file
from tests.free_ports import free_port
from tests.integration.nobody import NOBODY, as_nobody
from tests.integration.running_bley import Bley, request_options
from tests.integration.servers import reachable_folder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

READING = {
    "why": ["why", "b@example.org"],
    "stats": ["stats"],
    "report": ["report"],
    "replay": ["replay"],
    "top": ["top", "--once", "-s", "0.1"],
    "export": ["export"],
    "forget": ["forget", "--all"],
    "pass": ["pass", "--sender", "a@example.com"],
    "explain": ["explain", *request_options(client_address="192.0.2.1", sender="a@example.com", recipient="b@c.de")],
}
ONLY_ROOT = "run `sudo bley …`; or, if nobody is bley's user, as root "


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that nobody may enter, with the settings and the store of a bley that has run."""
    with reachable_folder() as folder:
        with Bley(folder, workers=1, privacy="keyed-hash", web_listen="") as bley:
            bley.ask(client_address="192.0.2.1", helo_name="friend", sender="a@example.com", recipient="b@example.org")
        for name in ("bley.conf", "bley.key"):
            (folder / name).chmod(0o644)
        yield folder


def run(folder: Path, *command: str, file: bool = True) -> str:
    """Return all that the command prints as nobody."""
    for module in (module for group in cli.GROUPS.values() for module in group.values()):
        import_module(f"bley.commands.{module}")
    import_module("bley.commands.top.display")
    options = ["-c", str(folder / "bley.conf")] if file else []
    return as_nobody(lambda: str(CliRunner().invoke(cli.main, [*options, *command]).output))


@pytest.mark.parametrize("name", READING)
def test_a_store_of_another_user(folder: Path, name: str) -> None:
    for path in (folder, folder / "bley.db"):
        os.chown(path, 1, 1)
    said = run(folder, *READING[name])
    assert (
        f"{folder}/bley.db: unable to open database file. User nobody may not write to {folder}/bley.db: "
        f"run `sudo -u {folder.owner()} bley …`; or, if nobody is bley's user, "
        f"as root `chown nobody: {folder}/bley.db*`"
    )[: 150 if name == "top" else None] in said
    assert name in ("explain", "top") or len(said.splitlines()) == 1


@pytest.mark.parametrize("name", READING)
def test_a_folder_that_this_user_may_not_enter(folder: Path, name: str) -> None:
    """As /var/lib/private, where systemd has the folders of units with DynamicUser."""
    private = folder / "private"
    private.mkdir(mode=0o700)
    (folder / "link").symlink_to("private/bley")
    (folder / "bley.conf").write_text(
        f"[bley]\nweb_listen =\nuse_spf = 0\ndnsbls =\ndnswls =\ndbpath = {folder}/link\n"
    )
    said = run(folder, *READING[name])
    assert (
        f"unable to open database file. User nobody may not enter {private}: {ONLY_ROOT}"
        f"`chgrp nogroup {private} && chmod g+x {private}`"
    )[: 110 if name == "top" else None] in said
    assert name in ("explain", "top") or len(said.splitlines()) == 1


def test_doctor_goes_on_where_this_user_may_not_enter(folder: Path) -> None:
    """It examines what is left, and says why the store cannot be opened."""
    private = folder / "private"
    private.mkdir(mode=0o700)
    (folder / "bley.conf").write_text(f"[bley]\nweb_listen =\nuse_spf = 0\ndnsbls =\ndnswls =\ndbpath = {private}\n")
    said = run(folder, "doctor")
    assert f"User nobody may not enter {private}" in said
    assert "clock" in said


@pytest.mark.parametrize("name", ["bley.db", "bley.db-wal", "bley.db-shm"])
def test_a_file_that_root_restored_in_the_folder_of_bley(folder: Path, name: str) -> None:
    (folder / name).touch()
    for path in (folder, *folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    os.chown(folder / name, 0, 0)
    (folder / name).chmod(0o600)
    assert run(folder, "export") == (
        f"Error: {folder}/bley.db: unable to open database file. User nobody may not write to {folder}/{name}: "
        f"as root, run `chown nobody: {folder}/bley.db*`\n"
    )


@pytest.mark.parametrize("name", ["bley.conf", "bley.key"])
@pytest.mark.parametrize("command", ["stats", "explain", "serve", "check-config"])
def test_settings_and_keys_that_this_user_may_not_read(folder: Path, name: str, command: str) -> None:
    (folder / name).chmod(0o600)
    said = run(folder, *READING.get(command, [command]))
    place = f"{folder}/{name}" if name == "bley.conf" else f"privacy_key_file: {folder}/{name}"
    assert said == (
        f"{place}{':' if name == 'bley.conf' else ''} cannot be read: Permission denied. User nobody may not read "
        f"{folder}/{name}: {ONLY_ROOT}`chgrp nogroup {folder}/{name} && chmod g+r {folder}/{name}`\n"
    )


def test_default_settings_that_this_user_may_not_reach(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not skipped: the next file, or the defaults, would be other settings."""
    monkeypatch.setattr(settings_file, "DEFAULT_FILES", (folder / "bley.conf", folder / "none"))
    folder.chmod(0o700)
    said = run(folder, "stats", file=False)
    assert said.startswith(f"{folder}/bley.conf: cannot be read: Permission denied. User nobody may not enter {folder}")
    assert len(said.splitlines()) == 1


def test_any_other_file_is_named(folder: Path) -> None:
    """Such as the folder of postgrey, whose files another user has."""
    folder.joinpath("postgrey").mkdir(mode=0o700)
    said = run(folder, "import", "postgrey", str(folder / "postgrey"))
    assert said.startswith("Error: ")
    assert str(folder / "postgrey") in said
    assert len(said.splitlines()) == 1


def test_a_start_beside_the_bley_of_another_user() -> None:
    """This user cannot see the process that has the port, but the bley that answers at web_listen."""
    web = f"127.0.0.1:{free_port()}"
    with reachable_folder() as folder, Bley(folder, web_listen=web) as bley:
        own = folder / "nobody" / "bley.conf"
        own.parent.mkdir()
        own.parent.chmod(0o777)
        own.write_text(
            f"[bley]\nlisten_port = {bley.port}\nweb_listen = {web}\ndbpath = {own.parent}\ndnsbls =\ndnswls =\n"
            f"log_file = {own.parent}/log\n"
        )
        import_module("bley.commands.serve")
        said = as_nobody(lambda: str(CliRunner().invoke(cli.main, ["-c", str(own), "serve"]).output))
    assert said.splitlines() == [
        "listen_addr: cannot listen at 127.0.0.1: Address already in use",
        f"{web}: another bley runs, with {bley.file}, and listens on 127.0.0.1:{bley.port}",
    ]


def test_a_folder_that_the_unit_hides_has_the_line_that_shows_it() -> None:
    """The remedy of other folders, chgrp, would open the home folders of all users."""
    with reachable_folder() as folder:
        home = folder / "home"
        home.mkdir(mode=0)
        remedy = f"The unit of systemd hides {home}: move the file, or run `systemctl edit bley`: ProtectHome=read-only"
        assert as_nobody(lambda: deny_reading(home / "lists/clients")) == remedy


def test_root_follows_no_link_in_the_folder_of_bley(folder: Path) -> None:
    """bley's user could put it there, so that a command of root writes to a file of root."""
    victim = folder / "victim"
    victim.write_text("precious")
    victim.chmod(0o644)
    for name in ("bley.db-wal", "bley.db-shm"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(victim)
    for command in (["purge"], ["forget", "--all", "--yes"], ["list"]):
        ran = CliRunner().invoke(cli.main, ["-c", str(folder / "bley.conf"), *command])
        assert ran.exit_code == 1
        assert "unable to open database file" in ran.output
    assert victim.read_text() == "precious"
    assert victim.stat().st_mode & 0o777 == 0o644


def test_a_list_file_that_this_user_may_not_change(folder: Path) -> None:
    """The dashboard names the command instead of a form, before anything is tried."""
    configuration = settings_file.load(folder / "bley.conf")

    def read() -> str:
        try:
            LocalFile.read(configuration, "sender")
        except CorrectionError as error:
            return str(error)
        return ""

    why = (
        f"{folder}/whitelist_senders.local: user nobody may not write to it and to its folder: run `sudo bley allow …`"
    )
    assert as_nobody(read) == why
    os.chown(folder, NOBODY, NOBODY)
    assert as_nobody(read) == ""
    assert not (folder / "whitelist_senders.local").exists()
