"""A unix socket: opened only where no other process listens; mode and group are set before the first connection."""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bley.core.errors import Fault, SettingsError
from bley.operator_files import check_creatable, explain_refusal
from bley.server.occupants import describe_occupant
from bley.settings.values import group_id

__all__ = ["UnixAccess", "UnixSocket", "check_unix_socket"]


@dataclass(frozen=True, slots=True)
class UnixAccess:
    """The file mode and group (`listen_mode`, `listen_group`) of unix sockets.

    An empty group leaves that of bley, or of a folder with the set-group-ID bit.
    """

    mode: int = 0o660
    group: str = ""


class UnixSocket:
    """A listening unix socket at `unix:PATH`; PATH is relative to the working directory.

    A stale socket file is replaced, and any other file stays. Raises OSError if PATH cannot be used, for example
    because another process listens there, and SettingsError if the file cannot have the group.
    """

    def __init__(self, address: str, access: UnixAccess) -> None:
        self._path = Path(address.removeprefix("unix:"))
        if _is_stale(self._path):
            self._path.unlink()
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self._bind()
        except OSError:
            self.socket.close()
            raise
        self._identity = _identity(self._path)
        try:
            if access.group:
                _set_group(self._path, access.group)
            self._path.chmod(access.mode)
            self.socket.listen()  # at once: another bley would take a socket that does not listen for stale
        except (OSError, SettingsError):
            self.remove_file()
            self.socket.close()
            raise
        self.socket.setblocking(False)

    def _bind(self) -> None:
        old = os.umask(0o777)  # prevents connections before group and mode are set
        try:
            with _explained(self._path):
                self.socket.bind(str(self._path))
        finally:
            os.umask(old)

    def remove_file(self) -> None:
        """Remove the socket's file, unless another process has replaced it. Call it before the socket is closed.

        Afterwards, a process that starts would take the file for stale, and replace it.
        """
        with contextlib.suppress(OSError):
            if _identity(self._path) == self._identity:
                self._path.unlink()


def check_unix_socket(address: str, access: UnixAccess) -> None:
    """Raise the errors of UnixSocket, as far as the folder and an existing file show them; change nothing."""
    path = Path(address.removeprefix("unix:"))
    _is_stale(path)
    with _explained(path):
        check_creatable(path)
    if access.group:
        with _group_faults(path, access.group):
            folder, number = path.absolute().parent.stat(), group_id(access.group)
            is_passed_on = folder.st_mode & stat.S_ISGID and folder.st_gid == number
            if not is_passed_on and os.geteuid() and number not in (os.getegid(), *os.getgroups()):
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def _is_stale(path: Path) -> bool:
    """Return whether there is a socket at which no process listens. Raises OSError if there is anything else."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.ENOTSOCK, "the file exists and is not a socket")
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        found = probe.connect_ex(str(path))
        if found == errno.EACCES:  # whether a process listens cannot be tried
            why = "the socket of another user is there: stop its process, or remove the file"
            raise OSError(errno.EADDRINUSE, why)
        if found != errno.ECONNREFUSED:
            # EAGAIN: its backlog is full
            raise OSError(errno.EADDRINUSE, f"another process listens there{describe_occupant(path)}")
    return True


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Add the remedy to the OSError of the block."""
    try:
        yield
    except FileNotFoundError as error:
        raise OSError(error.errno, f"{error.strerror}: create the folder {path.parent}") from error
    except PermissionError as error:
        why = f"{error.strerror}: bley's user cannot create files in {path.absolute().parent}"
        raise OSError(error.errno, why) from error
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        raise OSError(error.errno, explain_refusal(error, path)) from error


def _set_group(path: Path, group: str) -> None:
    with _group_faults(path, group):
        if path.lstat().st_gid != (number := group_id(group)):
            os.chown(path, -1, number)


@contextlib.contextmanager
def _group_faults(path: Path, group: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        remedy = f"add bley's user to this group, or give it the folder: chgrp {group} and chmod g+s {path.parent}"
        raise SettingsError([Fault("listen_group", 0, f"{group} cannot own unix:{path}: {why}: {remedy}")]) from error


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
