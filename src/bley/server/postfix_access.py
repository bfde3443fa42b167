"""Whether Postfix's user can connect to a unix socket, by the modes of the socket and its folders.

Postfix itself would only log that it cannot, and with `default_action=DUNNO` all mail would pass without a check.
"""

import grp
import logging
import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from bley.server.unix_socket import UnixAccess
from bley.settings.values import group_id

__all__ = ["User", "find_barrier", "find_socket_barrier", "log_barriers"]

_USER = "postfix"
_WRITE, _ENTER = 0o2, 0o1

_log = logging.getLogger(__name__)


class User(NamedTuple):
    """A user and its groups, the main one first."""

    number: int
    groups: list[int]

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the user of this name. Raises KeyError if there is none."""
        entry = pwd.getpwnam(name)
        return cls(entry.pw_uid, os.getgrouplist(name, entry.pw_gid))

    @classmethod
    def of(cls, number: int) -> Self:
        """Return the user of this number, without groups if it has no name."""
        try:
            return cls.named(pwd.getpwuid(number).pw_name)
        except KeyError:
            return cls(number, [])

    def may(self, bit: int, mode: int, owner: int, group: int) -> bool:
        """Return whether a file's mode has this bit for the user (path_resolution(7))."""
        shift = 6 if owner == self.number else 3 if group in self.groups else 0
        return bool(mode >> shift & bit)

    def may_use(self, path: Path, bit: int) -> bool:
        """Return whether the file has this bit for the user. Raises OSError."""
        found = path.stat()
        return self.may(bit, found.st_mode, found.st_uid, found.st_gid)


def find_barrier(address: str, access: UnixAccess) -> str:
    """Return a warning that Postfix's user cannot connect to `unix:PATH`; empty if it can, or does not exist."""
    try:
        user = User.named(_USER)
        path = Path(address.removeprefix("unix:")).absolute()
        for folder in path.parents:
            if not user.may_use(folder, _ENTER):
                return f"listen_addr: {address}: user {_USER} cannot enter the folder {folder}: chmod +x {folder}"
        group = _group(path, access)
    except (KeyError, OSError, ValueError):
        return ""
    if user.may(_WRITE, access.mode, os.geteuid(), group):
        return ""
    what = f"mode {access.mode:04o} and group {_name(group)} do not let user {_USER} connect"
    return f"listen_addr: {address}: {what}: set listen_group = {_USER} and listen_mode = 0660"


def find_socket_barrier(path: Path) -> str:
    """Do the same for a socket that exists, such as one of systemd."""
    try:
        user = User.named(_USER)
        if closed := next((folder for folder in path.parents if not user.may_use(folder, _ENTER)), None):
            return f"user {_USER} cannot enter the folder {closed} of the socket {path}"
        is_open = user.may_use(path, _WRITE)
    except (KeyError, OSError):
        return ""
    return "" if is_open else f"user {_USER} cannot write to the socket {path}"


def _group(path: Path, access: UnixAccess) -> int:
    """Return the group that the socket has."""
    if access.group:
        return group_id(access.group)
    folder = path.parent.stat()
    return folder.st_gid if folder.st_mode & stat.S_ISGID else os.getegid()


def _name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)


def log_barriers(addresses: Iterable[str], access: UnixAccess) -> None:
    """Log each barrier between Postfix and a unix socket."""
    for address in addresses:
        if address.startswith("unix:") and (barrier := find_barrier(address, access)):
            _log.warning("%s", barrier)
