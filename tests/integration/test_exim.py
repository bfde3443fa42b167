"""A real Exim sends requests by the ACL of contrib/exim-acl.conf, which half-closes and waits for the end."""

import time
from pathlib import Path

from tests.integration.exim import Exim
from tests.integration.running_bley import Bley
from tests.integration.servers import SmtpSession


def session(exim: Exim) -> SmtpSession:
    """Open a session of a client whose HELO does not fit."""
    return exim.session(client_address="198.51.100.7", helo_name="friend")


def test_exim_is_answered_and_closed(tmp_path: Path) -> None:
    """A mail is deferred, then delivered with the header, as with Postfix.

    Without the end of the connection after it, an answer would be none for Exim when its time is over.
    """
    with Bley(tmp_path, greylist_period="0.3s") as bley, Exim(port=bley.port) as exim:
        with session(exim) as smtp:
            replies = smtp.send("a@example.com", ["b@example.org", "postmaster@example.org"])
        assert [reply.code for reply in replies] == [450, 250]
        assert "greylisted, try again later" in replies[0].text
        time.sleep(0.4)
        with session(exim) as smtp:
            assert [reply.code for reply in smtp.send("a@example.com", ["b@example.org"])] == [250]
        _, waited = exim.wait_delivered(2)
    assert waited["X-Greylist"].startswith("delayed ")


def test_exim_workaround_changes_nothing_for_exim(tmp_path: Path) -> None:
    """bley 2's setting closes after each answer; Exim does not need it any more."""
    with Bley(tmp_path, exim_workaround="1") as bley, Exim(port=bley.port) as exim, session(exim) as smtp:
        assert [reply.code for reply in smtp.send("a@example.com", ["b@example.org"])] == [450]
