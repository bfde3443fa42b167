"""Who reads a file while it is written gets the old one or the new one."""

import errno
import os
from pathlib import Path

import pytest

from bley.graph.folder import write_whole


def test_a_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "index.html"
    for content in (b"old" * 1000, b"new"):
        write_whole(file, content)
        assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]


def test_who_has_opened_the_old_one_reads_it_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "mail.png"
    write_whole(file, b"old one")
    with file.open("rb") as opened:
        assert opened.read(3) == b"old"
        write_whole(file, b"NEW")
        assert opened.read() == b" one"


def test_others_may_read_it_as_far_as_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "mail.png", b"")
    finally:
        os.umask(before)
    assert tmp_path.joinpath("mail.png").stat().st_mode & 0o777 == 0o644


def test_when_it_cannot_be_written_the_old_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mail.png"
    write_whole(file, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
