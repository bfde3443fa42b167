"""The records of postgrey: its Berkeley DB files, read with Debian's db5.3-util.

    postgrey.db            key `network/sender/recipient`, value `first,last` in seconds since 1970 UTC
    postgrey_clients.db    key `address`, value `count,last`: its passes, counted at most once an hour

While postgrey runs, the files lag an hour behind its log. A program that joins its environment (`db_dump -h`) writes
into it without a lock. So this module copies the files, then the log, and recovers the copy: no record is missed, and
postgrey's own files stay untouched.

`network` is the client's address after --ipv4cidr or --ipv6cidr, without the prefix: 192.0.2.0 is read as a /24, and
2001:db8:0:1:0:0:0:0 as a /64. With --lookup-by-host it is `192.0.2.7/32`.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO

from bley.core.greylist import Record, Status
from bley.core.imported_record import ImportedRecord
from bley.core.triplet import ANY
from bley.predecessors.errors import PredecessorError
from bley.predecessors.values import UNREADABLE, masked_network, parse_instant, parse_text, single_address

__all__ = ["HASHED", "TOO_FEW", "read_postgrey"]

HASHED = "its key is hashed (postgrey --privacy)"
TOO_FEW = "its client has not passed often enough (postgrey --auto-whitelist-clients)"

_TRIPLETS = "postgrey.db"
_CLIENTS = "postgrey_clients.db"

_HASH = re.compile(r"[0-9a-f]{40}")
_CLIENT_AND_REST = re.compile(r"([^/]+)/(32/|128/)?(.*)", re.DOTALL)
# A local part can have slashes, a domain has none. A sender without @ is the null sender or a local name.
_SENDER_AND_RECIPIENT = re.compile(r"(.*?@[^/@]*|[^/@]*)/(.+)", re.DOTALL)
_TWO_NUMBERS = re.compile(r"([0-9]{1,18}),([0-9]{1,18})(?:,.*)?", re.DOTALL)

_COPIES = 5
"""Attempts to copy the files. An attempt fails if postgrey removes an old log meanwhile, which it does once an hour."""


def read_postgrey(folder: Path, delay: timedelta, whitelist_after: int = 5) -> Iterator[ImportedRecord | str]:
    """Yield each record in postgrey's --dbdir, or the reason why it is skipped; postgrey may run meanwhile.

    `delay` and `whitelist_after` are its --delay and --auto-whitelist-clients, 0 for off. Raises PredecessorError if
    postgrey.db is missing or unreadable, or if db5.3-util is not installed.
    """
    dump, recover = _program("dump"), _program("recover")
    with tempfile.TemporaryDirectory(prefix="bley-postgrey-") as temporary:
        copy = _copy(folder, Path(temporary))
        if any(copy.glob("log.*")):
            # From the first log on (-c), since the copy may be older than the last checkpoint.
            ran = subprocess.run([recover, "-c", "-h", copy], capture_output=True, check=False)
            if ran.returncode:
                raise PredecessorError(f"{folder} cannot be read: {_first_line(ran.stderr)}")
        for key, value in _records(dump, copy / _TRIPLETS):
            yield _triplet(key, value, delay)
        if whitelist_after and (copy / _CLIENTS).exists():
            for key, value in _records(dump, copy / _CLIENTS):
                yield _client(key, value, whitelist_after)


def _triplet(key: str, value: str, delay: timedelta) -> ImportedRecord | str:
    if _HASH.fullmatch(key):
        return HASHED
    if not (parts := _CLIENT_AND_REST.fullmatch(key)) or not (addresses := _SENDER_AND_RECIPIENT.fullmatch(parts[3])):
        return UNREADABLE
    network = (single_address if parts[2] else masked_network)(parts[1])
    times = _TWO_NUMBERS.fullmatch(value)
    first, last = (parse_instant(times[1]), parse_instant(times[2])) if times else (None, None)
    if network is None or first is None or last is None:
        return UNREADABLE
    status = Status.CLEAN if last - first >= delay else Status.GREYLISTED
    return ImportedRecord(network, addresses[1], addresses[2], Record(status, first, last))


def _client(key: str, value: str, whitelist_after: int) -> ImportedRecord | str:
    if _HASH.fullmatch(key):
        return HASHED
    network, numbers = single_address(key), _TWO_NUMBERS.fullmatch(value)
    if network is None or numbers is None or (last := parse_instant(numbers[2])) is None:
        return UNREADABLE
    if int(numbers[1]) < whitelist_after:
        return TOO_FEW
    return ImportedRecord(network, ANY, ANY, Record(Status.CLEAN, last, last))


def _copy(folder: Path, temporary: Path) -> Path:
    """Copy the files and all logs that their recovery needs; return the folder of the copy."""
    try:
        if not (folder / _TRIPLETS).is_file():
            raise PredecessorError(f"{folder} is not a folder with {_TRIPLETS}")
        for number in range(_COPIES):
            copy = temporary / str(number)
            copy.mkdir()
            logs = set(folder.glob("log.*"))
            for name in (_TRIPLETS, _CLIENTS):
                if (folder / name).exists():
                    shutil.copyfile(folder / name, copy / name)
            try:
                for log in folder.glob("log.*"):
                    shutil.copyfile(log, copy / log.name)
            except FileNotFoundError:
                continue
            if {log.name for log in logs} <= {log.name for log in copy.glob("log.*")}:
                return copy
    except OSError as error:
        raise PredecessorError(f"{folder} cannot be copied: {error}") from error
    raise PredecessorError(
        f"{folder} cannot be copied: postgrey removes its logs too fast; stop postgrey during the import"
    )


def _records(dump: str, file: Path) -> Iterator[tuple[str, str]]:
    """Yield the keys and values of a Berkeley DB file as a stream, so that a large file does not fill the memory."""
    with (
        tempfile.TemporaryFile() as messages,
        subprocess.Popen([dump, "-h", file.parent, file.name], stdout=subprocess.PIPE, stderr=messages) as process,
    ):
        assert process.stdout
        fields = _fields(process.stdout)
        yield from zip(fields, fields, strict=False)
        if process.wait():
            messages.seek(0)
            raise PredecessorError(f"{file.name} cannot be read: {_first_line(messages.read())}")


def _fields(output: IO[bytes]) -> Iterator[str]:
    """Yield keys and values in turn. In the output of db_dump, their lines begin with a space and are hexadecimal."""
    for line in output:
        if line.startswith(b" ") and (field := parse_text(bytes.fromhex(line.decode("ascii")))) is not None:
            yield field


def _program(name: str) -> str:
    for program in (f"db5.3_{name}", f"db_{name}"):
        if path := shutil.which(program):
            return path
    raise PredecessorError(f"db5.3_{name} is missing: install Debian's db5.3-util")


def _first_line(messages: bytes) -> str:
    """Return the first line that a Berkeley DB program wrote to stderr: the cause. Later lines are consequences."""
    return messages.decode("utf-8", "backslashreplace").partition("\n")[0]
