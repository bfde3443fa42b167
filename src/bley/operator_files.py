"""Safe reading of the files that the operator names: settings, lists, passwords, keys.

A wrong name must not block a start or a reload forever: it may be a FIFO without a writer, or an endless device. So
only regular files and character devices are read, without waiting and up to a size limit.

If this process's user may not use a file, either a command runs as a wrong user, or a file of bley's belongs to one.
The process cannot know which, so the error names the remedy of both.
"""

import codecs
import errno
import grp
import os
import pwd
import shlex
import stat
from pathlib import Path

__all__ = [
    "LONGEST_FILE",
    "check_creatable",
    "check_name",
    "deny_reading",
    "explain_absence",
    "explain_refusal",
    "find_closed_folder",
    "hand_over",
    "may_recover",
    "permit_writing",
    "read_text",
    "user_name",
]

LONGEST_FILE = 64 * 1024 * 1024
"""Bytes. A list file of a million lines has some 20 MB."""

_LONGEST_NAME = 255
"""NAME_MAX: bytes of each part of a path."""

_WRITABLE_FOLDERS = ("STATE_DIRECTORY", "LOGS_DIRECTORY", "RUNTIME_DIRECTORY")
"""The environment variables in which systemd names the folders that its unit may write to (systemd.exec(5))."""

_RECOVERABLE = {errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO}
"""Errors of a disk, not of a setting."""

_CREDENTIALS = Path("/run/credentials")
"""Below it, systemd has a folder of credentials for each unit that runs (systemd.exec(5), LoadCredential=)."""

_LONGEST_PATH = 4095
"""PATH_MAX less the final NUL: bytes of a path."""


def check_name(name: str) -> str:
    """Return the name unchanged. Raises ValueError if no file can have it."""
    if "\0" in name:
        raise ValueError("has a NUL character, which no file's name has")
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError as error:
        raise ValueError("has characters that no file's name has here") from error
    if len(encoded) > _LONGEST_PATH or any(len(part) > _LONGEST_NAME for part in encoded.split(b"/")):
        raise ValueError(f"is too long for a file: {_LONGEST_PATH} bytes at most, {_LONGEST_NAME} between slashes")
    return name


def read_text(file: Path, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Return the text of a file, with LF as the line end. A byte order mark of UTF-16 overrides `utf-8-sig`.

    Raises UnicodeDecodeError, and OSError: also for an impossible name, a path that is not a file, and a file that is
    too large.
    """
    data = _read(file)
    if encoding == "utf-8-sig" and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding, errors = "utf-16", "strict"
    return data.decode(encoding, errors).replace("\r\n", "\n").replace("\r", "\n")


def _read(file: Path) -> bytes:
    try:
        # O_NONBLOCK: opening a FIFO would wait for a writer.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except PermissionError as error:
        why = ". ".join(filter(None, (error.strerror, deny_reading(file))))
        raise PermissionError(error.errno, why, str(file)) from error
    except FileNotFoundError as error:
        why = ": ".join(filter(None, (error.strerror, explain_absence(file))))
        raise FileNotFoundError(error.errno, why, str(file)) from error
    except ValueError as error:  # a NUL in the name, or characters that the system's encoding lacks
        raise OSError(errno.EINVAL, "no file can have this name") from error
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):
            raise OSError(errno.EINVAL, "it is not a file", str(file))
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            data = opened.read(LONGEST_FILE + 1) or b""
    finally:
        os.close(descriptor)
    if len(data) > LONGEST_FILE:
        raise OSError(errno.EFBIG, f"it has more than {LONGEST_FILE // 1024 // 1024} MB", str(file))
    return data


def check_creatable(file: Path) -> None:
    """Raise the OSError that creating this file would raise, as far as the folder shows it; create nothing."""
    folder = file.absolute().parent
    if not stat.S_ISDIR(folder.stat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(file))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))


def deny_reading(file: Path) -> str:
    """Return why this user may not read the file, and the remedy; empty if its rights are not the reason."""
    folder = find_closed_folder(file)
    if folder and not stat.S_IMODE(folder.stat().st_mode):  # systemd.exec(5), ProtectHome=
        return f"The unit of systemd hides {folder}: move the file, or run `systemctl edit bley`: ProtectHome=read-only"
    denied = folder or file
    if not folder and (os.access(file, os.R_OK) or not os.access(file, os.F_OK)):
        return ""
    try:
        group = grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        group = str(os.getegid())
    verb, right = ("enter", "x") if folder else ("read", "r")
    name = shlex.quote(str(denied))
    change = f"chgrp {group} {name} && chmod g+{right} {name}"
    return f"User {user_name()} may not {verb} {denied}: {_other_user(denied)}`{change}`"


def hand_over(denied: Path, files: str = "") -> str:
    """Return the remedy for a file or folder that this user may not use; `files` is the argument of chown."""
    change = f"chown {user_name()}: {files or shlex.quote(str(denied))}"
    if denied.parent.stat().st_uid == os.geteuid():
        return f"as root, run `{change}`"
    return f"{_other_user(denied)}`{change}`"


def explain_absence(file: Path) -> str:
    """Return where a missing file comes from if it is a credential of systemd; else nothing."""
    if file.parent.parent != _CREDENTIALS:
        return ""
    unit = file.parent.name
    return f"systemd creates it while {unit} runs, if {unit} has LoadCredential={file.name}:FILE"


def explain_refusal(error: OSError, file: Path) -> str:
    """Return the text of an error that writing the file raised, with the remedy if the unit of systemd is the cause."""
    remedy = permit_writing(file.absolute().parent) if error.errno == errno.EROFS else ""
    return ": ".join(filter(None, (error.strerror, remedy)))


def may_recover(error: OSError, file: Path) -> bool:
    """Return whether writing the file may succeed later, as on a disk that is full or, at boot, read-only."""
    return error.errno in _RECOVERABLE and not permit_writing(file.absolute().parent)


def permit_writing(folder: Path) -> str:
    """Return how a read-only folder becomes writable in a unit of systemd; empty if it is not, or in no unit."""
    writable = [path for name in _WRITABLE_FOLDERS if name in os.environ for path in os.environ[name].split(":")]
    is_permitted = any(folder.is_relative_to(path) for path in writable)
    if not writable or is_permitted or not os.statvfs(folder).f_flag & os.ST_RDONLY:
        return ""
    return f"the unit may write below {', '.join(writable)}; run `systemctl edit bley`: ReadWritePaths={folder}"


def find_closed_folder(file: Path) -> Path | None:
    """Return the first folder on the way to the file that this user may not enter, links followed."""
    for folder in reversed(Path(os.path.realpath(file)).parents):
        if not os.access(folder, os.F_OK):
            return None
        if not os.access(folder, os.X_OK):
            return folder
    return None


def user_name(number: int | None = None) -> str:
    """Return the name of a user, or its number if it has none; by default that of this process."""
    number = os.geteuid() if number is None else number
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # such as that of a unit with DynamicUser that does not run
        return str(number)


def _other_user(denied: Path) -> str:
    owner = denied.stat().st_uid
    sudo = "sudo" if owner == 0 else f"sudo -u {user_name(owner)}"
    return f"run `{sudo} bley …`; or, if {user_name()} is bley's user, as root "
