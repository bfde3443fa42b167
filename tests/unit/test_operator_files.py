"""The operator's files are read, if they end and are not too large; whatever they are, nothing waits."""

import errno
import os
import stat
from pathlib import Path

import pytest

from bley import operator_files
from bley.operator_files import (
    check_creatable,
    check_name,
    explain_refusal,
    may_recover,
    permit_writing,
    read_text,
)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        (b"a\nb", "a\nb"),
        (b"a\r\nb\rc\n", "a\nb\nc\n"),
        (b"\xef\xbb\xbf\xc3\xbc", "\u00fc"),
        (b"\xff\xfea\0\r\0\n\0", "a\n"),
        (b"\xfe\xff\0a", "a"),
    ],
)
def test_a_text_with_any_line_ends(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "file").write_bytes(content)
    assert read_text(tmp_path / "file", "utf-8-sig") == text


def test_a_link_and_the_empty_device_are_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    (tmp_path / "link").symlink_to("file")
    assert read_text(tmp_path / "link") == "a"
    assert read_text(Path("/dev/null")) == ""


def _why(file: Path) -> str:
    with pytest.raises(OSError, match=r".") as caught:
        read_text(file)
    return caught.value.strerror or ""


def test_what_is_no_file(tmp_path: Path) -> None:
    """A FIFO has no writer: to open it would wait for one."""
    os.mkfifo(tmp_path / "fifo")
    os.mknod(tmp_path / "socket", stat.S_IFSOCK)
    assert _why(tmp_path / "socket") == "No such device or address"
    assert _why(tmp_path / "fifo") == "it is not a file"
    assert _why(tmp_path) == "Is a directory"
    assert _why(tmp_path / "missing") == "No such file or directory"
    assert _why(tmp_path / ("x" * 256)) == "File name too long"
    assert _why(Path("a\0b")) == _why(Path("a\ud800b")) == "no file can have this name"


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        _why(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_what_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_files, "LONGEST_FILE", 1 << 20)
    assert _why(Path("/dev/zero")) == "it has more than 1 MB"


def test_just_so_many_bytes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_files, "LONGEST_FILE", 10)
    (tmp_path / "file").write_text("x" * 10)
    assert read_text(tmp_path / "file") == "x" * 10
    (tmp_path / "file").write_text("x" * 11)
    assert "more than" in _why(tmp_path / "file")


@pytest.mark.parametrize("name", ["", "a", "/var/lib/b\u00fc", "x" * 255, "/".join(["x" * 200] * 20), "a\nb"])
def test_a_name_that_a_file_can_have(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["a\0b", "\0", "a\ud800", "x" * 256, "\u00fc" * 128, "a/" + "x" * 256, "x/" * 2048])
def test_a_name_that_none_can_have(name: str) -> None:
    with pytest.raises(ValueError, match=r"^(has|is) "):
        check_name(name)


class TestCreatable:
    def test_a_file_in_a_folder_can_be_created_and_is_not(self, tmp_path: Path) -> None:
        check_creatable(tmp_path / "new")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("name", "kind"), [("none/new", FileNotFoundError), ("file/new", NotADirectoryError)])
    def test_what_no_folder_is_has_no_files(self, tmp_path: Path, name: str, kind: type[OSError]) -> None:
        tmp_path.joinpath("file").touch()
        with pytest.raises(kind):
            check_creatable(tmp_path / name)


class _Mount:
    """What statvfs(3) says of a file system, read-only or not."""

    def __init__(self, *, is_read_only: bool) -> None:
        self.f_flag = os.ST_RDONLY if is_read_only else 0


def test_a_folder_that_the_unit_makes_read_only_has_the_line_that_permits_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside of a unit, and on a file system that can be written, the remedy is another."""
    error = OSError(errno.EROFS, "Read-only file system")
    for name in ("STATE_DIRECTORY", "LOGS_DIRECTORY", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "statvfs", lambda _: _Mount(is_read_only=True))
    assert explain_refusal(error, tmp_path / "log") == "Read-only file system"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/bley")
    monkeypatch.setenv("LOGS_DIRECTORY", "/var/log/bley")
    remedy = (
        f"the unit may write below /var/lib/bley, /var/log/bley; run `systemctl edit bley`: ReadWritePaths={tmp_path}"
    )
    assert explain_refusal(error, tmp_path / "log") == f"Read-only file system: {remedy}"
    assert explain_refusal(OSError(errno.ENOSPC, "No space left"), tmp_path / "log") == "No space left"
    assert not may_recover(error, tmp_path / "log")
    monkeypatch.setattr(os, "statvfs", lambda _: _Mount(is_read_only=False))
    assert permit_writing(tmp_path) == ""


def test_a_disk_may_recover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At boot, a file system may be read-only for a moment, with the unit's own folders: a later start succeeds."""
    monkeypatch.setenv("LOGS_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(os, "statvfs", lambda _: _Mount(is_read_only=True))
    error = OSError(errno.EROFS, "Read-only file system")
    assert may_recover(error, tmp_path / "log")
    assert explain_refusal(error, tmp_path / "log") == "Read-only file system"
    assert not may_recover(OSError(errno.EACCES, "Permission denied"), tmp_path / "log")


def test_a_missing_credential_of_systemd_has_the_line_that_creates_it() -> None:
    """A command may run while the unit does not."""
    file = Path("/run/credentials/bley-of-a-test.service/dbpass")
    unit = "bley-of-a-test.service"
    remedy = f"systemd creates it while {unit} runs, if {unit} has LoadCredential=dbpass:FILE"
    assert _why(file) == f"No such file or directory: {remedy}"
