"""Mails as mail servers deliver them, made of sessions: each with the Received header of one server."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

__all__ = ["BORDER", "SERVERS", "written_mail"]

BORDER = "mx.example.org"

Session = Mapping[str, str]


def _postfix(session: Session) -> str:
    client = f"{session['client_name']} [{_tagged(session['client_address'])}]"
    return f"from {session['helo_name']} ({client})\n\tby {BORDER} (Postfix) with ESMTP id 4ABC\n\tfor <{{}}>"


def _sendmail(session: Session) -> str:
    name, address = session["client_name"], _tagged(session["client_address"])
    client = f"[{address}]" if name == "unknown" else f"{name} [{address}]"
    return f"from {session['helo_name']} ({client})\n\tby {BORDER} (8.17.1/8.17.1) with ESMTP id 3a\n\tfor <{{}}>"


def _exim(session: Session) -> str:
    name, helo, address = session["client_name"], session["helo_name"], session["client_address"]
    client = f"[{address}] (helo={helo})" if name == "unknown" else f"{name} ([{address}] helo={helo})"
    if name == helo != "unknown":
        client = f"{name} ([{address}])"
    sender = session["sender"]
    return f"from {client}\n\tby {BORDER} with esmtp (Exim 4.96)\n\t(envelope-from <{sender}>)\n\tid 1q-2\n\tfor {{}}"


def _qmail(session: Session) -> str:
    name, helo, address = session["client_name"], session["helo_name"], session["client_address"]
    client = f"{name} ({address})" if name == helo else f"{name} (HELO {helo}) ({address})"
    return f"from {client}\n  by {BORDER} with SMTP"


def _tagged(address: str) -> str:
    return f"IPv6:{address}" if ":" in address else address


SERVERS: Mapping[str, Callable[[Session], str]] = {
    "Postfix": _postfix,
    "sendmail": _sendmail,
    "Exim": _exim,
    "qmail": _qmail,
}
"""The Received header of each server, with `{}` in place of the recipient."""


def written_mail(session: Session, server: str) -> bytes:
    """Return the mail: a filter's header above that of the border, and a forged one below it."""
    at = format_datetime(datetime.fromisoformat(session["date"]).astimezone(UTC))
    border = SERVERS[server](session).replace("{}", session["recipient"])
    return (
        f"Return-Path: <{session['sender']}>\nDelivered-To: {session['recipient']}\n"
        f"Received: from localhost (localhost [127.0.0.1])\n\tby {BORDER} (Postfix) with ESMTP id 4ABD; {at}\n"
        f"Received: {border}; {at}\n"
        f"Received: from good.example.net (good.example.net [203.0.113.9])\n\tby {BORDER} (Postfix) with ESMTP; {at}\n"
        f"From: Somebody <somebody@example.com>\nSubject: a mail\nDate: {at}\n\nThe body.\n\n"
    ).encode(errors="surrogateescape")
