"""The free space of a file system, by its bytes and its files."""

import os
from pathlib import Path

import pytest

from bley.commands.doctor.finding import Level
from bley.commands.doctor.store import judge_space

GIGABYTE = 10**9 // 4096
"""In blocks."""


@pytest.mark.parametrize(
    ("blocks", "files", "level"),
    [
        (10 * GIGABYTE, 10**6, Level.WELL),
        (GIGABYTE // 5, 10**6, Level.WARNING),
        (GIGABYTE // 50, 10**6, Level.FAULT),
        (10 * GIGABYTE, 3, Level.FAULT),
    ],
)
def test_free_space(blocks: int, files: int, level: Level) -> None:
    found = os.statvfs_result((4096, 4096, 100 * GIGABYTE, blocks, blocks, 10**7, files, files, 0, 255))
    assert judge_space(Path("/var/lib/bley"), found).level is level


def test_a_file_system_without_a_number_of_files_has_no_limit() -> None:
    """Btrfs, for example."""
    found = os.statvfs_result((4096, 4096, 100 * GIGABYTE, GIGABYTE, GIGABYTE, 0, 0, 0, 0, 255))
    assert judge_space(Path("/var/lib/bley"), found).level is Level.WELL
