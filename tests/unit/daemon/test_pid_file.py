"""The pid file exists while bley runs, and nothing but a regular file is written or removed."""

import os
from pathlib import Path

import pytest

from bley.core.errors import SettingsError
from bley.daemon.pid_file import pid_file


def test_the_pid_file_is_there_meanwhile(tmp_path: Path) -> None:
    """In the place of an older one, which is longer."""
    file = tmp_path / "bley.pid"
    file.write_text("12345678901234567890\n")
    with pid_file(str(file)):
        assert file.read_text() == f"{os.getpid()}\n"
    assert not file.exists()


def test_other_users_cannot_write_to_the_pid_file(tmp_path: Path) -> None:
    """Otherwise `kill $(cat bley.pid)` of root would end a process of their choice."""
    old = os.umask(0)
    try:
        with pid_file(str(tmp_path / "bley.pid")):
            assert (tmp_path / "bley.pid").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(old)


@pytest.mark.parametrize("name", ["fifo", "device", "folder"])
def test_what_is_no_file_is_not_written_to_nor_removed(tmp_path: Path, name: str) -> None:
    """To write into a FIFO would wait for its reader; to remove /dev/null would be worse."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(SettingsError, match=f"^pid_file: {tmp_path}/{name} cannot be written: "),
        pid_file(str(tmp_path / name)),
    ):
        pass
    assert (tmp_path / name).exists()
