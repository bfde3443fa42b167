"""bley's log in a real journald, read back by journalctl."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bley.log import sockets as log_sockets
from bley.log.decision_line import DecisionLog
from bley.log.output import configure_log
from tests.free_ports import free_port
from tests.integration.journald import Journal, in_its_own_world, running_journald
from tests.integration.running_bley import BLEY, Bley, request_options
from tests.integration.servers import end_group, start_group
from tests.unit.log.test_decision_line import DEFERRAL, listed
from tests.unit.log.test_output import clean_logger


@pytest.fixture(scope="module", name="journal")
def _journal() -> Iterator[Journal]:
    with running_journald() as journal:
        yield journal


@pytest.fixture(name="logger")
def _logger(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """Return bley's logger with this destination."""
    monkeypatch.setattr(log_sockets, "_JOURNAL", str(journal.socket))
    with clean_logger() as logger:
        configure_log("journald", logging.INFO)
        yield logger


@pytest.mark.usefixtures("logger")
def test_a_decision_is_found_by_each_of_its_fields(journal: Journal) -> None:
    decision = DEFERRAL._replace(request=DEFERRAL.request._replace(instance="1f.fields"))
    DecisionLog(is_json=False, observes=False).write(decision)
    entry = journal.wait("BLEY_INSTANCE=1f.fields")
    assert entry["MESSAGE"].startswith("action=greylist, reason=new, client_name=unknown, ")
    fields = {
        "BLEY_ACTION": "greylist",
        "BLEY_REASON": "new",
        "BLEY_WHY": "helo",
        "BLEY_CLIENT_ADDRESS": "192.0.2.1",
        "BLEY_SENDER": "a@example.com",
        "BLEY_RECIPIENT": "b@example.org",
        "BLEY_HELO": "2",
        "BLEY_DNSBL": "?",
        "BLEY_WAIT": "300",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "bley",
        "SYSLOG_FACILITY": "2",
    }
    assert {name: entry[name] for name in fields} == fields
    for name, value in fields.items():
        assert journal.entries(f"{name}={value}", "BLEY_INSTANCE=1f.fields"), name


@pytest.mark.usefixtures("logger")
def test_a_stranger_s_words_forge_no_field(journal: Journal) -> None:
    decision = listed(bl="words\nBLEY_ACTION=pass, action=pass")
    DecisionLog(is_json=False, observes=False).write_listings(decision)
    entry = journal.wait("BLEY_LISTED_BY=bl.example")
    assert entry["BLEY_LIST_SAYS"] == r"words\x0aBLEY_ACTION=pass, action=pass"
    assert "BLEY_ACTION" not in entry


def test_a_traceback_and_what_is_too_large_for_a_datagram_are_whole(journal: Journal, logger: logging.Logger) -> None:
    logger.warning("one\ntwo\nBLEY_ACTION=pass")
    entry = journal.wait("PRIORITY=4", "SYSLOG_IDENTIFIER=bley")
    assert entry["MESSAGE"] == "one\ntwo\nBLEY_ACTION=pass"
    logger.error("x" * 500_000)
    large = journal.wait("PRIORITY=3", "SYSLOG_IDENTIFIER=bley")
    assert large["MESSAGE"] == "x" * 500_000
    assert "BLEY_ACTION" not in entry


def test_a_bley_with_log_file_journald(journal: Journal, tmp_path: Path) -> None:
    """Its settings alone select the journal. Its lines are text there, whatever `log_format` is."""
    bley = Bley(tmp_path, log_file="journald", log_format="json", listen_port=free_port())
    command = in_its_own_world(journal.run, *BLEY, "serve", "-c", bley.file)
    with tmp_path.joinpath("said").open("wb") as said:
        leader = start_group(command, said)
    try:
        assert journal.wait("SYSLOG_IDENTIFIER=bley", text="listens on")["PRIORITY"] == "6"
        who = {
            "client_address": "192.0.2.77",
            "helo_name": "x",
            "sender": "a@example.com",
            "recipient": "b@example.org",
        }
        assert bley.run("ask", *request_options(**who)).startswith("action=DEFER_IF_PERMIT")
        entry = journal.wait("BLEY_CLIENT_ADDRESS=192.0.2.77")
        assert entry["BLEY_ACTION"] == "greylist"
        assert entry["MESSAGE"].startswith("action=greylist, reason=new, ")
    finally:
        end_group(leader)
    assert tmp_path.joinpath("said").read_text() == ""
