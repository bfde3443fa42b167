"""The key of `privacy = keyed-hash`: saved once, for its owner only, and never another in its place."""

import os
import stat
from pathlib import Path

import pytest

from bley.core.errors import SettingsError
from bley.settings.privacy_key import PrivacyKey, check_value, load_key, read_key

_HEX = "00112233445566778899aabbccddeeff" * 2


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bley.key"


def _fault(file: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_key(file)
    return str(caught.value)


class TestLoad:
    def test_a_missing_credential_of_systemd_is_a_fault_and_no_new_key(self) -> None:
        """A command may run while the unit, and so its credential, does not."""
        file = Path("/run/credentials/bley-of-a-test.service/privacy.key")
        assert "cannot be read: No such file or directory: systemd creates it while" in _fault(file)

    @pytest.mark.parametrize("text", [_HEX, f"{_HEX}\n", f"  {_HEX}  \r\n", _HEX.upper()])
    def test_a_key_may_be_written_by_hand(self, file: Path, text: str) -> None:
        """Or with an editor that ends lines in its own way."""
        file.write_text(text)
        assert load_key(file) == PrivacyKey(bytes.fromhex(_HEX), file)

    def test_where_there_is_no_file_the_key_is_new_and_not_saved(self, file: Path) -> None:
        key, other = load_key(file), load_key(file)
        assert len(key.value) == 32
        assert key.value != other.value
        assert not key.is_saved
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
    def test_what_is_no_key_is_a_fault_and_never_overwritten(self, file: Path, text: str) -> None:
        """With another key nobody would be known any more."""
        file.write_text(text)
        assert _fault(file) == (
            f"privacy_key_file: {file} has no key: write 64 hexadecimal digits, those of the store's other nodes"
        )
        assert file.read_text() == text

    def test_the_fault_does_not_show_what_is_in_the_file(self, file: Path) -> None:
        file.write_text(f"{_HEX}0")
        assert _HEX[:8] not in _fault(file)

    def test_bytes_that_are_no_text(self, file: Path) -> None:
        """The key itself, say, not its digits."""
        file.write_bytes(b"\xff" * 32)
        assert _fault(file).startswith(f"privacy_key_file: {file} cannot be read: 'ascii' codec can't decode byte 0xff")

    def test_a_folder_in_its_place(self, file: Path) -> None:
        file.mkdir()
        assert _fault(file) == f"privacy_key_file: {file} cannot be read: Is a directory"

    def test_a_folder_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        file = tmp_path / "file" / "bley.key"
        assert _fault(file) == f"privacy_key_file: {file} cannot be read: Not a directory"

    def test_a_name_that_no_file_can_have(self) -> None:
        assert "no file can have this name" in _fault(Path("a\0b"))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_folder_that_may_not_be_read(self, tmp_path: Path) -> None:
        folder = tmp_path / "locked"
        folder.mkdir(mode=0o000)
        file = folder / "bley.key"
        assert _fault(file).startswith(f"privacy_key_file: {file} cannot be read: Permission denied. User ")


class TestSave:
    def test_the_file_is_for_its_owner_only(self, file: Path) -> None:
        """Whatever the umask allows others."""
        key = load_key(file)
        umask = os.umask(0)
        try:
            key.save()
        finally:
            os.umask(umask)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text() == f"{key.value.hex()}\n"
        assert load_key(file) == PrivacyKey(key.value, file)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
    def test_what_root_makes_is_the_folder_s_owner_s(self, file: Path) -> None:
        """`bley import` may be the first to need the key, and bley itself runs as another."""
        os.chown(file.parent, 12345, 54321)
        load_key(file).save()
        assert (file.stat().st_uid, file.stat().st_gid) == (12345, 54321)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_a_key_is_saved_once(self, file: Path) -> None:
        """Each worker saves the key that it was given."""
        key = load_key(file)
        key.save()
        before = file.stat()
        key.save()
        load_key(file).save()
        assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    def test_another_key_is_not_overwritten_and_not_removed(self, file: Path) -> None:
        """Two bleys in one folder, started for the first time at once."""
        first, second = load_key(file), load_key(file)
        first.save()
        with pytest.raises(FileExistsError):
            second.save()
        second.remove()
        assert read_key(file) == first.value

    def test_a_new_key_that_no_store_took_is_removed(self, file: Path) -> None:
        key = load_key(file)
        key.save()
        key.remove()
        assert not file.exists()

    def test_a_key_that_was_there_is_never_removed(self, file: Path) -> None:
        load_key(file).save()
        load_key(file).remove()
        assert file.exists()

    def test_without_privacy_nothing_is_saved_or_removed(self, file: Path) -> None:
        key = PrivacyKey(b"", file, is_saved=False)
        key.save()
        assert not file.exists()
        file.touch()
        key.remove()
        assert file.exists()

    def test_a_folder_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            load_key(tmp_path / "missing" / "bley.key").save()

    def test_a_link_to_nowhere_is_not_followed(self, tmp_path: Path, file: Path) -> None:
        """Somebody else could have put it there."""
        file.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(FileExistsError):
            load_key(file).save()
        assert not (tmp_path / "elsewhere").exists()


class TestCheck:
    def test_it_tells_keys_apart_and_fits_into_a_bigint(self) -> None:
        values = {check_value(bytes([number]) * 32) for number in range(256)} | {check_value(b"")}
        assert len(values) == 257
        assert all(0 < value < 1 << 63 for value in values)

    def test_it_stays_the_same(self) -> None:
        """Stores and exports keep it."""
        assert check_value(bytes.fromhex(_HEX)) == 0x6D765F115AABF6FF
        assert check_value(b"") == 0x7976C68275C8B3BC

    def test_a_fault_names_the_file_and_what_to_do(self, file: Path) -> None:
        key = PrivacyKey(b"k" * 32, file)
        assert key.fault(1) == (
            f"its addresses are hashed by another key than that in {file}: restore this file from a backup or from "
            "another node; if the key is lost, `bley forget --all`, with the same -c if any, lets bley begin again"
        )
        assert f"by a key that is missing: {file}: restore" in load_key(file).fault(1)
        assert PrivacyKey().fault(1).startswith("its addresses are hashed: set privacy = keyed-hash")
        assert key.fault(check_value(b"")).startswith("its addresses are in clear: to hash them, `bley export` them")
