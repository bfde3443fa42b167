"""The operator's texts with placeholders: a part of an SMTP reply, and a header of messages that waited.

Sources: RFC 5321 4.2 and 4.5.3.1.5 (replies); RFC 5322 2.1.1, 2.2 and 3.6 (headers).
"""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator

__all__ = ["HeaderText", "ReplyText"]

_HEADER = re.compile(r"[!-9;-~]+:\s?\S.*")

_REPLY_CHARACTERS = 400
"""Characters of a reply's text. A line has 512 octets (RFC 5321 4.5.3.1.5), and Postfix writes 44 around the text,
`450 4.7.1 <>: Recipient address rejected: ` and CRLF, and the recipient."""

_HEADER_CHARACTERS = 998
"""Characters of a line of a message (RFC 5322 2.1.1)."""

_WIDE_VALUES = {"wait": "9999999", "reason": "x" * 30, "delta": "9999999", "version": "x" * 20}
_WIDE_VALUES |= {"hostname": "x" * 64, "date": "Thu, 01 Jan 1970 00:00:00 +0000"}

_SINGLE = frozenset(
    ("date", "from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to", "references", "subject")
)
"""Headers that a message has once (RFC 5322 3.6), in lower case. Those of MIME begin with `content-`."""


def _template(text: str, names: tuple[str, ...], most: int, where: str) -> None:
    """Check a template with the placeholders `%(name)s` of these names, and `%%`. Raises ValueError."""
    if not re.fullmatch(rf"(?:[^%\n]|%%|%\((?:{'|'.join(names)})\)s)*", text):
        known = ", ".join(f"%({name})s" for name in names)
        raise ValueError(f"must be one line, with no placeholders but {known}: write a percent sign as %%")
    if not text.isascii():
        raise ValueError(f"must be ASCII, as {where}: replace {next(each for each in text if not each.isascii())!r}")
    if not text.replace("\t", "").isprintable():
        raise ValueError("has a control character: remove it")
    if (length := len(text % _WIDE_VALUES)) > most:
        raise ValueError(f"has up to {length} characters: write at most {most}")


def _reply(text: str) -> str:
    _template(text, ("wait", "reason"), _REPLY_CHARACTERS, "every SMTP reply is (RFC 5321 4.2)")
    return text


def _header(text: str) -> str:
    _template(text, ("delta", "version", "hostname", "date"), _HEADER_CHARACTERS, "every header is (RFC 5322 2.2)")
    if text and not _HEADER.fullmatch(text):
        raise ValueError("is not a header: write it as Name: text")
    name = text.partition(":")[0]
    if name.lower() in _SINGLE or name.lower().startswith("content-"):
        raise ValueError(f"would give messages a second header {name}: write another name, as in X-Greylist: text")
    return text


def _from_text(parse: Callable[[str], str]) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


ReplyText = Annotated[str, _from_text(_reply)]
HeaderText = Annotated[str, _from_text(_header)]
