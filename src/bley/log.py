"""The log: one line a decision, and where it goes.

    action=greylist, reason=new, client_name=unknown, client_address=192.0.2.1, sender=a@example.com,
    recipient=b@example.org, why=helo, helo=2 dyn=0 s_eq_r=0 helo-not-fqdn=1, wait=300

`action` is pass, greylist or would-defer (`mode = observe`). `reason` is the decision's; of a deferral it is the
triplet's standing, new or early, as postgrey's tools know it, and `why` is the decision's reason.
Values come from the wire: what could forge a field, a line or an escape sequence is written as a backslash code.
"""

import asyncio
import contextlib
import json
import logging
import math
import os
import re
import sys
import time
from collections.abc import Mapping
from logging.handlers import SysLogHandler, WatchedFileHandler
from pathlib import Path

from bley.core.decision import Decision
from bley.core.errors import Fault, SettingsError
from bley.core.greylist import Standing

__all__ = ["DecisionLog", "configure_log", "printable"]

_SYSLOG_SOCKET = "/dev/log"
_UNSAFE = re.compile(r"[\s,\\]")
_UNSAFE_IN_TEXT = re.compile(r"\\")
_NAME = "bley"

_log = logging.getLogger("bley.decisions")


class DecisionLog:
    """Writes decisions; `is_json` for one JSON object a line, `observes` where a deferral is not carried out."""

    def __init__(self, *, is_json: bool, observes: bool) -> None:
        self._is_json, self._observes = is_json, observes

    def write(self, decision: Decision) -> None:
        """Log one decision."""
        fields = self._fields(decision)
        _log.info("%s", json.dumps(fields) if self._is_json else _line(fields))
        if _log.isEnabledFor(logging.DEBUG):
            for check, finding in decision.evidence.items():
                _log.debug("%s=%s: %s", check.value, finding, printable(finding.detail))

    def write_listings(self, decision: Decision) -> None:
        """Log why lists name the client of a decision, in their own words."""
        for finding in decision.evidence.values():
            for each in finding.answers:
                if each.text:
                    fields = {"listed_by": each.dns_list.name, "client_address": decision.request.client_address}
                    told = {"list_says": each.text}
                    text = f"{_line(fields)}, list_says={printable(each.text)}"
                    _log.info("%s", json.dumps(fields | told) if self._is_json else text)

    def _fields(self, decision: Decision) -> dict[str, object]:
        request = decision.request
        fields: dict[str, object] = {
            "action": decision.outcome(observes=self._observes),
            "reason": decision.reason.value,
            "client_name": request.client_name,
            "client_address": request.client_address,
            "sender": request.sender,
            "recipient": request.recipient,
        }
        if decision.defers:
            fields["reason"] = (decision.standing or Standing.NEW).value
            fields["why"] = decision.reason.value
        if decision.evidence:
            fields["evidence"] = {check.value: finding.score for check, finding in decision.evidence.items()}
        if decision.wait is not None:
            fields["wait"] = math.ceil(decision.wait.total_seconds())
        if decision.delayed is not None:
            fields["delay"] = int(decision.delayed.total_seconds())
        if decision.exempted_by:
            fields["entry"] = decision.exempted_by
        fields |= {name: value for name in ("instance", "queue_id") if (value := getattr(request, name))}
        return fields


def _line(fields: Mapping[str, object]) -> str:
    return ", ".join(_text(name, value) for name, value in fields.items())


def _text(name: str, value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{check}={'?' if score is None else score}" for check, score in value.items())
    return f"{name}={_safe(str(value))}"


def _safe(value: str, unsafe: re.Pattern[str] = _UNSAFE) -> str:
    if value.isprintable() and not unsafe.search(value):
        return value
    return "".join(_code(character) if _is_unsafe(character, unsafe) else character for character in value)


def printable(text: str) -> str:
    """A text of words, in which nothing from the wire can end the line or command a terminal."""
    return _safe(text, _UNSAFE_IN_TEXT)


def _is_unsafe(character: str, unsafe: re.Pattern[str]) -> bool:
    return not character.isprintable() or unsafe.match(character) is not None


def _code(character: str) -> str:
    """A backslash code, `\\x0a` or `\\u2028`, for any character."""
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


class _OnceATurn(logging.Handler):
    """Writes all that was logged in one turn of the event loop at once, warnings and what comes without a loop now."""

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target = target
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        self._records.append(record)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if record.levelno >= logging.WARNING:
            self.flush()
        elif len(self._records) == 1:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits; a log that cannot be written is told on standard error and stops no mail."""
        records, self._records = self._records, []
        if not records:
            return
        if not isinstance(self._target, logging.StreamHandler):
            for record in records:
                self._target.handle(record)
            return
        try:
            if isinstance(self._target, WatchedFileHandler):
                self._target.reopenIfNeeded()
            self._target.stream.write("".join(f"{self._target.format(record)}\n" for record in records))
            self._target.flush()
        except OSError:
            self._target.handleError(records[-1])

    def close(self) -> None:
        """Write what waits and let go."""
        self.flush()
        with contextlib.suppress(OSError):  # the full disk again, that flush has told
            self._target.close()
        super().close()


def _formatter(form: str) -> logging.Formatter:
    formatter = logging.Formatter(form, "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    return formatter


def configure_log(log_file: str, level: int) -> None:
    """Send bley's log to `log_file`: `syslog` (facility mail), `-` (stdout) or a path, reopened when it was rotated.

    Raises SettingsError when it cannot be opened.
    """
    handler: logging.Handler
    name = f"{_NAME}[{os.getpid()}]"
    try:
        if log_file == "syslog":
            Path(_SYSLOG_SOCKET).stat()  # without it SysLogHandler loses every line in silence
            handler = SysLogHandler(_SYSLOG_SOCKET, facility=SysLogHandler.LOG_MAIL)
            handler.setFormatter(_formatter(f"{name}: %(message)s"))
        else:
            handler = (
                logging.StreamHandler(sys.stdout)
                if log_file in ("-", "")
                else WatchedFileHandler(log_file, encoding="utf-8")
            )
            handler.setFormatter(_formatter(f"%(asctime)s {name}: %(message)s"))
    except OSError as error:
        raise SettingsError([Fault("log_file", 0, f"{log_file} cannot be opened: {error.strerror}")]) from error
    # No line names thread, task or source, so none is looked up. Source: logging's documentation, Optimization.
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging._srcfile = None
    root = logging.getLogger(_NAME)
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(_OnceATurn(handler))
    root.setLevel(level)
    root.propagate = False
