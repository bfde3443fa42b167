"""A real Postfix of the tests: private configuration, queue, log, port and mailbox.

    with Postfix("inet:127.0.0.1:1337") as postfix:
        with postfix.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            [reply] = smtp.send("a@example.com", ["b@example.org"])
            assert reply.code == 450

It has the README's lines for the policy service, and trusts XCLIENT, so a test chooses the client of each session. It
needs root, makes no DNS queries, and delivers all accepted mail to one mailbox.
"""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from email.message import EmailMessage
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Literal, Self

from tests.free_ports import free_port
from tests.integration.servers import (
    REPLY_SECONDS,
    Mailbox,
    Reply,
    SmtpSession,
    end_group,
    reachable_folder,
    require,
    start_group,
)

__all__ = ["MASTER", "Postfix", "Reply", "SmtpSession", "reachable_folder"]

MASTER = Path("/usr/lib/postfix/sbin/master")
POSTMAP = Path("/usr/sbin/postmap")
START_SECONDS = 60.0
# Postfix never delivers as root.
MAILBOX_USER = "nobody"

# service, type, private, unprivileged, chroot, wakeup, maxproc, command: what receiving,
# queueing, bouncing local submission and delivering to the mailbox need. Mail to anywhere else is discarded.
MASTER_CF = """
127.0.0.1:{port} inet n - {chroot} - - smtpd
cleanup  unix        n - n - 0 cleanup
pickup   unix        n - n 60 1 pickup
qmgr     unix        n - n 300 1 qmgr
rewrite  unix        - - n - - trivial-rewrite
bounce   unix        - - n - 0 bounce
defer    unix        - - n - 0 bounce
trace    unix        - - n - 0 bounce
verify   unix        - - n - 1 verify
flush    unix        n - n - 0 flush
proxymap unix        - - n - - proxymap
error    unix        - - n - - error
retry    unix        - - n - - error
discard  unix        - - n - - discard
virtual  unix        - n n - - virtual
anvil    unix        - - n - 1 anvil
postlog  unix-dgram  n - n - 1 postlogd
"""

# Relative to the queue folder, as /etc/postfix/postfix-files has it.
PRIVATE_FOLDERS = [
    *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming"),
    *("private", "saved", "trace"),
]


