"""A real Exim sends requests by the ACL of docs/exim.md, which half-closes and waits for the end.

Exim waits ten seconds for the end of an answer, and then has none: a deferral proves that bley closed in time.
"""

import shutil
import time
from pathlib import Path

import pytest

from tests.free_ports import free_port
from tests.integration.exim import EXIM_USER, PROJECT, Exim, documented_acl
from tests.integration.running_bley import Bley
from tests.integration.servers import Reply, SmtpSession, reachable_folder

GREYLISTED = Reply(450, "4.7.1 greylisted, try again later")
ACCEPTED = Reply(250, "Accepted")


def session(exim: Exim, client_address: str = "198.51.100.7") -> SmtpSession:
    """Open a session of a client whose HELO does not fit."""
    return exim.session(client_address=client_address, helo_name="friend")


def test_the_file_to_include_is_the_acl_of_the_document() -> None:
    assert PROJECT.joinpath("contrib/exim-acl.conf").read_text() == documented_acl()


def test_exim_is_answered_and_closed(tmp_path: Path) -> None:
    """A mail is deferred, then delivered with the header, as with Postfix."""
    with Bley(tmp_path, greylist_period="0.3s") as bley, Exim(port=bley.port) as exim:
        with session(exim) as smtp:
            assert smtp.send("a@example.com", ["b@example.org", "postmaster@example.org"]) == [GREYLISTED, ACCEPTED]
        time.sleep(0.4)
        with session(exim) as smtp:
            assert smtp.send("a@example.com", ["b@example.org"]) == [ACCEPTED]
        _, waited = exim.wait_delivered(2)
    assert waited["X-Greylist"].startswith("delayed ")


@pytest.mark.parametrize("kind", ["IPv6", "unix socket"])
def test_exim_reaches_each_kind_of_address(tmp_path: Path, kind: str) -> None:
    """The folder and the settings of the unix socket are those of the document."""
    with reachable_folder() as folder:
        if kind == "IPv6":
            port = free_port()
            place = {"listen_addr": "::1", "listen_port": str(port)}
            service = f"inet:[::1]:{port}"
        else:
            shutil.chown(folder, "root", EXIM_USER)
            folder.chmod(0o2750)
            service = f"{folder}/policy"
            place = {"listen_addr": f"unix:{service}", "listen_group": EXIM_USER}
        with Bley(tmp_path, **place), Exim(service=service) as exim, session(exim) as smtp:
            assert smtp.send("a@example.com", ["b@example.org"]) == [GREYLISTED]


def test_clients_and_addresses_of_each_kind(tmp_path: Path) -> None:
    """A client with IPv6, the null sender and addresses in UTF-8 wait and pass; the header comes once a message.

    Exim itself drops a second header if it has the same second in it, so the instances are compared too.
    """
    mails = [
        ("2001:db8::7", "a@example.com", ["b@example.org", "c@example.org", "d@example.org"]),
        ("198.51.100.7", "", ["b@example.org"]),
        ("198.51.100.7", "jürgen@bücher.example", ["josé@example.org"]),
    ]
    with Bley(tmp_path) as bley, Exim(port=bley.port) as exim:
        for client_address, sender, recipients in mails:
            with session(exim, client_address) as smtp:
                assert smtp.send(sender, recipients) == [GREYLISTED] * len(recipients)
        bley.end_waits()
        for client_address, sender, recipients in mails:
            with session(exim, client_address) as smtp:
                assert smtp.send(sender, recipients) == [ACCEPTED] * len(recipients)
        messages = exim.wait_delivered(5)
        assert [decision["reason"] for decision in bley.decisions(at_least=10)] == ["new"] * 5 + ["waited"] * 5
        retries = bley.decisions()[5:]
    assert [len(message.get_all("X-Greylist", [])) for message in messages] == [1] * 5
    assert [retry["sender"] for retry in retries] == ["a@example.com"] * 3 + ["", "jürgen@bücher.example"]
    instances = [retry["instance"] for retry in retries]
    assert [instances.index(instance) for instance in instances] == [0, 0, 0, 3, 4]


def test_two_messages_of_a_session_have_a_header_each(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley, Exim(port=bley.port) as exim:
        with session(exim) as smtp:
            assert [smtp.send("a@example.com", [f"{name}@example.org"]) for name in "bc"] == [[GREYLISTED]] * 2
        bley.end_waits()
        with session(exim) as smtp:
            assert [smtp.send("a@example.com", [f"{name}@example.org"]) for name in "bc"] == [[ACCEPTED]] * 2
        messages = exim.wait_delivered(2)
    assert [len(message.get_all("X-Greylist", [])) for message in messages] == [1, 1]


def test_the_text_of_a_deferral_may_begin_with_a_status(tmp_path: Path) -> None:
    settings = {"reject_msg": "4.2.0 $sender {please}: wait %(wait)s s: 100%%", "greylist_period": "5m"}
    with Bley(tmp_path, **settings) as bley, Exim(port=bley.port) as exim, session(exim) as smtp:
        replies = smtp.send("a@example.com", ["b@example.org"])
    assert replies == [Reply(450, "4.2.0 $sender {please}: wait 300 s: 100%")]


def test_without_bley_mail_passes_and_the_log_says_so() -> None:
    with Exim(port=free_port()) as exim, session(exim) as smtp:
        assert smtp.send("a@example.com", ["b@example.org"]) == [ACCEPTED]
        assert "no answer from bley: mail passes" in exim.log()


def test_exim_workaround_changes_nothing_for_exim(tmp_path: Path) -> None:
    """bley 2's setting closes after each answer; Exim does not need it any more."""
    with Bley(tmp_path, exim_workaround="1") as bley, Exim(port=bley.port) as exim, session(exim) as smtp:
        assert smtp.send("a@example.com", ["b@example.org"]) == [GREYLISTED]
