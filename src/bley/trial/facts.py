"""The facts of one mail, from whichever source: what a policy request about it would have had, and what is missing."""

from typing import NamedTuple

from bley.core.mail import LONGEST_VALUE, Request
from bley.trial.border import Border
from bley.trial.mail_header import MailHeader, read_header
from bley.trial.mailboxes import Mail
from bley.trial.memory import HashTable, hashed
from bley.trial.problems import Problems
from bley.trial.received import Hop, parse_received

__all__ = [
    "ATTEMPT",
    "COPY",
    "EARLIEST",
    "HAM",
    "LACKS",
    "NO_NAME",
    "SPAM",
    "Copies",
    "Facts",
    "border_hops",
    "facts_of_mail",
]

HAM, SPAM, ATTEMPT = "ham", "spam", "attempt"
"""The labels. An attempt is a request in a log that was not accepted: its retry is another one."""

NO_NAME, NO_HELO, NO_SENDER, NO_RECIPIENT = 1, 2, 4, 8
LACKS = {
    NO_NAME: "without a verified client name",
    NO_HELO: "without a HELO name: what rests on it is unknown",
    NO_SENDER: "without an envelope sender: the address in From stands for it",
    NO_RECIPIENT: "without an envelope recipient: one of the border server stands for it",
}
"""The facts that may be missing, each with the substitute; names have one by --dns (page.py)."""

NO_RECEIVED = "no Received header"
NO_CLIENT = "no Received header that names a client"
OTHER_WAY = "no Received header of the border server above all others"
LOCAL = "from a host of the own site: no stranger's mail"
COPY = "a copy of a mail that was read before"
NO_DATE = "no usable date in the Received header of the border server"


class Facts(NamedTuple):
    """The facts of one mail. `at`: seconds since 1970 UTC. `lacks`: the sum of the keys of `LACKS`."""

    label: str
    at: int
    client_address: str
    client_name: str
    helo_name: str
    sender: str
    recipient: str
    place: str
    lacks: int = 0
    is_authenticated: bool = False
    folder: str = ""
    """The mailbox, or the file of several mails, that has it."""
    server: str = ""
    """The server that wrote the header, or the kind of log."""

    @property
    def request(self) -> Request:
        """The policy request about it."""
        return Request(
            protocol_state="RCPT",
            sasl_username="authenticated" if self.is_authenticated else "",
            client_address=self.client_address,
            client_name=self.client_name,
            helo_name=self.helo_name,
            sender=self.sender,
            recipient=self.recipient,
        )


class Copies:
    """Finds the mails that stand in several folders, by a hash: some 25 bytes for each mail with a `Message-ID`."""

    def __init__(self) -> None:
        self._seen = HashTable(1)

    def is_copy(self, header: MailHeader, recipient: str) -> bool:
        """Return whether a mail with these headers to this recipient was read before."""
        if not header.message_id:
            return False
        key = hashed(header.message_id, recipient, *header.received)
        is_known = self._seen.row(key) is not None
        self._seen.put(key, 0)
        return is_known


def border_hops(mail: Mail) -> list[Hop]:
    """Return the hops of a mail, for the search of the border."""
    return [parse_received(text) for text in read_header(mail.header).received]


def facts_of_mail(
    mail: Mail, label: str, border: Border, latest: int, problems: Problems, copies: Copies
) -> Facts | None:
    """Return the facts; None, and a count in `problems`, if they cannot be used. `latest`: the latest possible date."""
    header = read_header(mail.header)
    hop = border.choose(map(parse_received, header.received))
    if hop is None or hop.address is None:
        reason, other = _why_not(header, border)
        problems.add(reason, mail.place)
        if other:
            problems.add_server(other)
        return None
    if hop.at is None or not EARLIEST <= hop.at <= latest:
        problems.add(NO_DATE, mail.place)
        return None
    sender, recipient, lacks = header.envelope_sender, hop.recipient or header.recipient, 0
    if hop.sender is not None:
        sender = hop.sender
    if sender is None:
        sender, lacks = header.author, NO_SENDER
    if not recipient:
        recipient, lacks = f"recipient@{hop.by}", lacks | NO_RECIPIENT
    if not hop.name:
        lacks |= NO_NAME
    name, helo, sender, recipient = (
        text[:LONGEST_VALUE] for text in (hop.name or "unknown", hop.helo, sender, recipient)
    )
    if copies.is_copy(header, recipient):
        problems.add(COPY, mail.place)
        return None
    address, is_own = str(hop.address), hop.is_authenticated
    return Facts(label, hop.at, address, name, helo, sender, recipient, mail.place, lacks, is_own, server=hop.by)


EARLIEST = 631_152_000
"""1990-01-01: there was no SMTP client with such headers before."""


def _why_not(header: MailHeader, border: Border) -> tuple[str, str]:
    """Return why a mail has no border, and the other server that received it, if any."""
    if not header.received:
        return NO_RECEIVED, ""
    hops = list(map(parse_received, header.received))
    if not any(hop.address for hop in hops):
        return NO_CLIENT, ""
    first = next((hop for hop in hops if not border.is_inner(hop)), None)
    return (OTHER_WAY, first.by) if first else (LOCAL, "")
