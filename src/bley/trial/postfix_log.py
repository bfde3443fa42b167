"""Postfix's log: client, sender and recipients of a mail stand in lines of several programs, with its queue id.

    postfix/smtpd[1]: 4XyQ: client=mail.example.com[192.0.2.1]
    postfix/qmgr[2]: 4XyQ: from=<a@example.com>, size=1234, nrcpt=1 (queue active)
    postfix/lmtp[3]: 4XyQ: to=<b@example.org>, relay=…, status=sent (…)
    postfix/smtpd[1]: NOQUEUE: reject: RCPT from mail.example.com[192.0.2.1]: 450 4.2.0 <b@example.org>: Recipient
        address rejected: Greylisted; from=<a@example.com> to=<b@example.org> proto=ESMTP helo=<mail.example.com>

Only a reject names the HELO. That of an accepted mail is taken from the last reject of the same client address.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass, field

from bley.trial.facts import ATTEMPT, NO_HELO, Facts

__all__ = ["OTHER_REJECT", "PostfixLog", "is_greylisting"]

OTHER_REJECT = "rejected for another reason than greylisting, perhaps before bley would be asked"

_MOST_MAILS = 20_000
"""Mails in the queue of Postfix, some 1 kB each."""
_MOST_RECIPIENTS = 100
"""Recipients of a mail."""
_MOST_CLIENTS = 50_000
"""Client addresses with a known HELO, some 250 bytes each."""

_LINE = re.compile(r"postfix(?:[\w.-]*)(?:/[\w-]+)*/([\w-]+)\[\d+\]: (?:(?:info|warning): )?([A-Za-z0-9]+): (.*)")
_CLIENT = re.compile(r"client=([^\s\[\]]+)\[([0-9a-fA-F.:%]+)\]")
_SASL = re.compile(r"\bsasl_username=[^\s,]")
_SENDER = re.compile(r"from=<([^>]*)>, size=")
_RECIPIENT = re.compile(r"to=<([^>]*)>,(?: orig_to=<([^>]*)>,)? relay=")
_REJECT = re.compile(
    r"(?:milter-)?reject(?:_warning)?: (?:RCPT|END-OF-MESSAGE) from ([^\s\[\]]+)\[([0-9a-fA-F.:%]+)\](?::\d+)?: "
    r"(\d[\d.]{2,4}) (.*); "
    r"from=<([^>]*)> to=<([^>]*)>(?: proto=\S+)?(?: helo=<(.*?)>)?(?:$|;| sasl)"
)
_REJECTS = ("reject: RCPT", "milter-reject: RCPT", "milter-reject: END-OF-MESSAGE")
_GREYLISTED = re.compile(r"gr[ea]y-?list|postgrey|\A(?:4\.7\.1 )?Try again later\Z", re.IGNORECASE)
"""The words of greylisters; the last ones are rspamd's, whose reject is Postfix's as that of a milter."""


def is_greylisting(text: str) -> bool:
    """Return whether the text of a reject is a greylister's."""
    return _GREYLISTED.search(text) is not None


@dataclass(slots=True)
class _Mail:
    at: int
    name: str
    address: str
    place: str
    is_authenticated: bool
    sender: str | None = None
    recipients: set[str] = field(default_factory=set)


class PostfixLog:
    """The mails of a log, line by line."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._mails: OrderedDict[str, _Mail] = OrderedDict()
        self._helo_names: OrderedDict[str, str] = OrderedDict()

    def learn_helo(self, address: str, helo: str) -> None:
        """Take note of the HELO of a client."""
        self._helo_names[address] = helo
        self._helo_names.move_to_end(address)
        if len(self._helo_names) > _MOST_CLIENTS:
            self._helo_names.popitem(last=False)

    def read(self, text: str, at: int, place: str) -> Facts | str | None:
        """Return the facts of the request that the line completes, or why there is none; None: the line has no news."""
        match = _LINE.search(text)
        if match is None:
            return None
        program, queue_id, rest = match.groups()
        if queue_id == "NOQUEUE" or rest.startswith(_REJECTS):
            return self._reject(rest, at, place)
        if program == "smtpd" and (client := _CLIENT.match(rest)):
            self._mails[queue_id] = _Mail(at, client[1], client[2], place, _SASL.search(rest) is not None)
            if len(self._mails) > _MOST_MAILS:
                self._mails.popitem(last=False)
        elif queue_id in self._mails:
            return self._more(queue_id, rest)
        return None

    def _more(self, queue_id: str, rest: str) -> Facts | None:
        """Take the sender or a recipient of a mail in the queue."""
        mail = self._mails[queue_id]
        if sender := _SENDER.match(rest):
            mail.sender = sender[1]
        elif rest == "removed":
            del self._mails[queue_id]
        elif (to := _RECIPIENT.match(rest)) and mail.sender is not None:
            recipient = to[2] or to[1]
            if recipient and recipient not in mail.recipients and len(mail.recipients) < _MOST_RECIPIENTS:
                mail.recipients.add(recipient)
                helo = self._helo_names.get(mail.address, "")
                lacks = 0 if helo else NO_HELO
                who, envelope = (mail.address, mail.name, helo), (mail.sender, recipient)
                return Facts(self._label, mail.at, *who, *envelope, mail.place, lacks, mail.is_authenticated)
        return None

    def _reject(self, rest: str, at: int, place: str) -> Facts | str | None:
        match = _REJECT.match(rest)
        if match is None:
            return None
        name, address, code, text, sender, recipient, helo = match.groups()
        if helo:
            self.learn_helo(address, helo)
        if not (code.startswith("4") and is_greylisting(text)):
            return OTHER_REJECT
        lacks = 0 if helo else NO_HELO
        return Facts(ATTEMPT, at, address, name, helo or "", sender, recipient, place, lacks)
