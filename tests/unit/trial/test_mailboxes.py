"""Mailboxes: each form of storage, and everything that only looks like one."""

import gzip
import os
import tracemalloc
from pathlib import Path

import pytest

from bley.trial import mailboxes
from bley.trial.mail_header import LONGEST_HEADER
from bley.trial.mailboxes import find_files, read_mails
from bley.trial.problems import Problems

HEADER = b"Received: from a\nSubject: %d"
BODY = b"\n\nThe body.\nFrom here on no mail starts, at 10:00\nSubject: no\n\nFrom 10:00 neither\n\n"


def mbox(number: int, body: bytes = BODY) -> bytes:
    line = b"From a@example.com Fri Nov  6 10:00:00 2026\n"
    return b"".join(line + HEADER % each + body for each in range(number))


def read(path: Path, problems: Problems | None = None) -> list[bytes]:
    problems = problems or Problems()
    return [mail.header.rstrip() for file in find_files(path, problems) for mail in read_mails(file, problems)]


def test_an_mbox_has_a_mail_behind_each_from_line(tmp_path: Path) -> None:
    """Neither a line of a body, nor an empty line before such, starts a mail without a header behind it."""
    file = tmp_path / "mbox"
    file.write_bytes(mbox(5))
    assert read(file) == [HEADER % number for number in range(5)]


@pytest.mark.parametrize("size", [1, 100, 65_500, 65_536, 70_000, 1_048_000, 1_048_576, 2_200_000])
def test_blocks_cut_mails_anywhere(tmp_path: Path, size: int) -> None:
    file = tmp_path / "mbox"
    file.write_bytes(mbox(4, b"\n\n" + b"x" * size + b"\n\n"))
    assert read(file) == [HEADER % number for number in range(4)]


QUOTED = b"see\n\n" + mbox(1, b"\n\nattached\n")


def with_length(length: int, body: bytes = QUOTED) -> bytes:
    line = b"From a@example.com Fri Nov  6 10:00:00 2026\nContent-Length: %d\n" % length
    return line + HEADER % 1 + b"\n\n" + body + b"\n"


@pytest.mark.parametrize("size", [1, 70_000, 1_048_576, 2_200_000])
def test_a_mail_in_a_body_of_known_length_is_a_part_of_it(tmp_path: Path, size: int) -> None:
    """In an mboxcl2, `From ` lines are not quoted: `Content-Length` has the end of the body."""
    file, body = tmp_path / "mbox", QUOTED + b"x" * size + b"\n" + QUOTED
    for length in (len(body), len(body) + 1):
        file.write_bytes(3 * with_length(length, body) + mbox(1))
        assert len(read(file)) == 4


@pytest.mark.parametrize("length", [0, 5, len(QUOTED) - 9, len(QUOTED) + 40, 10**6, 10**12, 10**13])
def test_a_wrong_length_hides_no_mail(tmp_path: Path, length: int) -> None:
    file = tmp_path / "mbox"
    file.write_bytes(with_length(length) + mbox(3))
    assert len(read(file)) == 5


@pytest.mark.parametrize(
    "start", [b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b"From a@example.com\n", b"\nFrom a\r\n", b"1234     \n"]
)
def test_what_programs_write_before_a_mail_is_skipped(tmp_path: Path, start: bytes) -> None:
    """A byte order mark, empty lines, a `From ` line without a time, and the length of an `.emlx` file."""
    file, problems = tmp_path / "1.eml", Problems()
    file.write_bytes(start + HEADER % 1 + BODY)
    assert read(file, problems) == [HEADER % 1]
    file.write_bytes(start)
    assert read(file, problems) == []


def test_an_mbox_may_start_with_empty_lines(tmp_path: Path) -> None:
    file = tmp_path / "mbox"
    file.write_bytes(b"\n\n" + mbox(3))
    assert len(read(file)) == 3


def test_line_ends_of_dos_are_read(tmp_path: Path) -> None:
    file = tmp_path / "mbox"
    file.write_bytes(mbox(3).replace(b"\n", b"\r\n"))
    assert read(file) == [(HEADER % number).replace(b"\n", b"\r\n") for number in range(3)]


