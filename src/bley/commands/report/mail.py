"""A report as a mail (RFC 5322), which the `sendmail` of the mail server takes.

A program on this machine submits it, not a client by SMTP: so the mail server does not query bley about it.
"""

import re
import subprocess
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTPUTF8
from email.utils import format_datetime, make_msgid

import click

from bley import __version__
from bley.core.escapes import escape_controls

__all__ = ["SENDMAIL", "check_recipient", "make_mail", "submit"]

SENDMAIL = "/usr/sbin/sendmail"
"""The program of Postfix, Exim and others."""

_WAIT_SECONDS = 60
"""The time limit of sendmail, which only stores the mail in the queue."""

_POLICY = SMTPUTF8.clone(linesep="\n", cte_type="7bit")
"""The form of a mail on standard input: lines end in LF."""

_RECIPIENT = re.compile(r"[^\s<>,;:\"\\()\[\]@-][^\s<>,;:\"\\()\[\]@]*(?:@[^\s<>,;:\"\\()\[\]@]+)?")
"""A mail address without quotes, or the name of a local user. No option begins with it."""


def check_recipient(address: str) -> str:
    """Return the address. Raises ValueError unless it is one mail address, or the name of a local user."""
    if _RECIPIENT.fullmatch(address) and address.isprintable():
        return address
    raise ValueError(f"{escape_controls(address)!r} is not a mail address: write jane@example.org, or a local user")


def make_mail(lines: Sequence[str], subject: str, recipient: str, host: str, at: datetime) -> EmailMessage:
    """Return the mail with these lines, plain text in UTF-8.

    The mail server adds its domain to a sender without one: a host name without a dot is no domain.
    """
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = Address(f"bley on {host}", "bley", host if "." in host else "")
    mail["To"] = recipient
    mail["Subject"] = subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = make_msgid("bley", host)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 5: no holiday message answers it
    mail["X-Mailer"] = f"bley {__version__}"
    text = "".join(f"{line}\n" for line in lines)
    mail.set_content(text, charset="utf-8", cte="7bit" if text.isascii() else "quoted-printable")
    return mail


def submit(mail: EmailMessage, recipient: str, program: str = SENDMAIL) -> None:
    """Pass the mail to sendmail. Raises ClickException with its error."""
    command = [program, "-i", "--", recipient]
    try:
        subprocess.run(command, input=mail.as_bytes(), capture_output=True, check=True, timeout=_WAIT_SECONDS)
    except OSError as error:
        remedy = "a mail server has it: Postfix, Exim or another one; --sendmail names it elsewhere"
        raise click.ClickException(f"{program}: {error.strerror}; {remedy}") from error
    except subprocess.TimeoutExpired as error:
        raise click.ClickException(f"{program} did not take the mail within {_WAIT_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        words = b" ".join([error.stderr, error.stdout]).decode(errors="replace").split()
        raise click.ClickException(
            f"{program} refused the mail with status {error.returncode}: {' '.join(words) or 'it printed no reason'}"
        ) from error
