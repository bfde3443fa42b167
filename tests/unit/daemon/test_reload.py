"""A reload takes what can be taken, says what cannot, and keeps the old settings when the new are bad."""

from pathlib import Path

import pytest

from bley.core.errors import Fault, SettingsError
from bley.daemon.reload import log_reload_errors, reload_configuration
from bley.settings.file import Configuration, load


def _load(folder: Path, **settings: str) -> Configuration:
    file = folder / "bley.conf"
    text = "".join(f"{key} = {value}\n" for key, value in ({"log_file": f"{folder}/log"} | settings).items())
    file.write_text(f"[bley]\n{text}")
    return load(file)


def test_new_settings_and_lists_are_taken(tmp_path: Path) -> None:
    old = _load(tmp_path)
    tmp_path.joinpath("whitelist_clients").write_text("192.0.2.1\n")
    new = _load(tmp_path, reject_msg="come back")
    assert reload_configuration(lambda: new, old) == new


def test_what_needs_a_restart_stays_and_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also when it was not in the old file: a worker that is started anew must find the same store as the others."""
    old = _load(tmp_path, dbtype="pgsql", cache_size="7")
    new = _load(tmp_path, dbtype="pgsql", dbname="other", workers="2", cache_valid="7")
    taken = reload_configuration(lambda: new, old)
    assert taken.settings.store == old.settings.store
    assert (taken.settings.workers, taken.settings.cache_size) == (1, 7)
    assert taken.settings.cache_valid == new.settings.cache_valid
    assert caplog.messages == [f"{key} has changed: takes effect after a restart" for key in _WARNED]


_WARNED = ("dbname", "cache_size", "workers")


def test_bad_settings_are_told_and_not_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> Configuration:
        raise SettingsError([Fault("bley.conf", 3, "is wrong"), Fault("bley.conf", 4, "is wrong too")])

    with log_reload_errors():
        reload_configuration(fail, _load(tmp_path))
    assert caplog.messages == [
        "bley.conf:3: is wrong",
        "bley.conf:4: is wrong too",
        "not reloaded: the old settings stay",
    ]


def test_a_bug_in_a_reload_is_logged_and_the_old_settings_stay(caplog: pytest.LogCaptureFixture) -> None:
    """With its traceback: the next reload may do better."""

    def fail() -> Configuration:
        raise ZeroDivisionError

    with log_reload_errors():
        fail()
    assert caplog.messages == ["internal error; please report it", "not reloaded: the old settings stay"]
    assert caplog.records[0].exc_info
