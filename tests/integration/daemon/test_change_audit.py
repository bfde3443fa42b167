"""A running bley adds its starts and reloads to the audit of its store, once each, whatever its number of workers."""

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from bley import __version__
from tests.integration.database_server import wait_until
from tests.integration.running_bley import Bley
from tests.integration.test_workers import workers


def _entries(folder: Path, at_least: int) -> list[tuple[str, str, str]]:
    """Return node, kind and text of all entries, once there are so many."""

    def read() -> list[tuple[str, str, str]]:
        with sqlite3.connect(folder / "bley.db") as store:
            return store.execute("SELECT node, kind, what FROM audit ORDER BY at").fetchall()

    wait_until(lambda: len(read()) >= at_least, f"{at_least} entries are there")
    return read()


@pytest.mark.parametrize("number", [1, 2])
def test_starts_and_reloads_are_in_the_audit_with_what_changed(number: int, tmp_path: Path) -> None:
    bley = Bley(tmp_path, workers=number, node_name="mx1", mode="observe")
    with bley:
        expected = [("mx1", "start", f"bley {__version__}")]
        assert _entries(tmp_path, 1) == expected
        tmp_path.joinpath("whitelist_clients").write_text("192.0.2.1\nexample.com\n")
        bley.write_settings(greylist_period="10m", workers=5)
        bley.reload()  # workers needs a restart
        expected += [("mx1", "reload", "greylist_period: from 5m to 10m; whitelist_clients: 2 entries added")]
        assert _entries(tmp_path, 2) == expected
        bley.write_settings(workers=number, reject_mgs="bad")
        bley.reload()  # which is refused
        bley.write_settings(reject_mgs="bad")
        if number > 1:
            os.kill(workers(bley)[0], signal.SIGKILL)  # its replacement is no start of bley
            bley.wait_log(r"worker 1 .* is ready")
    bley._settings.pop("reject_mgs")
    bley.write_settings(mode="enforce")
    with bley:
        expected += [("mx1", "start", "mode: from observe to enforce")]
        assert _entries(tmp_path, 3) == expected


def test_a_stop_soon_after_the_start_loses_no_entry(tmp_path: Path) -> None:
    bley = Bley(tmp_path)
    for _ in range(3):
        with bley:
            pass
    assert len(_entries(tmp_path, 3)) == 3
