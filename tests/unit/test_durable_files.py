"""A reader sees the old file or the new one, and so does the disk after a power cut."""

import errno
import os
import stat
from pathlib import Path

import pytest

from bley.durable_files import create_private, replace_file, replacing


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


class TestReplace:
    def test_a_file_is_replaced(self, tmp_path: Path) -> None:
        file = tmp_path / "index.html"
        for content in (b"old" * 1000, b"new"):
            replace_file(file, content)
            assert file.read_bytes() == content
        assert _names(tmp_path) == ["index.html"]

    def test_a_reader_of_the_old_file_reads_it_to_its_end(self, tmp_path: Path) -> None:
        file = tmp_path / "mail.png"
        replace_file(file, b"old one")
        with file.open("rb") as opened:
            assert opened.read(3) == b"old"
            replace_file(file, b"NEW")
            assert opened.read() == b" one"

    def test_a_new_file_has_the_rights_that_the_umask_leaves(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            replace_file(tmp_path / "mail.png", b"")
            with replacing(tmp_path / "records", 0o600):
                pass
        finally:
            os.umask(before)
        assert [stat.S_IMODE(tmp_path.joinpath(name).stat().st_mode) for name in ("mail.png", "records")] == [
            0o640,
            0o600,
        ]

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
    def test_the_rights_of_the_old_file_stay(self, tmp_path: Path, mode: int) -> None:
        file = tmp_path / "file"
        file.touch()
        file.chmod(mode)
        replace_file(file, b"new")
        assert stat.S_IMODE(file.stat().st_mode) == mode

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
    def test_the_owner_of_the_old_file_stays(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.touch()
        os.chown(file, 12345, 54321)
        replace_file(file, b"new")
        assert (file.stat().st_uid, file.stat().st_gid) == (12345, 54321)

    def test_a_group_that_cannot_be_kept_gives_its_rights_to_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "file"
        file.touch()
        file.chmod(0o664)

        def refuse(*_: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "fchown", refuse)
        old = file.stat()
        monkeypatch.setattr(Path, "lstat", lambda *_, **__: os.stat_result([*old[:5], old.st_gid + 1, *old[6:]]))
        replace_file(file, b"new")
        monkeypatch.undo()
        assert stat.S_IMODE(file.stat().st_mode) == 0o604

    def test_a_link_is_replaced_and_not_followed(self, tmp_path: Path) -> None:
        """Another user of the folder could have put it there."""
        file, elsewhere = tmp_path / "file", tmp_path / "elsewhere"
        elsewhere.write_bytes(b"theirs")
        file.symlink_to(elsewhere)
        replace_file(file, b"ours")
        assert (file.read_bytes(), elsewhere.read_bytes(), file.is_symlink()) == (b"ours", b"theirs", False)
        assert stat.S_IMODE(file.stat().st_mode) & 0o111 == 0

    def test_if_the_block_fails_the_old_file_stays(self, tmp_path: Path) -> None:
        file = tmp_path / "records"
        replace_file(file, b"old")
        with pytest.raises(KeyboardInterrupt), replacing(file):
            raise KeyboardInterrupt
        assert file.read_bytes() == b"old"
        assert _names(tmp_path) == ["records"]

    def test_a_name_may_be_as_long_as_the_file_system_takes(self, tmp_path: Path) -> None:
        replace_file(tmp_path / ("n" * 255), b"new")
        assert _names(tmp_path) == ["n" * 255]

    @pytest.mark.parametrize("step", ["open", "fsync", "replace"])
    def test_if_a_step_fails_the_old_file_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        file = tmp_path / "mail.png"
        replace_file(file, b"old")

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        owner = Path if step == "replace" else os
        monkeypatch.setattr(owner, step, full)
        with pytest.raises(OSError, match="No space"):
            replace_file(file, b"new")
        assert file.read_bytes() == b"old"
        assert _names(tmp_path) == ["mail.png"]

    def test_file_and_folder_are_flushed_before_it_returns(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The content before the rename, the rename after it: a power cut leaves no empty file."""
        steps: list[object] = []
        replace, fsync = Path.replace, os.fsync

        def flush(descriptor: int) -> None:
            steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else os.fstat(descriptor).st_size)
            fsync(descriptor)

        def rename(part: Path, file: Path) -> Path:
            steps.append("rename")
            return replace(part, file)

        monkeypatch.setattr(os, "fsync", flush)
        monkeypatch.setattr(Path, "replace", rename)
        replace_file(tmp_path / "file", b"four")
        assert steps == [4, "rename", "folder"]

    def test_a_folder_that_cannot_be_flushed_is_no_fault(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of some network file systems."""
        fsync = os.fsync

        def flush(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "Invalid argument")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", flush)
        replace_file(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"new"


class TestCreate:
    def test_only_its_owner_may_read_it_whatever_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            create_private(tmp_path / "key", b"secret")
        finally:
            os.umask(before)
        assert stat.S_IMODE(tmp_path.joinpath("key").stat().st_mode) == 0o600
        assert _names(tmp_path) == ["key"]

    def test_one_that_is_there_stays(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_bytes(b"old")
        with pytest.raises(FileExistsError):
            create_private(tmp_path / "key", b"new")
        assert (tmp_path / "key").read_bytes() == b"old"
        assert _names(tmp_path) == ["key"]

    def test_a_file_system_may_have_no_hard_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """CIFS, say."""

        def refuse(*_: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        create_private(tmp_path / "key", b"secret")
        with pytest.raises(FileExistsError):
            create_private(tmp_path / "key", b"other")
        assert (tmp_path / "key").read_bytes() == b"secret"
        assert _names(tmp_path) == ["key"]

    def test_nobody_sees_a_part_of_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its name appears when all of it is on the disk."""
        seen = []
        fsync = os.fsync

        def flush(descriptor: int) -> None:
            seen.append((tmp_path / "key").exists())
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", flush)
        create_private(tmp_path / "key", b"secret")
        assert seen == [False, True]