def test_compressed_files_are_read_whatever_their_name(tmp_path: Path) -> None:
    tmp_path.joinpath("mbox.gz").write_bytes(gzip.compress(mbox(3)))
    tmp_path.joinpath("mail").write_bytes(gzip.compress(HEADER % 9 + BODY))
    assert sorted(read(tmp_path)) == sorted([*(HEADER % number for number in range(3)), HEADER % 9])


def test_a_damaged_file_is_read_up_to_the_damage(tmp_path: Path) -> None:
    problems = Problems()
    tmp_path.joinpath("a.gz").write_bytes(gzip.compress(mbox(20_000))[:-2000])
    tmp_path.joinpath("b.gz").write_bytes(gzip.compress(b"x")[:3] + b"no gzip")
    assert len(read(tmp_path, problems)) > 1000
    assert problems.counts[mailboxes.DAMAGED] == 2


def test_a_maildir_has_its_folders_and_no_indexes(tmp_path: Path) -> None:
    for folder in ("cur", "new", "tmp", ".Junk/cur", ".Junk/new", ".Junk/tmp"):
        tmp_path.joinpath(folder).mkdir(parents=True)
        tmp_path.joinpath(folder, "1.mail:2,S").write_bytes(folder.encode() + b": x\n\nbody")
    tmp_path.joinpath("dovecot-uidlist").write_text("3 V1 N2")
    problems = Problems()
    assert sorted(read(tmp_path, problems)) == [b".Junk/cur: x", b".Junk/new: x", b"cur: x", b"new: x"]
    assert not problems.counts


def test_spam_is_left_out_of_the_folder_around_it(tmp_path: Path) -> None:
    for folder in ("cur", "new", ".Junk/cur", ".Junk/new"):
        tmp_path.joinpath(folder).mkdir(parents=True)
    tmp_path.joinpath("cur", "1").write_bytes(HEADER % 1)
    tmp_path.joinpath(".Junk", "cur", "2").write_bytes(HEADER % 2)
    files = [file.path for file in find_files(tmp_path, Problems(), [tmp_path / ".Junk"])]
    assert files == [str(tmp_path / "cur" / "1")]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    tmp_path.joinpath("folder").mkdir()
    tmp_path.joinpath("folder", "mail.eml").write_bytes(HEADER % 1)
    tmp_path.joinpath("folder", "back").symlink_to(tmp_path)
    tmp_path.joinpath("self").symlink_to("self")
    problems = Problems()
    assert read(tmp_path, problems) == [HEADER % 1]
    assert problems.counts == {mailboxes.NOT_READABLE: 1}


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    problems = Problems()
    assert read(tmp_path, problems) == []
    assert problems.counts == {mailboxes.NO_FILE: 1}


def test_a_fifo_that_takes_the_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    problems = Problems()
    assert list(read_mails(mailboxes.MailFile(str(tmp_path / "fifo"), 9), problems)) == []
    assert problems.counts == {mailboxes.NOT_READABLE: 1}


def test_other_files_are_counted_with_their_reason(tmp_path: Path) -> None:
    tmp_path.joinpath("empty").touch()
    tmp_path.joinpath("binary").write_bytes(bytes(range(256)))
    problems = Problems()
    assert read(tmp_path, problems) == []
    assert problems.counts == {mailboxes.EMPTY: 1, mailboxes.NO_MAIL: 1}
    assert problems.examples[mailboxes.EMPTY] == str(tmp_path / "empty")


def test_a_file_that_grows_is_read_up_to_its_size(tmp_path: Path) -> None:
    file = tmp_path / "mbox"
    file.write_bytes(mbox(2, b"\n\n" + b"x" * LONGEST_HEADER + b"\n\n"))
    (found,) = find_files(file, Problems())
    file.write_bytes(file.read_bytes() * 9)
    assert len(list(read_mails(found, Problems()))) == 2


def test_a_header_of_50_mb_takes_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "mail"
    with file.open("wb") as opened:
        opened.write(HEADER % 1 + b"\n")
        for _ in range(50):
            opened.write(b"X-Long: " + b"x" * 1_000_000 + b"\n")
    tracemalloc.start()
    (header,) = read(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(header) == LONGEST_HEADER
    assert peak < 1_000_000
