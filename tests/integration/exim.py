"""A real Exim of the tests, which sends policy requests by the ACL of docs/exim.md.

    with Exim(port=1337) as exim:
        with exim.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            [reply] = smtp.send("a@example.com", ["b@example.org"])
            assert reply.code == 450

Exim half-closes its connection after the request and reads the answer until the service closes. Here it runs each
session on its standard input, as under inetd, so a test chooses the client. It needs root, makes no DNS queries, and
delivers all accepted mail to one mailbox.
"""

import re
import shutil
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from email.message import EmailMessage
from pathlib import Path
from subprocess import Popen
from typing import Literal, Self

from tests.integration.servers import (
    REPLY_SECONDS,
    Mailbox,
    SmtpSession,
    end_group,
    reachable_folder,
    require,
)

PROJECT = Path(__file__).parents[2]
DOCUMENT = PROJECT / "docs/exim.md"
ACL_SERVICE = "inet:127.0.0.1:1337"
# `make test` puts it here: the Debian package conflicts with Postfix.
OWN_EXIM = PROJECT / "var/test-servers/usr/sbin/exim4"
INSTALLED_EXIM = Path("/usr/sbin/exim4")
# Compiled into Debian's Exim, which does not run without it.
EXIM_USER = "Debian-exim"

SETTINGS = """
exim_path = {program}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%s
primary_hostname = mx.example.net
keep_environment =
tls_advertise_hosts =
smtputf8_advertise_hosts = *
# A test may greet with any name.
helo_accept_junk_hosts = *
# The DNS is never asked for the client's name; a session brings it, or the client has none.
host_lookup_order =
# A second Exim delivers, and with settings of our own it is not root any more.
deliver_drop_privilege

acl_smtp_rcpt = acl_check_rcpt
begin acl
acl_check_rcpt:
  require
    message = relay not permitted
    domains = {recipient_domains}
  .include {folder}/acl.conf
  accept

begin routers
everything:
  driver = accept
  transport = mailbox

begin transports
mailbox:
  driver = appendfile
  directory = {folder}/mailbox
  maildir_format
  return_path_add
  envelope_to_add
"""


def documented_acl() -> str:
    """Return the ACL of the document."""
    (acl,) = re.findall(r"^```exim\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return str(acl)


class Exim:
    """Exim, configured to send policy requests to this port of 127.0.0.1, or to this service, at each RCPT TO.

    A service is an argument of `${readsocket`: `inet:[::1]:1337`, or the path of a unix socket.

    Entering it starts nothing: every session has a process of its own. The log is printed at the end, so that pytest
    shows it with a failed test.
    """

    def __init__(
        self, port: int = 0, *, service: str = "", recipient_domains: Sequence[str] = ("example.org",)
    ) -> None:
        self._program = OWN_EXIM if OWN_EXIM.exists() else INSTALLED_EXIM
        require(self._program, "exim4-daemon-light")
        self._service = service or f"inet:127.0.0.1:{port}"
        self._recipient_domains = recipient_domains
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.folder = undo.enter_context(reachable_folder())
            undo.callback(lambda: print(self.log()))
            self.mailbox = Mailbox(self.folder / "mailbox", owner=EXIM_USER)
            for name in ("spool", "log"):
                (self.folder / name).mkdir()
                shutil.chown(self.folder / name, EXIM_USER)
            acl = documented_acl()
            assert ACL_SERVICE in acl, f"{DOCUMENT} does not ask {ACL_SERVICE}"
            (self.folder / "acl.conf").write_text(acl.replace(ACL_SERVICE, self._service))
            settings = SETTINGS.format(
                program=self._program,
                folder=self.folder,
                recipient_domains=" : ".join(self._recipient_domains),
            )
            (self.folder / "exim.conf").write_text(settings)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def session(
        self,
        *,
        client_address: str,
        helo_name: str,
        client_name: str = "unknown",
        greeting: Literal["EHLO", "HELO"] = "EHLO",
    ) -> SmtpSession:
        """Open a session in which Exim takes the client for this one, and has greeted it.

        `client_name` is the name that Exim verified, or `unknown`.
        """
        command: list[str | Path] = [self._program, "-C", self.folder / "exim.conf"]
        command += ["-bs", "-odf", "-oMa", client_address]
        if client_name != "unknown":
            command += ["-oMs", client_name]
        ours, its = socket.socketpair()
        with its, (self.folder / "log/stderr").open("ab") as log:
            process = Popen(command, stdin=its.fileno(), stdout=its.fileno(), stderr=log, start_new_session=True)
        self._undo.callback(end_group, process)
        smtp = SmtpSession(ours)
        smtp.expect(250, f"{greeting} {helo_name}")
        return smtp

    def delivered(self) -> list[EmailMessage]:
        """Return all messages delivered so far, in order, a copy for each recipient.

        The envelope is in their Return-path and Envelope-to.
        """
        return self.mailbox.messages()

    def wait_delivered(self, count: int, timeout_seconds: float = REPLY_SECONDS) -> list[EmailMessage]:
        """Return the delivered messages as soon as there are `count` of them; otherwise the test fails."""
        return self.mailbox.wait(count, timeout_seconds)

    def log(self) -> str:
        """Return Exim's log so far, with its complaints about settings."""
        files = sorted((self.folder / "log").glob("*"))
        return "".join(file.read_text(errors="replace") for file in files)
