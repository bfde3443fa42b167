"""Exim's main log, which names the HELO of each mail; the recipients stand there, or in the lines of the deliveries.

    1qAbCd-000123-AB <= a@example.com H=mail.example.com (helo.example.com) [192.0.2.1] P=esmtps … for b@example.org
    1qAbCd-000123-AB => b <b@example.org> R=local T=lmtp
    H=(helo.example.com) [192.0.2.1] F=<a@example.com> temporarily rejected RCPT <b@example.org>: greylisted

`H=mail.example.com [192.0.2.1]` has the same name as HELO, and `H=(helo.example.com) [192.0.2.1]` no verified name.
"""

import re
from collections import OrderedDict
from typing import NamedTuple

from bley.trial.facts import ATTEMPT, Facts
from bley.trial.postfix_log import OTHER_REJECT, is_greylisting

__all__ = ["EximLog", "is_exim_line"]

_MOST_MAILS = 20_000
"""Mails in the queue of Exim, some 1 kB each."""
_MOST_RECIPIENTS = 100
"""Recipients of a mail."""

_HOST = r"H=(?:([^\s()\[\]]+) )?(?:\((\S{0,512}?)\) )?\[([0-9a-fA-F.:]+)\]"
_ID = r"(?:\[\d+\] )?([0-9A-Za-z]{6,11}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4})"
_ARRIVAL = re.compile(rf"{_ID} <= (\S+) .*?{_HOST}(.*)")
_DELIVERY = re.compile(rf"{_ID} (?:=>|->|>>|\*>) (\S+)(?: <([^\s>]*)>)?")
_END = re.compile(rf"{_ID} Completed")
_REJECT = re.compile(
    rf"(?:\[\d+\] )?(?:{_ID} )?{_HOST}.*? F=<([^>]*)> (temporarily )?rejected RCPT <?([^\s>:]+)>?:?(.*)"
)
_LOGGED_IN = re.compile(r" A=\S")
_FOR = re.compile(r" for ([^\"]+)$")


def is_exim_line(text: str) -> bool:
    """Return whether the line, without its time, is one of Exim about a client."""
    return (_ARRIVAL.match(text) or _REJECT.match(text)) is not None


class _Mail(NamedTuple):
    facts: Facts
    """Without a recipient."""
    recipients: set[str]


class EximLog:
    """The mails of a log, line by line."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._mails: OrderedDict[str, _Mail] = OrderedDict()

    def read(self, text: str, at: int, place: str) -> list[Facts] | str:
        """Return the facts of the requests that the line completes, or why there is none."""
        if match := _ARRIVAL.match(text):
            return self._arrival(match, at, place)
        if match := _DELIVERY.match(text):
            return self._delivery(match)
        if match := _END.match(text):
            self._mails.pop(match[1], None)
        elif match := _REJECT.match(text):
            _, name, helo, address, sender, is_temporary, recipient, why = match.groups()
            if not (is_temporary and is_greylisting(why)):
                return OTHER_REJECT
            return [Facts(ATTEMPT, at, address, name or "unknown", helo or name or "", sender, recipient, place)]
        return []

    def _arrival(self, match: re.Match[str], at: int, place: str) -> list[Facts]:
        message_id, sender, name, helo, address, rest = match.groups()
        sender = "" if sender == "<>" else sender
        facts = Facts(self._label, at, address, name or "unknown", helo or name or f"[{address}]", sender, "", place)
        facts = facts._replace(is_authenticated=_LOGGED_IN.search(rest) is not None)
        if recipients := _FOR.search(rest):
            return [facts._replace(recipient=each) for each in recipients[1].split()[:_MOST_RECIPIENTS]]
        self._mails[message_id] = _Mail(facts, set())
        if len(self._mails) > _MOST_MAILS:
            self._mails.popitem(last=False)
        return []

    def _delivery(self, match: re.Match[str]) -> list[Facts]:
        mail, recipient = self._mails.get(match[1]), match[3] or match[2]
        if mail is None or "@" not in recipient or recipient in mail.recipients:
            return []
        if len(mail.recipients) >= _MOST_RECIPIENTS:
            return []
        mail.recipients.add(recipient)
        return [mail.facts._replace(recipient=recipient)]
