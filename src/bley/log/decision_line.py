"""The log line of a decision. output.py writes it.

    action=greylist, reason=new, client_name=unknown, client_address=192.0.2.1, sender=a@example.com,
    recipient=b@example.org, why=helo, helo=2 dyn=0 s_eq_r=0 helo-not-fqdn=1, wait=300

`action` is pass, greylist or would-defer (`mode = observe`). `reason` is the decision's reason. In a deferral it is the
triplet's standing, new or early, as postgrey's tools expect, and `why` is the reason. docs/log.md describes all fields.
Values come from clients: characters that could forge a field, a line or an escape sequence become backslash codes.
"""

import json
import logging
import math
import re
from collections.abc import Mapping, Sequence

from bley.core.decision import Decision, KnownRequest
from bley.core.escapes import escape_code
from bley.core.greylist import Standing
from bley.core.history.search import StoredDecision
from bley.core.mail import RawRequest, Request
from bley.core.reasons import Reason
from bley.log.output import log_writer

__all__ = ["DecisionLog", "line_of", "printable"]

_UNSAFE = re.compile(r"[\s,\\]")
_UNSAFE_IN_TEXT = re.compile(r"\\")

_STORED = ("client_address", "client_name", "sender", "recipient", "instance", "queue_id")

_log = logging.getLogger("bley.decisions")


class DecisionLog:
    """Logs decisions: as JSON objects with `is_json`, which name the node; `observes` if deferrals are only logged."""

    def __init__(self, *, is_json: bool, observes: bool, node: str = "") -> None:
        self._is_json, self._observes, self._node = is_json, observes, node

    def write(self, decision: Decision) -> None:
        """Log one decision."""
        if self._is_json:
            line = json.dumps(self._fields(decision) | _mail_fields(decision.request))
        else:
            request = _made_plain(decision.request)
            line = _line(
                request, decision.outcome(observes=self._observes), _reason_and_delay(decision), _found(decision)
            )
            line = _with_mail(line, request.instance, request.queue_id)
        self._write([line])
        if _log.isEnabledFor(logging.DEBUG):
            for check, finding in decision.evidence.items():
                _log.debug("%s=%s: %s", check.value, finding, printable(finding.detail))

    def known_line(self, request: Request, section: str = "") -> str:
        """Return the line of a request of known mail, without the fields that differ from mail to mail."""
        if self._is_json:
            return json.dumps(self._fields(Decision(request, Reason.KNOWN, section=section)))
        return _line(_made_plain(request), "pass", Reason.KNOWN.value, f", section={section}" if section else "")

    def write_known(self, requests: Sequence[tuple[KnownRequest, RawRequest]]) -> None:
        """Log requests of known mail: each decision, which has its `known_line`, and the mail that it applies to."""
        if self._is_json:
            lines = [_json_with_mail(known.line, raw) for known, raw in requests]
        elif _are_plain("".join(f"{instance}{queue_id}" for _, (_, instance, queue_id) in requests)):
            lines = [_with_mail(known.line, instance, queue_id) for known, (_, instance, queue_id) in requests]
        else:
            lines = [_with_mail(known.line, _safe(raw.instance), _safe(raw.queue_id)) for known, raw in requests]
        self._write(lines)

    def _write(self, lines: Sequence[str]) -> None:
        # Lines go to the log directly: logging's record for each would cost more than the line itself.
        if writer := log_writer():
            writer.add(lines)
        else:
            for line in lines:
                _log.info("%s", line)

    def write_listings(self, decision: Decision) -> None:
        """Log the lists' own explanations of their listings of a client, or of one of its domains."""
        for finding in decision.evidence.values():
            for each in finding.answers:
                if each.text:
                    fields = {"listed_by": each.dns_list.name, "client_address": decision.request.client_address}
                    fields |= {"domain": each.domains[0]} if each.domains else {}
                    text = f"{_text(fields)}, list_says={printable(each.text)}"
                    self._write([json.dumps(fields | {"list_says": each.text}) if self._is_json else text])

    def _fields(self, decision: Decision) -> dict[str, object]:
        request = decision.request
        fields: dict[str, object] = {
            "action": decision.outcome(observes=self._observes),
            "reason": _reason(decision),
            "client_name": request.client_name,
            "client_address": request.client_address,
            "sender": request.sender,
            "recipient": request.recipient,
        }
        if decision.defers:
            fields["why"] = decision.reason.value
        if decision.evidence:
            fields["evidence"] = {check.value: finding.score for check, finding in decision.evidence.items()}
        if decision.wait is not None:
            fields["wait"] = decision.wait_seconds
        if decision.delayed is not None:
            fields["delay"] = decision.delay_seconds
        if decision.exempted_by:
            fields["entry"] = decision.exempted_by
        if decision.section:
            fields["section"] = decision.section
        if decision.verified_name:
            fields["verified_name"] = decision.verified_name
        if self._node:
            fields["node"] = self._node
        return fields