class Postfix:
    """A running Postfix that sends policy requests to `policy_service` at each RCPT TO.

    `policy_service` is the value after check_policy_service: `inet:127.0.0.1:1337` or `unix:/path`. `main_cf` replaces
    or adds settings. With `has_chroot` the queue folder is smtpd's root folder, as on Debian. Entering it takes some
    30 ms; raises RuntimeError, with Postfix's log, if it does not start. The log is printed at the end, so that pytest
    shows it with a failed test.
    """

    def __init__(
        self,
        policy_service: str,
        *,
        recipient_domains: Sequence[str] = ("example.org",),
        main_cf: Mapping[str, str] = {},
        has_chroot: bool = False,
    ) -> None:
        require(MASTER, "postfix")
        self._has_chroot = has_chroot
        self._policy_service = policy_service
        self._recipient_domains = recipient_domains
        self._main_cf = main_cf
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.folder = undo.enter_context(reachable_folder())
            self.port = free_port()
            self.mailbox = Mailbox(self.folder / "mailbox", owner=MAILBOX_USER)
            self._log_file = self.folder / "maillog"
            undo.callback(lambda: print(self.log()))
            self._write_folders()
            self._write_settings()
            self._check_settings()
            self._start(undo)
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
        reverse_client_name: str | None = None,
        sasl_username: str | None = None,
        greeting: Literal["EHLO", "HELO"] = "EHLO",
    ) -> SmtpSession:
        """Open a session in which Postfix takes the client for this one, and has greeted it.

        `client_name` is the name that Postfix verified, or `unknown`; `reverse_client_name` is the name that it could
        not verify, if that is another. With a `sasl_username` the client is authenticated.
        """
        smtp = SmtpSession(socket.create_connection(("127.0.0.1", self.port)))
        # In this order: NAME replaces the reverse name too.
        client = f"NAME={_xclient_name(client_name)} ADDR={_xclient_address(client_address)}"
        if reverse_client_name is not None:
            client += f" REVERSE_NAME={_xclient_name(reverse_client_name)}"
        if sasl_username is not None:
            client += f" LOGIN={sasl_username}"
        smtp.expect(250, "EHLO harness.example.net")
        # It restarts the session, greeting included.
        smtp.expect(220, f"XCLIENT {client}")
        smtp.expect(250, f"{greeting} {helo_name}")
        return smtp

    def delivered(self) -> list[EmailMessage]:
        """Return all messages delivered so far, in order, a copy for each recipient.

        The envelope is in their Return-Path, X-Original-To and Delivered-To.
        """
        return self.mailbox.messages()

    def wait_delivered(self, count: int, timeout_seconds: float = REPLY_SECONDS) -> list[EmailMessage]:
        """Return the delivered messages as soon as there are `count` of them; otherwise the test fails."""
        return self.mailbox.wait(count, timeout_seconds)

    def log(self) -> str:
        """Return Postfix's log so far. A process of its own writes it: see `wait_log`."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def wait_log(self, words: str, timeout_seconds: float = REPLY_SECONDS) -> str:
        """Return the log line with these words as soon as it exists; otherwise the test fails."""
        end = time.monotonic() + timeout_seconds
        while True:
            for line in self.log().splitlines():
                if words in line:
                    return line
            assert time.monotonic() < end, f"{words!r} is not in Postfix's log"
            time.sleep(0.01)

    @property
    def sendmail(self) -> Path:
        """The program that submits mail of this machine to this Postfix."""
        program = self.folder / "sendmail"
        program.write_text(f'#!/bin/sh\nexec /usr/sbin/sendmail -C {self.folder / "settings"} "$@"\n')
        program.chmod(0o755)
        return program

    @property
    def queue(self) -> Path:
        """The queue folder, to which `unix:private/NAME` is relative."""
        return self.folder / "queue"

    def _write_folders(self) -> None:
        queue = self.queue
        # pid belongs to root, public is open to others: otherwise Postfix warns.
        for path in (queue, queue / "pid", self.folder / "settings"):
            path.mkdir()
        for path in (self.folder / "data", *(queue / name for name in PRIVATE_FOLDERS)):
            path.mkdir(mode=0o700)
            shutil.chown(path, "postfix")
        for name, mode in (("public", 0o710), ("maildrop", 0o730)):
            (queue / name).mkdir()
            (queue / name).chmod(mode)
            shutil.chown(queue / name, "postfix", "postdrop")

    def _write_settings(self) -> None:
        user = pwd.getpwnam(MAILBOX_USER)
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": str(self.folder / "queue"),
            "data_directory": str(self.folder / "data"),
            "maillog_file": str(self._log_file),
            "maillog_file_prefixes": str(self.folder),
            "myhostname": "mx.example.net",
            "myorigin": self._recipient_domains[0],
            # Without IPv6 XCLIENT knows no IPv6 address.
            "inet_protocols": "all",
            "smtputf8_enable": "yes",
            # The README's line. No network is ours: loopback would pass without a request.
            "mynetworks": "",
            "smtpd_relay_restrictions": "",
            "smtpd_recipient_restrictions": "reject_unauth_destination, check_policy_service "
            f"{{ {self._policy_service}, default_action=DUNNO }}",
            "smtpd_authorized_xclient_hosts": "127.0.0.1",
            # No DNS queries, and no tarpit for a client that is deferred a thousand times.
            "smtpd_peername_lookup": "no",
            "smtp_dns_support_level": "disabled",
            "smtp_host_lookup": "native",
            "smtpd_error_sleep_time": "0",
            "smtpd_soft_error_limit": "100000",
            "smtpd_hard_error_limit": "100000",
            "smtpd_client_connection_count_limit": "0",
            "in_flow_delay": "0",
            # Any local part, to one mailbox.
            "mydestination": "",
            "local_recipient_maps": "",
            "alias_maps": "",
            "recipient_delimiter": "+",
            "virtual_mailbox_domains": ", ".join(self._recipient_domains),
            "virtual_mailbox_base": str(self.folder),
            "virtual_mailbox_maps": f"static:{self.mailbox.path.name}/",
            "virtual_uid_maps": f"static:{user.pw_uid}",
            "virtual_gid_maps": f"static:{user.pw_gid}",
            "default_transport": "discard",
            "relay_transport": "discard",
        }
        settings.update(self._main_cf)
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        main_cf = self.folder / "settings/main.cf"
        main_cf.write_text("".join(lines))
        (self.folder / "settings/master.cf").write_text(MASTER_CF.format(port=self.port, chroot="ny"[self._has_chroot]))
        # Postfix regards a main.cf of the last seconds as incomplete, and waits two seconds.
        os.utime(main_cf, (0, 0))

    def _check_settings(self) -> None:
        # Any program that reads main.cf would do; master(8) logs errors to syslog only.
        command: list[str | Path] = [POSTMAP, "-c", self.folder / "settings"]
        command += ["-q", "any", "static:any"]
        check = subprocess.run(command, capture_output=True, text=True, check=False)
        if check.returncode != 0:
            raise RuntimeError(f"Postfix does not start: {check.stderr}")

    def _start(self, undo: ExitStack) -> None:
        with self._log_file.open("ab") as log:
            # -d keeps it in the process group that ends with the test.
            master = start_group([MASTER, "-d", "-c", self.folder / "settings"], log)
        undo.callback(end_group, master)
        end = time.monotonic() + START_SECONDS
        while not self._greets():
            if master.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Postfix does not start:\n{self.log()}")
            time.sleep(0.01)

    def _greets(self) -> bool:
        try:
            connection = socket.create_connection(("127.0.0.1", self.port))
            with SmtpSession(connection) as smtp:
                return smtp.greeting.code == 220
        except OSError:  # Not yet, or never: _start() waits.
            return False


def _xclient_address(address: str) -> str:
    ip = ip_address(address)
    return f"IPV6:{ip}" if isinstance(ip, IPv6Address) else str(ip)


def _xclient_name(name: str) -> str:
    # Needs no xtext (XCLIENT_README): Postfix takes no name here that would be changed by it.
    return "[UNAVAILABLE]" if name == "unknown" else name
