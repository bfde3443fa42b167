"""Unix sockets: their group, and what happens to their files. test_listeners.py has what is common to all listeners."""

import grp
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bley.core.errors import SettingsError
from bley.server.unix_socket import UnixAccess, UnixSocket
from tests.integration.servers import reachable_folder

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to any group")


@as_root
@pytest.mark.parametrize("mode", [0o660, 0o620])
def test_the_socket_belongs_to_the_group_before_anybody_can_connect(tmp_path: Path, mode: int) -> None:
    for group in (grp.getgrgid(NOBODY).gr_name, str(NOBODY)):
        opened = UnixSocket(f"unix:{tmp_path}/s", UnixAccess(mode, group))
        found = tmp_path.joinpath("s").stat()
        assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (NOBODY, mode)
        opened.remove_file()
        opened.socket.close()


def _open_as_nobody(path: Path, group: str) -> str:
    """Open a socket in a fork without privileges. Return its group, or the error."""
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            UnixSocket(f"unix:{path}", UnixAccess(0o660, group))
            said = path.group()
        except BaseException as error:  # noqa: BLE001 (the fork must not run the rest of the tests)
            said = str(error)
        os.write(writer, said.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as opened:
        return opened.read()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of nobody's."""
    with reachable_folder() as parent:
        folder = parent / "run"
        folder.mkdir()
        os.chown(folder, NOBODY, NOBODY)
        yield folder


@as_root
def test_a_group_that_is_not_bley_s_is_named_with_the_remedy_and_no_socket_is_left(folder: Path) -> None:
    """chown(2): the owner of a file may give it only to groups of which it is a member."""
    said = _open_as_nobody(folder / "s", "daemon")
    assert said == (
        f"listen_group: daemon cannot own unix:{folder}/s: Operation not permitted: add bley's user to this group, "
        f"or give it the folder: chgrp daemon and chmod g+s {folder}"
    )
    assert list(folder.iterdir()) == []


@as_root
def test_a_folder_with_the_set_group_id_bit_needs_no_membership(folder: Path) -> None:
    os.chown(folder, NOBODY, grp.getgrnam("daemon").gr_gid)
    folder.chmod(0o2750)
    assert _open_as_nobody(folder / "s", "daemon") == "daemon"


@as_root
def test_a_folder_in_which_bley_may_create_nothing_is_named(folder: Path) -> None:
    os.chown(folder, 0, 0)
    said = _open_as_nobody(folder / "s", "")
    assert said.endswith(f"Permission denied: bley's user cannot create files in {folder}")


@as_root
def test_a_dead_socket_of_another_user_is_no_process_that_listens(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "s"))
    folder.joinpath("s").chmod(0o600)
    said = _open_as_nobody(folder / "s", "")
    assert said.endswith("the socket of another user is there: stop its process, or remove the file")
    assert folder.joinpath("s").is_socket()


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=f"No such file or directory: create the folder {tmp_path}/none"):
        UnixSocket(f"unix:{tmp_path}/none/s", UnixAccess())


def test_a_group_that_vanished_leaves_no_socket(tmp_path: Path) -> None:
    """The settings were read when it still existed."""
    with pytest.raises(SettingsError, match="listen_group: no-such-group cannot own"):
        UnixSocket(f"unix:{tmp_path}/s", UnixAccess(0o660, "no-such-group"))
    assert list(tmp_path.iterdir()) == []


def test_the_path_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened = UnixSocket("unix:s", UnixAccess())
    assert tmp_path.joinpath("s").is_socket()
    opened.remove_file()
    opened.socket.close()
    assert not tmp_path.joinpath("s").exists()


@pytest.mark.parametrize("umask", [0, 0o777])
def test_the_umask_does_not_count(tmp_path: Path, umask: int) -> None:
    old = os.umask(umask)
    try:
        opened = UnixSocket(f"unix:{tmp_path}/s", UnixAccess(0o640))
    finally:
        assert os.umask(old) == umask
    assert stat.S_IMODE(tmp_path.joinpath("s").stat().st_mode) == 0o640
    opened.socket.close()


def test_the_socket_of_a_successor_stays_when_the_first_one_stops(tmp_path: Path) -> None:
    """The operator, say, removed the file while bley ran, and started another."""
    path = tmp_path / "s"
    first = UnixSocket(f"unix:{path}", UnixAccess())
    path.unlink()
    tmp_path.joinpath("other").touch()  # so that the inode is another one
    second = UnixSocket(f"unix:{path}", UnixAccess())
    first.remove_file()
    first.socket.close()
    assert path.is_socket()
    second.remove_file()
    second.socket.close()
    assert not path.exists()


def test_a_folder_and_a_link_to_nowhere_are_left_alone(tmp_path: Path) -> None:
    tmp_path.joinpath("link").symlink_to(tmp_path / "none")
    for path in (tmp_path, tmp_path / "link"):
        with pytest.raises(OSError, match="exists and is not a socket"):
            UnixSocket(f"unix:{path}", UnixAccess())
    assert [each.name for each in tmp_path.iterdir()] == ["link"]


def test_a_socket_behind_a_link_is_left_alone(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(f"{tmp_path}/other")
    tmp_path.joinpath("link").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="not a socket"):
        UnixSocket(f"unix:{tmp_path}/link", UnixAccess())