def _mail_fields(request: Request | RawRequest) -> dict[str, str]:
    return {name: value for name in ("instance", "queue_id") if (value := getattr(request, name))}


def _json_with_mail(line: str, raw: RawRequest) -> str:
    return f"{line[:-1]}, {json.dumps(fields)[1:]}" if (fields := _mail_fields(raw)) else line


def _are_plain(values: str) -> bool:
    """Return whether the values, joined into one text, need no escapes."""
    return values.isprintable() and not (" " in values or "," in values or "\\" in values)


def _made_plain(request: Request) -> Request:
    return request if _are_plain("".join(request)) else Request._make(map(_safe, request))


def _line(request: Request, outcome: str, reason: str, found: str = "") -> str:
    """Return the line for a request of escaped values, without the fields that differ from mail to mail."""
    _, _, client_address, client_name, _, sender, recipient, _, _ = request
    return (
        f"action={outcome}, reason={reason}, client_name={client_name}, client_address={client_address},"
        f" sender={sender}, recipient={recipient}{found}"
    )


def _with_mail(line: str, instance: str, queue_id: str) -> str:
    """Append the fields that identify the mail, of escaped values."""
    if instance:
        line = f"{line}, instance={instance}"
    return f"{line}, queue_id={queue_id}" if queue_id else line


def line_of(stored: StoredDecision) -> str:
    """Return the line of a stored decision."""
    request = Request(**{name: getattr(stored, name) for name in _STORED})
    details = stored.details
    reason = details.get("standing", Standing.NEW.value) if stored.defers else stored.reason
    if "delay_seconds" in details:
        reason = f"{reason}, delay={int(details['delay_seconds'])}"
    found = f", why={stored.reason}" if stored.defers else ""
    if findings := details.get("findings"):
        scores = (f"{check}={'?' if each['score'] is None else each['score']}" for check, each in findings.items())
        found = f"{found}, {' '.join(scores)}"
    if stored.defers:
        found = f"{found}, wait={math.ceil(details.get('wait_seconds', 0))}"
    if "entry" in details:
        found = f"{found}, entry={_safe(details['entry'])}"
    if "section" in details:
        found = f"{found}, section={_safe(details['section'])}"
    if "verified_name" in details:
        found = f"{found}, verified_name={_safe(details['verified_name'])}"
    request = _made_plain(request)
    return _with_mail(_line(request, stored.outcome, reason, found), request.instance, request.queue_id)


def _reason(decision: Decision) -> str:
    """Return the reason of a pass, or the standing of a deferral, as postgrey's tools expect."""
    return (decision.standing or Standing.NEW).value if decision.defers else decision.reason.value


def _reason_and_delay(decision: Decision) -> str:
    """Return the reason, followed by the delay, where postgrey's tools expect it."""
    reason = _reason(decision)
    return reason if decision.delayed is None else f"{reason}, delay={decision.delay_seconds}"


def _found(decision: Decision) -> str:
    """Return the fields between request and instance."""
    found = f", why={decision.reason.value}" if decision.defers else ""
    if decision.evidence:
        scores = [f"{check}={finding}" for check, finding in decision.evidence.items()]
        found = f"{found}, {' '.join(scores)}"
    if decision.wait is not None:
        found = f"{found}, wait={decision.wait_seconds}"
    if decision.exempted_by:
        found = f"{found}, entry={_safe(decision.exempted_by)}"
    if decision.section:
        found = f"{found}, section={decision.section}"
    return f"{found}, verified_name={_safe(decision.verified_name)}" if decision.verified_name else found


def _text(fields: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={_safe(value)}" for name, value in fields.items())


def _safe(value: str, unsafe: re.Pattern[str] = _UNSAFE) -> str:
    if value.isprintable() and not unsafe.search(value):
        return value
    return "".join(escape_code(character) if _is_unsafe(character, unsafe) else character for character in value)


def printable(text: str) -> str:
    """Escape the characters of a text that could end the line or control a terminal; spaces and commas stay."""
    return _safe(text, _UNSAFE_IN_TEXT)


def _is_unsafe(character: str, unsafe: re.Pattern[str]) -> bool:
    return not character.isprintable() or unsafe.match(character) is not None
