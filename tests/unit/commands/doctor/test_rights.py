"""Secrets that others may read, and files of bley that others may write; the files are real, and the user is any."""

from pathlib import Path

import pytest

from bley.commands.doctor.finding import Finding, Level
from bley.commands.doctor.rights import examine_rights
from bley.settings.file import load


def _examine(folder: Path, modes: dict[str, int], settings: str = "") -> list[Finding]:
    """Examine a bley whose files in the folder have these modes."""
    file = folder / "bley.conf"
    file.write_text(f"[bley]\ndbpath = {folder}\nlisten_addr = unix:{folder}/none.sock\n{settings}")
    folder.joinpath("whitelist_clients").write_text("192.0.2.1\n")
    for name, mode in modes.items():
        path = folder / name
        path.touch()
        path.chmod(mode)
    return [finding for finding in examine_rights(load(file)) if finding.level is not Level.NOTE]


@pytest.mark.parametrize("name", ["bley.db", "bley.db-wal", "password file"])
def test_a_secret_that_every_user_may_read(tmp_path: Path, name: str) -> None:
    """The remedy is a command for the shell, whatever the file is called."""
    (found,) = _examine(tmp_path, {name: 0o644}, "dbpass_file = password file\n" if " " in name else "")
    quoted = f"'{tmp_path}/{name}'" if " " in name else f"{tmp_path}/{name}"
    assert (found.level, found.what) == (Level.WARNING, f"every user may read {tmp_path}/{name}, mode 0644")
    assert found.remedy == f"chmod o= {quoted}"


@pytest.mark.parametrize("name", ["bley.conf", "whitelist_clients"])
def test_a_file_that_every_user_may_write(tmp_path: Path, name: str) -> None:
    (found,) = _examine(tmp_path, {name: 0o666})
    assert (found.level, found.what) == (Level.WARNING, f"every user may write to {tmp_path}/{name}")
    assert found.remedy == f"chmod o-w {tmp_path}/{name}"


def test_private_secrets_and_readable_files_are_well(tmp_path: Path) -> None:
    found = _examine(tmp_path, {"bley.db": 0o640, "bley.conf": 0o644, "whitelist_clients": 0o644})
    assert [finding.level for finding in found] in ([Level.WELL], [])  # a user who is not root cannot tell


def test_a_database_server_has_no_file_of_ours(tmp_path: Path) -> None:
    assert _examine(tmp_path, {"bley.db": 0o644}, "database = redis://127.0.0.1\n") == [
        finding for finding in _examine(tmp_path, {"bley.db": 0o600}) if finding.level is Level.WELL
    ]
