"""The key of `privacy = keyed-hash`: made once, for its owner only, and never another in its place."""

import os
import stat
from pathlib import Path

import pytest

from bley.core.errors import SettingsError
from bley.privacy import read_key

_HEX = "00112233445566778899aabbccddeeff" * 2


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bley.key"


def _fault(file: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        read_key(file, makes_key=True)
    return str(caught.value)


def test_one_that_is_not_there_is_made_for_its_owner_only(file: Path) -> None:
    """Whatever the umask allows others."""
    umask = os.umask(0)
    try:
        key = read_key(file, makes_key=True)
    finally:
        os.umask(umask)
    assert len(key) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == f"{key.hex()}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_makes_is_the_folder_s_owner_s(file: Path) -> None:
    """`bley import` may be the first to need the key, and bley itself runs as another."""
    os.chown(file.parent, 12345, 54321)
    read_key(file, makes_key=True)
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 54321)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_it_stays_the_same(file: Path) -> None:
    key = read_key(file, makes_key=True)
    before = file.stat()
    assert read_key(file, makes_key=True) == read_key(file, makes_key=False) == key
    assert file.stat() == before


def test_each_is_another(tmp_path: Path) -> None:
    assert read_key(tmp_path / "one", makes_key=True) != read_key(tmp_path / "other", makes_key=True)


@pytest.mark.parametrize("text", [_HEX, f"{_HEX}\n", f"  {_HEX}  \r\n", _HEX.upper()])
def test_one_may_be_written_by_hand(file: Path, text: str) -> None:
    """Or with an editor that ends lines in its own way."""
    file.write_text(text)
    assert read_key(file, makes_key=True) == bytes.fromhex(_HEX)


def test_a_command_that_writes_nothing_makes_none(file: Path) -> None:
    """What it hashes by is told by nobody, so that it finds nothing."""
    key, other = read_key(file, makes_key=False), read_key(file, makes_key=False)
    assert len(key) == len(other) == 32
    assert key != other
    assert not file.exists()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty: a disk that was full"),
        pytest.param(_HEX[:-1], id="too short"),
        pytest.param(f"{_HEX}0", id="too long"),
        pytest.param(f"{_HEX[:-1]}g", id="no digit"),
        pytest.param(f"0x{_HEX}", id="with a prefix"),
        pytest.param(f"{_HEX}\n{_HEX}", id="two"),
    ],
)
def test_what_is_no_key_is_told_and_never_overwritten(file: Path, text: str) -> None:
    """With another key nobody would be known any more."""
    file.write_text(text)
    assert _fault(file) == (
        f"privacy_key_file: {file} has no key: write 64 hexadecimal digits, those of the store's other nodes"
    )
    assert file.read_text() == text


def test_what_is_in_the_file_is_not_shown(file: Path) -> None:
    file.write_text(f"{_HEX}0")
    assert _HEX[:8] not in _fault(file)


def test_bytes_that_are_no_text(file: Path) -> None:
    """The key itself, say, not its digits."""
    file.write_bytes(b"\xff" * 32)
    assert _fault(file).startswith(f"privacy_key_file: {file} cannot be read: 'ascii' codec can't decode byte 0xff")


def test_a_folder_in_its_place(file: Path) -> None:
    file.mkdir()
    assert _fault(file) == f"privacy_key_file: {file} cannot be read: [Errno 21] Is a directory: '{file}'"


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = tmp_path / "file" / "bley.key"
    assert _fault(file) == f"privacy_key_file: {file} cannot be read: [Errno 20] Not a directory: '{file}'"


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "bley.key"
    assert _fault(file) == f"privacy_key_file: {file} cannot be made: No such file or directory"


def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    """Nobody may write to /proc, root neither."""
    assert (
        _fault(Path("/proc/bley.key")) == "privacy_key_file: /proc/bley.key cannot be made: No such file or directory"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o000)
    file = folder / "bley.key"
    assert _fault(file) == f"privacy_key_file: {file} cannot be read: [Errno 13] Permission denied: '{file}'"


def test_a_link_to_nowhere_is_not_followed_when_it_is_made(tmp_path: Path, file: Path) -> None:
    """Somebody else could have put it there."""
    file.symlink_to(tmp_path / "elsewhere")
    assert _fault(file) == f"privacy_key_file: {file} cannot be made: File exists"
    assert not (tmp_path / "elsewhere").exists()
