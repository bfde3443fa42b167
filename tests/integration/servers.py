"""The common parts of the real mail servers of these tests: the SMTP client, the mailbox, their processes.

`postfix.py` and `exim.py` each run one server; a test uses either through `SmtpSession` and finds the delivered mail in
its `Mailbox`, so that one test can run with both.
"""

import email
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import BinaryIO, Self

import pytest

SMALL_MESSAGE = "From: <a@example.com>\nSubject: small\n\nHello.\n"
# Ten times what a slow machine needs: only a hang, which is a fault, reaches this limit.
REPLY_SECONDS = 60.0


def require(program: str | Path, package: str, *, as_root: bool = True) -> None:
    """Skip the test if this server cannot run here, and name the missing package; in CI, fail it."""
    if not shutil.which(program):
        missing = f"{program} is missing: install the Debian package {package}, see `make test`"
    elif as_root and os.geteuid() != 0:
        missing = f"{program} must be started as root"
    else:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@dataclass(frozen=True)
class Reply:
    """One SMTP reply (RFC 5321 4.2): its code, and its text with the lines joined by line feeds."""

    code: int
    text: str


class SmtpSession:
    """One SMTP session of an external client: each command returns its `Reply`.

    Text is UTF-8 in both directions, and other octets are lone surrogates (PEP 383), so a test can send them. Raises
    ConnectionError when the server closes, TimeoutError when it is silent.
    """

    # Not smtplib.SMTP: it looks up our name in the DNS and refuses what only a server should refuse.
    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(REPLY_SECONDS)
        self._connection = connection
        self._lines = connection.makefile("rb")
        try:
            self.greeting = self._reply()
        except OSError:
            self.close()
            raise

    def expect(self, code: int, line: str) -> Reply:
        """Return the reply to a command line; with another code the session ends and the test fails."""
        reply = self.command(line)
        if reply.code != code:
            self.close()
            raise AssertionError(f"{line}: {reply}")
        return reply

    def command(self, line: str) -> Reply:
        """Return the reply to any command line, given without its line end."""
        self._connection.sendall(line.encode(errors="surrogateescape") + b"\r\n")
        return self._reply()

    def mail(self, sender: str, *, smtputf8: bool = False) -> Reply:
        """Return the reply to MAIL FROM; the empty string is the null sender."""
        return self.command(f"MAIL FROM:<{sender}>" + (" BODY=8BITMIME SMTPUTF8" * smtputf8))

    def rcpt(self, recipient: str) -> Reply:
        """Return the reply to RCPT TO, the place of greylisting."""
        return self.command(f"RCPT TO:<{recipient}>")

    def data(self, text: str = SMALL_MESSAGE) -> Reply:
        """Return the reply to a whole message, or to DATA itself if the server refuses that."""
        wanted = self.command("DATA")
        if wanted.code != 354:
            return wanted
        return self.command(smtplib.quotedata(text).removesuffix("\r\n") + "\r\n.")

    def rset(self) -> Reply:
        """Return the reply to RSET, which ends the transaction and its `instance`."""
        return self.command("RSET")

    def quit(self) -> Reply:
        """Return the reply to QUIT; the connection is closed."""
        reply = self.command("QUIT")
        self.close()
        return reply

    def close(self) -> None:
        """Disconnect without QUIT, as spam senders do; a second call does nothing."""
        self._lines.close()
        self._connection.close()

    def send(self, sender: str, recipients: Sequence[str], text: str = SMALL_MESSAGE) -> list[Reply]:
        """Return the replies to the RCPT TOs of one message, which is sent to the accepted recipients.

        SMTPUTF8 is requested if an address needs it. The test fails if MAIL FROM or the message is refused: to see such
        a reply, call `mail`, `rcpt` and `data`.
        """
        mail = self.mail(sender, smtputf8=not "".join([sender, *recipients]).isascii())
        assert mail.code == 250, f"MAIL FROM:<{sender}> was refused: {mail}"
        replies = [self.rcpt(recipient) for recipient in recipients]
        if any(reply.code == 250 for reply in replies):
            data = self.data(text)
            assert data.code == 250, f"the message was refused: {data}"
        else:
            self.rset()
        return replies

    def _reply(self) -> Reply:
        texts: list[str] = []
        while True:
            line = self._lines.readline().decode(errors="surrogateescape")
            if not line:
                raise ConnectionResetError("the server hung up")
            texts.append(line[4:].rstrip("\r\n"))
            if line[3] != "-":
                return Reply(int(line[:3]), "\n".join(texts))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Also reached after quit() or close(), and while a failed test unwinds.
        with suppress(OSError, ValueError):
            self._connection.sendall(b"QUIT\r\n")
        self.close()


class Mailbox:
    """The Maildir of all accepted mail of a server, for any recipient."""

    def __init__(self, path: Path, *, owner: str) -> None:
        path.mkdir()
        shutil.chown(path, owner)
        self.path = path

    def messages(self) -> list[EmailMessage]:
        """Return all messages delivered so far in order of arrival, a copy for each recipient."""
        files = sorted(self.path.glob("new/*"), key=lambda file: (file.stat().st_mtime_ns, file))
        return [email.message_from_bytes(file.read_bytes(), policy=default) for file in files]

    def wait(self, count: int, timeout_seconds: float) -> list[EmailMessage]:
        """Return the messages as soon as there are `count`; otherwise the test fails."""
        end = time.monotonic() + timeout_seconds
        while len(messages := self.messages()) < count:
            assert time.monotonic() < end, f"{len(messages)} of {count} messages were delivered"
            time.sleep(0.01)
        return messages


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Make a folder for a socket that a server's own user can reach, with a short path.

    The `tmp_path` of pytest is closed to other users and too long: the path of a socket may have 107 bytes only.
    """
    # A server that was killed a moment ago may still create its last file.
    with tempfile.TemporaryDirectory(prefix="mail-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


# The pipe to its stdin closes however this process ends, SIGKILL included. A parent-death signal
# (prctl) would not do: it is lost when master(8) changes its effective user.
ENDS_WITH_US = '{ "$@"; kill -KILL 0; } & read -r _; kill -KILL 0'


def start_group(command: Sequence[str | Path], log: BinaryIO) -> subprocess.Popen[bytes]:
    """Start a server in a process group of its own. `end_group` kills the group, as does the end of the server or of
    this process."""
    return subprocess.Popen(
        ["sh", "-c", ENDS_WITH_US, "sh", *command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def end_group(leader: subprocess.Popen[bytes]) -> None:
    """Kill the server with all its children; do nothing if it has ended."""
    # The id still belongs to it: ids are reused only after the wait.
    if leader.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(leader.pid, signal.SIGKILL)
    leader.communicate()
