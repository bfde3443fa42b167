"""The rights of every file: secrets that others may read, and files that bley's user may not."""

import grp
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from bley.commands.doctor.finding import Finding, fault, note, warning, well
from bley.operator_files import user_name
from bley.server.occupants import find_occupants
from bley.server.postfix_access import User
from bley.settings.file import Configuration

__all__ = ["examine_rights"]

_READ, _ENTER = 0o4, 0o1


def examine_rights(configuration: Configuration) -> Iterator[Finding]:
    """Yield what the modes of bley's files mean: for other users, and for bley's own."""
    findings = [*_open_secrets(configuration), *_writable_files(configuration), *_closed_files(configuration)]
    yield from findings
    if os.geteuid():
        yield note("rights", f"user {user_name()} cannot see every file", "", "sudo bley doctor")
    elif not findings:
        yield well("rights", "secrets are private, and bley's user can read its files")


def _open_secrets(configuration: Configuration) -> Iterator[Finding]:
    for file in filter(_is_seen, _secrets(configuration)):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & stat.S_IRWXO:
            what = f"every user may read {file}, mode {mode:04o}"
            yield warning("rights", what, "it has a secret, or the addresses of all mail", _command("chmod o=", file))


def _writable_files(configuration: Configuration) -> Iterator[Finding]:
    for file in filter(_is_seen, _read_files(configuration)):
        if stat.S_ISREG(file.stat().st_mode) and file.stat().st_mode & stat.S_IWOTH:
            why = "a local user may exempt any mail, or end the start"
            yield warning("rights", f"every user may write to {file}", why, _command("chmod o-w", file))


def _secrets(configuration: Configuration) -> Iterator[Path]:
    settings = configuration.settings
    if settings.store.dbtype == "sqlite3":
        for end in ("", "-wal", "-shm"):
            yield settings.store.file.with_name(settings.store.file.name + end)
    if settings.privacy != "off":
        yield configuration.key.file
    for name in (settings.web_password_file, settings.dbpass_file, settings.web_tls_key):
        if name:
            yield configuration.beside(name)


def _closed_files(configuration: Configuration) -> Iterator[Finding]:
    """Yield the settings and list files that bley's user may not read; only root sees them all."""
    number = _user_of_bley(configuration)
    if not number or os.geteuid():
        return
    user = User.of(number)
    for file in _read_files(configuration):
        path = file.resolve()
        for folder in reversed(path.parents):
            if not user.may_use(folder, _ENTER):
                yield _closed(user, f"enter {folder}", _command("chmod o+x", folder))
                break
        else:
            if _is_seen(path) and not user.may_use(path, _READ):
                yield _closed(user, f"read {path}", _command(f"chgrp {_group(user)}", path) + " && "
                              + _command("chmod g+r", path))  # fmt: skip


def _closed(user: User, what: str, remedy: str) -> Finding:
    why = "bley does not start, unless its unit passes the file by LoadCredential; a reload keeps the old settings"
    return fault("rights", f"user {user_name(user.number)}, as whom bley runs, may not {what}", why, remedy)


def _read_files(configuration: Configuration) -> Iterator[Path]:
    if configuration.file:
        yield configuration.file
    settings = configuration.settings
    for names in (
        settings.whitelist_recipients_file, settings.whitelist_clients_file, settings.whitelist_senders_file
    ):  # fmt: skip
        yield from map(configuration.beside, names)


def _user_of_bley(configuration: Configuration) -> int | None:
    """Return the user of the process at listen_addr, else the owner of the folder of bley's files."""
    settings = configuration.settings
    for address in settings.listen_addr:
        place = address.removeprefix("unix:") if address.startswith("unix:") else (address, settings.listen_port)
        for process in find_occupants(place):
            try:
                return Path(f"/proc/{process.number}").stat().st_uid
            except OSError:
                continue
    try:
        return settings.folder.stat().st_uid
    except OSError:
        return None


def _is_seen(file: Path) -> bool:
    """Return whether the file exists, as far as this user may enter its folder."""
    return os.access(file, os.F_OK)


def _group(user: User) -> str:
    """Return the main group of the user."""
    try:
        return grp.getgrgid(user.groups[0]).gr_name
    except (KeyError, IndexError):
        return str(user.number)


def _command(command: str, path: Path) -> str:
    return f"{command} {shlex.quote(str(path))}"
