"""Labelled sessions: one JSON object a line, as bench/efficacy.py reads them.

{"label": "ham", "client_address": "192.0.2.1", "client_name": "mx.example.com", "helo_name": "mx.example.com",
 "sender": "a@example.com", "recipient": "b@example.org", "date": "2026-11-06T10:00:00+01:00"}
"""

import json
from datetime import UTC, datetime
from typing import Any

from bley.core.mail import parse_address
from bley.trial.facts import EARLIEST, HAM, SPAM, Facts

__all__ = ["NO_SESSION", "SESSION_FIELDS", "read_session"]

NO_SESSION = "a line that is no session: a JSON object with client_address, client_name, helo_name, sender, …"
SESSION_FIELDS = ("client_address", "client_name", "helo_name", "sender", "recipient")


def read_session(line: bytes, label: str, place: str, latest: int) -> Facts | None:
    """Return the facts of a session, or None. `label`: that of a line without one."""
    try:
        session: dict[str, Any] = json.loads(line)
        at = int(_instant(str(session["date"])).timestamp())
        address, name, helo, sender, recipient = (str(session[field]) for field in SESSION_FIELDS)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    if parse_address(address) is None or not recipient.strip() or not EARLIEST <= at <= latest:
        return None
    own = session.get("label", label)
    return Facts(own if own in (HAM, SPAM) else label, at, address, name or "unknown", helo, sender, recipient, place)


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
