"""The list files that bley owns have one writer at a time."""

from pathlib import Path

import pytest

from bley.corrections import local_file
from bley.corrections.errors import CorrectionError
from bley.corrections.local_file import LocalFile, locked
from bley.settings.file import load


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


def test_a_folder_that_the_unit_makes_read_only_has_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ProtectSystem=strict: no right helps."""
    (tmp_path / "bley.conf").write_text("[bley]\n")
    configuration = load(tmp_path / "bley.conf")
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr(local_file, "permit_writing", lambda folder: f"the unit may not write {folder}")
    error = f"^{tmp_path}/whitelist_senders.local: its folder is read-only: the unit may not write {tmp_path}$"
    with pytest.raises(CorrectionError, match=error):
        LocalFile.read(configuration, "sender")
