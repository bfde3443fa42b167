"""What takes the lines: a line is there as a whole, and nobody is waited for."""

import os
import resource
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bley.log import files as log_sinks


class TestSharedOutput:
    """Several workers write to one standard output."""

    @pytest.mark.parametrize("kind", ["pipe", "socket"])
    def test_one_that_another_process_has_filled_is_not_waited_for(
        self, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between our look whether there is room and our writing."""
        ours, theirs = os.pipe() if kind == "pipe" else [end.detach() for end in socket.socketpair()]
        with open(ours, "rb", buffering=0), open(theirs, "w") as stdout:  # noqa: PTH123 (descriptors)
            monkeypatch.setattr(sys, "stdout", stdout)
            output = log_sinks.StandardOutput()
            monkeypatch.setattr(output, "_poll", _AlwaysRoom())
            taken = output.write(["x" * 1000 + "\n"] * 10_000)
            assert 0 < taken < 10_000
            assert output.write(["x" * 1000 + "\n"] * 10) == 0
            assert os.get_blocking(theirs), "others who share it may want to wait"
            output.close()

    def test_where_it_may_not_be_opened_it_is_written_to_all_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """/proc may be missing, or the pipe another user's."""
        ours, theirs = os.pipe()
        with open(ours, "rb") as reader, open(theirs, "w") as stdout:  # noqa: PTH123 (descriptors)
            monkeypatch.setattr(sys, "stdout", stdout)
            with monkeypatch.context() as patched:
                patched.setattr(os, "open", _refuse)
                output = log_sinks.StandardOutput()
            assert output.write(["one\n", "two\n"]) == 2
            output.close()
            assert (reader.readline(), reader.readline()) == (b"one\n", b"two\n")


class _AlwaysRoom:
    def poll(self, _milliseconds: int) -> list[int]:
        return [1]


def _refuse(*_: object) -> int:
    raise PermissionError


@pytest.mark.parametrize("kind", ["file", "fifo", "stdout"])
def test_a_closed_sink_has_no_number(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And writes nowhere."""
    ours, theirs = os.pipe()
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with (
        open(ours, "rb", buffering=0),  # noqa: PTH123 (a descriptor)
        open(theirs, "w") as stdout,  # noqa: PTH123 (a descriptor)
        open(reader, "rb", buffering=0),  # noqa: PTH123 (a descriptor)
    ):
        monkeypatch.setattr(sys, "stdout", stdout)
        made: dict[str, Callable[[], log_sinks.Sink]] = {
            "file": lambda: log_sinks.File(str(tmp_path / "file")),
            "fifo": lambda: log_sinks.File(str(tmp_path / "fifo")),
            "stdout": log_sinks.standard_output,
        }
        sink = made[kind]()
        assert sink.write(["one\n"]) == 1
        sink.close()
        with suppress(ValueError):
            assert sink.fileno() == -1
        with pytest.raises((ValueError, OSError)):
            sink.write(["two\n"])


def test_the_next_reader_of_a_fifo_has_the_rest_of_a_line(tmp_path: Path) -> None:
    """The last one has gone in the middle of one that is longer than the pipe, which keeps what it has."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink = log_sinks.File(str(fifo))
    assert sink.write(["x" * 200_000 + "\n"]) == 1
    assert sink.is_behind
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        sink.write(["lost\n"])
    with open(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as other:  # noqa: PTH123 (a descriptor)
        text = b""
        while not sink.write(["the next\n"]):
            text += other.read(65_536) or b""
        sink.close()
        text += b"".join(iter(lambda: other.read(65_536), b""))
    assert text == b"x" * 200_000 + b"\nthe next\n"


@pytest.mark.parametrize(("umask", "mode"), [(0, 0o640), (0o027, 0o640), (0o077, 0o600)])
def test_a_log_file_is_not_for_everybody(umask: int, mode: int, tmp_path: Path) -> None:
    """One that is there keeps its mode."""
    old = os.umask(umask)
    try:
        log_sinks.File(str(tmp_path / "log")).close()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == mode
    (tmp_path / "log").chmod(0o664)
    log_sinks.File(str(tmp_path / "log")).close()
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o664


@contextmanager
def file_limit(size: int) -> Iterator[Callable[[], None]]:
    """Limit a file to so many bytes, within the block only: pytest may write to a file. Give what lifts the limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def lift() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield lift
    finally:
        lift()


class TestFullDisk:
    """A limit on a file's size stops a write in the middle of a line, just as a full disk does."""

    @pytest.mark.parametrize("room", [0, 1, 9, 10, 11, 19, 25])
    def test_a_line_is_there_as_a_whole_or_not_at_all(self, room: int, tmp_path: Path) -> None:
        """Of 10 bytes each."""
        file = tmp_path / "log"
        sink = log_sinks.File(str(file))
        lines = [f"{'x' * 8}{number}\n" for number in range(3)]
        with file_limit(room), suppress(OSError):
            taken = sink.write(lines)
            assert taken == room // 10 > 0
            with pytest.raises(OSError, match="File too large"):
                sink.write(lines[taken:])
        assert sink.write(["the next\n"]) == 1
        sink.close()
        assert file.read_text() == "".join(lines[: room // 10]) + "the next\n"

    @given(
        st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), min_size=1, max_size=9),
        st.integers(0, 100),
    )
    @settings(deadline=None)
    def test_whatever_the_lines_and_the_room(
        self, tmp_path_factory: pytest.TempPathFactory, texts: list[str], room: int
    ) -> None:
        """Lines of several bytes a character, tracebacks of several lines."""
        file = tmp_path_factory.mktemp("full") / "log"
        lines = [f"{text}\n" for text in texts]
        sink = log_sinks.File(str(file))
        taken = 0
        with file_limit(room), suppress(OSError):
            taken = sink.write(lines)
        assert sink.write(["the next\n"]) == 1
        sink.close()
        assert file.read_bytes().decode() == "".join(lines[:taken]) + "the next\n"

    def test_also_where_standard_output_is_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with (tmp_path / "out").open("w") as stdout:
            monkeypatch.setattr(sys, "stdout", stdout)
            sink = log_sinks.standard_output()
            with file_limit(15):
                assert sink.write(["x" * 9 + "\n"] * 2) == 1
            assert sink.write(["the next\n"]) == 1
        assert (tmp_path / "out").read_text() == "x" * 9 + "\nthe next\n"

    def test_another_worker_s_line_behind_a_part_stays(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The part is not glued to it, but becomes a line of blanks: it cannot be cut off any more."""
        file = tmp_path / "log"
        sink = log_sinks.File(str(file))
        lseek = os.lseek
        with file_limit(15) as lift, monkeypatch.context() as patched:

            def write_between(descriptor: int, offset: int, whence: int) -> int:
                lift()
                with file.open("a") as other:
                    other.write("another's\n")
                return lseek(descriptor, offset, whence)

            patched.setattr(os, "lseek", write_between)
            assert sink.write(["x" * 9 + "\n", "y" * 9 + "\n"]) == 1
        assert sink.write(["the next\n"]) == 1
        sink.close()
        assert file.read_text().split("\n") == ["x" * 9, " " * 4, "another's", "the next", ""]
