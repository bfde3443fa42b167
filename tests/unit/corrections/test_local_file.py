"""The list files that bley owns have one writer at a time."""

from pathlib import Path

import pytest

from bley.corrections import local_file
from bley.corrections.errors import CorrectionError
from bley.corrections.local_file import locked


def test_a_lock_that_another_process_keeps_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a `bley allow` that was stopped by Ctrl-Z would occupy a thread of the daemon at each attempt."""
    monkeypatch.setattr(local_file, "_LOCK_SECONDS", 0.0)
    error = f"^{tmp_path}: another process is changing the list files: retry$"
    with locked(tmp_path), pytest.raises(CorrectionError, match=error), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    error = f"^{tmp_path}/gone: No such file or directory"
    with pytest.raises(CorrectionError, match=error), locked(tmp_path / "gone"):
        pass
