"""The log of a mail server or greylister, as facts.

A log that Postfix writes is read by Postfix's own lines: those of a greylister in it are about the same requests.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bley.core.address_scope import local_scope
from bley.core.mail import parse_address
from bley.trial.exim_log import EximLog, is_exim_line
from bley.trial.facts import EARLIEST, LOCAL, Facts
from bley.trial.greylister_log import read_greylister, weighed_helo
from bley.trial.log_dates import LineDates
from bley.trial.postfix_log import PostfixLog

__all__ = ["Log", "find_log"]

_POSTFIX = re.compile(rb" postfix[\w./-]*/(?:smtpd|qmgr|cleanup)\[\d+\]: ")
_GREYLISTER = re.compile(rb"\baction=[a-z-]+, reason=|policyd-weight\[\d+\]: ")
_DATED = re.compile(rb"<\d|[A-Z][a-z]{2} [ \d]\d |\d{4}-")

_LONGEST_LINE = 4096
"""Bytes of a line that are read. Postfix and Exim cut theirs at some 2,000; the patterns take time of its square."""


class Log:
    """The requests of a log, line by line. `kind`: empty if no line of the start tells which log it is."""

    def __init__(self, kind: str, label: str, written: float) -> None:
        self.kind, self._label = kind, label
        self._dates = LineDates(datetime.fromtimestamp(written, UTC))
        self._postfix, self._exim = PostfixLog(label), EximLog(label)

    def read(self, line: bytes, place: str, latest: int) -> Iterator[Facts | str]:
        """Yield the facts that the line completes, or why a request is not usable."""
        dated = self._dates.split(line[:_LONGEST_LINE].decode("utf-8", "backslashreplace"))
        if dated is None:
            return
        at, text = dated
        self.kind = self.kind or _kind_of(line, text)
        for found in self._found(text, at, place):
            if isinstance(found, str):
                yield found
            elif EARLIEST <= found.at <= latest and (address := parse_address(found.client_address)):
                yield LOCAL if local_scope(address) else found

    def _found(self, text: str, at: int, place: str) -> list[Facts] | list[str]:
        if not self.kind:
            return []
        if self.kind == "exim":
            found = self._exim.read(text, at, place)
            return [found] if isinstance(found, str) else found
        if self.kind == "postfix":
            if weighed := weighed_helo(text):
                self._postfix.learn_helo(*weighed)
            one = self._postfix.read(text, at, place)
        else:
            one = read_greylister(text, at, place, self._label)
        return [] if one is None else [one]  # type: ignore[return-value] # one is of one of both types


def find_log(path: str, start: bytes, label: str) -> Log | None:
    """Return the log that starts so; None if it is none, as its first line has no time. Raises OSError."""
    if not _DATED.match(start):
        return None
    written = Path(path).stat().st_mtime
    dates = LineDates(datetime.fromtimestamp(written, UTC))
    if not dates.split(start[:_LONGEST_LINE].partition(b"\n")[0].decode("utf-8", "backslashreplace")):
        return None  # a mail, whose body may quote a log
    if _POSTFIX.search(start):
        return Log("postfix", label, written)
    for line in start.splitlines()[:1000]:
        dated = dates.split(line.decode("utf-8", "backslashreplace"))
        if dated and (kind := _kind_of(line, dated[1])):
            return Log(kind, label, written)
    return Log("", label, written)


def _kind_of(line: bytes, text: str) -> str:
    """Return the kind of the log by a line, and by its text behind the time; empty if it could be of any."""
    if is_exim_line(text):
        return "exim"
    if _GREYLISTER.search(line):
        return "greylister"
    return "postfix" if _POSTFIX.search(line) else ""
