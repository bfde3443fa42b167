"""The failures of SQLite's file: it is moved, read-only, locked, full or damaged.

`pytest -rP` prints a line for each, in the format of `outages`.
"""

import asyncio
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bley.core.greylist import Lifetimes, Record, Status
from bley.core.mail import Triplet
from bley.ports import utc_now
from bley.settings.database import Database
from bley.settings.privacy_key import PrivacyKey
from bley.store.opening import open_engine
from tests.integration.outages import (
    ANSWERS,
    Fault,
    Node,
    Place,
    Trial,
    be_away_at_start,
    both_nodes,
    fail_while_running,
    sqlite_place,
    stored,
)
from tests.integration.running_bley import WAIT_SECONDS
from tests.integration.servers import require


@contextmanager
def file_locked(place: Place) -> Iterator[None]:
    with closing(sqlite3.connect(place.file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def file_locked_for_readers_too(place: Place) -> Iterator[None]:
    """Lock the file like a program that does not share it."""
    with closing(sqlite3.connect(place.file, isolation_level=None, timeout=WAIT_SECONDS)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def file_immutable(place: Place) -> Iterator[None]:
    """Make the file read-only for root, too."""
    files = [str(file) for file in place.file.parent.glob("bley.db*") if not file.name.endswith("-shm")]
    changed = subprocess.run(["chattr", "+i", *files], capture_output=True, check=False)
    if changed.returncode:
        pytest.skip(f"chattr: {changed.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


@contextmanager
def disk_full(place: Place) -> Iterator[None]:
    filler = place.file.with_name("filler")
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def file_moved(place: Place) -> Iterator[None]:
    """Move the file with its WAL and shared memory, and move them back."""
    aside = place.file.parent / "aside"
    aside.mkdir()
    for file in place.file.parent.glob("bley.db*"):
        file.rename(aside / file.name)
    yield
    assert not place.file.exists(), "no new one is made in its place"
    for file in aside.iterdir():
        file.rename(place.file.parent / file.name)


@contextmanager
def folder_missing(place: Place) -> Iterator[None]:
    """Rename the folder, as if its file system were unmounted."""
    place.file.parent.rmdir()
    yield
    place.file.parent.mkdir()


FILE_FAULTS: dict[str, Fault] = {
    "moved away": file_moved,
    "read-only": file_immutable,
    "locked for writers": file_locked,
    "full": disk_full,
}
FILE_FAULTS_AT_START: dict[str, Fault] = {"gone": folder_missing, "locked": file_locked_for_readers_too}


@contextmanager
def a_folder(folder: Path, *, on_small_disk: bool = False) -> Iterator[Path]:
    folder.mkdir()
    if not on_small_disk:
        yield folder
        return
    require("mount", "mount")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "bley-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("name", FILE_FAULTS)
def test_a_file_that_fails_while_bley_runs(tmp_path: Path, name: str) -> None:
    with a_folder(tmp_path / "store", on_small_disk=name == "full") as folder:
        fail_while_running(sqlite_place(folder), tmp_path, FILE_FAULTS[name], name)


@pytest.mark.parametrize("name", FILE_FAULTS_AT_START)
def test_a_file_that_is_away_at_the_start(tmp_path: Path, name: str) -> None:
    """bley starts all the same, and opens the file as soon as it can."""
    with a_folder(tmp_path / "store") as folder:
        be_away_at_start(sqlite_place(folder), tmp_path, FILE_FAULTS_AT_START[name], name)


RECORDS = 5000
OF_DAMAGED_PAGE, OF_GOOD_PAGE = "known2500@example.org", "known0001@example.org"


def damage_all(file: Path) -> None:
    """Make the file no database."""
    file.write_bytes(b"\xa5" * file.stat().st_size)


def damage_pages(file: Path) -> None:
    """Overwrite the pages of one record."""
    data = bytearray(file.read_bytes())
    page = int.from_bytes(data[16:18], "big")  # sqlite.org/fileformat2.html#page_size
    found = {match.start() // page for match in re.finditer(re.escape(OF_DAMAGED_PAGE.encode()), data)}
    assert found
    assert 0 not in found
    for number in found:
        data[number * page : (number + 1) * page] = b"\xa5" * page
    file.write_bytes(data)


_PAGE = 4096
"""The bytes of SQLite's page."""


def _page(file: Path, place: int) -> bytes:
    return file.read_bytes()[place : place + _PAGE]


DAMAGES = {"all of it": damage_all, "some pages": damage_pages}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_sqlite_file(tmp_path: Path, what: str) -> None:
    """bley logs the damage and the remedy, leaves the file alone, and continues with a good file."""
    place = sqlite_place(tmp_path / "store")
    file, good = place.file, place.file.with_name("good.db")
    asyncio.run(fill(file))
    good.write_bytes(file.read_bytes())
    DAMAGES[what](file)
    before, inode = file.read_bytes(), file.stat().st_ino
    damaged = [place for place in range(0, len(before), _PAGE) if _page(good, place) != _page(file, place)]
    with both_nodes(tmp_path, place.url) as nodes:
        trial = Trial(place, nodes)
        for node in nodes:
            assert node.ask(OF_DAMAGED_PAGE).action == ANSWERS[node.mode]
        said = trial.store_is_away()
        assert "The file is damaged: stop bley, move the file away, and restore a backup" in said
        assert file.stat().st_ino == inode
        # Whole pages: the start may have been added to the audit, which has a page of its own.
        assert [_page(file, place) for place in damaged] == [before[place : place + _PAGE] for place in damaged]

        for each in file.parent.glob("bley.db-*"):
            each.unlink()
        good.rename(file)
        trial.store_is_back(f"damaged at start, {what}")
        for node in nodes:
            node.ask(OF_GOOD_PAGE)
            assert "reason=early" in node.decision(OF_GOOD_PAGE)


def test_what_the_warning_of_a_damaged_file_advises_saves_the_records(tmp_path: Path) -> None:
    """All records but those of the damaged pages."""
    require("sqlite3", "sqlite3", as_root=False)
    file, new = tmp_path / "store/bley.db", tmp_path / "new.db"
    asyncio.run(fill(file))
    damage_pages(file)
    node = Node(tmp_path / "node", "pass", f"sqlite:///{file}")
    try:
        node.start()
        node.ask(OF_DAMAGED_PAGE)
        advice = re.findall(rf"`([^`]*sqlite3 {file} [^`]*NEW[^`]*)`", node.warnings()[0])
    finally:
        node.stop()
    assert len(advice) == 1
    subprocess.run(["sh", "-c", advice[0].replace("NEW", str(new))], capture_output=True, check=True)
    saved = asyncio.run(stored(f"sqlite:///{new}"))
    assert RECORDS - 200 < len(saved) < RECORDS
    assert OF_GOOD_PAGE in saved


async def fill(file: Path) -> None:
    """Create a database of many pages."""
    file.parent.mkdir()
    engine = open_engine(Database(file=file))
    await engine.prepare()
    record = Record(Status.GREYLISTED, utc_now(), utc_now())
    known = [Triplet("198.51.100.0/24", "a@example.com", f"known{number:04}@example.org") for number in range(RECORDS)]
    await engine.unite([(triplet, record) for triplet in known], utc_now(), Lifetimes())
    await engine.claim_key(PrivacyKey().check)
    await engine.close()
