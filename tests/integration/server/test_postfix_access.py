"""The warning that Postfix's user cannot connect to a unix socket; test_postfix_chroot.py has a real Postfix."""

import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from bley.server.postfix_access import find_barrier, find_socket_barrier
from bley.server.unix_socket import UnixAccess
from tests.integration.servers import reachable_folder

NOBODY = 65534


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that all may enter, on a machine whose user `postfix` is in no group but its own."""
    user = pwd.struct_passwd(("postfix", "x", 4321, 4322, "", "/", ""))
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {"postfix": user}[name])
    monkeypatch.setattr(os, "getgrouplist", lambda _, group: [group])
    with reachable_folder() as folder:
        yield folder


@pytest.mark.parametrize(
    ("mode", "group", "is_reached"),
    [(0o660, "4322", True), (0o666, "", True), (0o660, "", False), (0o640, "4322", False), (0o660, "0", False)],
)
def test_the_mode_and_group_decide(folder: Path, mode: int, group: str, is_reached: bool) -> None:
    barrier = find_barrier(f"unix:{folder}/s", UnixAccess(mode, group))
    assert bool(barrier) is not is_reached
    if barrier:
        name = grp.getgrgid(os.getegid()).gr_name if not group or group == "0" else group
        assert barrier == (
            f"listen_addr: unix:{folder}/s: mode {mode:04o} and group {name} do not let user postfix connect: "
            "set listen_group = postfix and listen_mode = 0660"
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to any group")
def test_a_folder_that_passes_on_its_group_counts(folder: Path) -> None:
    os.chown(folder, -1, 4322)
    folder.chmod(0o2755)
    assert find_barrier(f"unix:{folder}/s", UnixAccess()) == ""


def test_a_folder_that_postfix_cannot_enter_is_named(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    barrier = find_barrier(f"unix:{closed}/s", UnixAccess(0o666))
    assert barrier == f"listen_addr: unix:{closed}/s: user postfix cannot enter the folder {closed}: chmod +x {closed}"


def test_without_postfix_or_the_folder_nothing_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_barrier(f"unix:{folder}/none/s", UnixAccess()) == ""
    monkeypatch.setattr(pwd, "getpwnam", {}.__getitem__)
    assert find_barrier(f"unix:{folder}/s", UnixAccess()) == ""


def test_a_socket_that_another_program_created_counts_by_its_own_mode(folder: Path) -> None:
    """Such as one that systemd passes to bley."""
    closed = folder / "closed"
    closed.mkdir(mode=0o755)
    place = closed / "s"
    place.touch(mode=0o600)
    assert find_socket_barrier(place) == f"user postfix cannot write to the socket {place}"
    place.chmod(0o666)
    assert find_socket_barrier(place) == ""
    closed.chmod(0o700)
    assert find_socket_barrier(place) == f"user postfix cannot enter the folder {closed} of the socket {place}"
    assert find_socket_barrier(folder / "none") == ""
