"""The report as a mail: its headers, and its text."""

import email
from email import policy
from email.utils import parsedate_to_datetime

import pytest

from bley.commands.report.mail import check_recipient, make_mail
from tests.fakes import NOON

LINES = ["1 of 2 deferred mails did not come back.", "", "M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller"]


@pytest.mark.parametrize("address", ["root", "jane@example.org", "jane+bley@b\xfccher.example", "o'neill@example.org"])
def test_an_address_or_a_local_user_is_a_recipient(address: str) -> None:
    assert check_recipient(address) == address


@pytest.mark.parametrize(
    "address",
    ["", "-v", "-f@example.org", "a b@example.org", "a@example.org, b@example.org", "a@b@c", "a@", "a\r\nBcc: b@c",
     "<a@example.org>", "\x1b[2J@example.org", "a@[192.0.2.1]", "a;b"],
)  # fmt: skip
def test_nothing_else_is_one(address: str) -> None:
    """Neither an option of sendmail, nor several addresses, nor a further header."""
    with pytest.raises(ValueError, match="is not a mail address: write jane@"):
        check_recipient(address)


def test_it_is_a_whole_mail() -> None:
    sent = make_mail(LINES, "1 mail deferred", "jane@example.org", "mx1.example.org", NOON)
    read = email.message_from_bytes(sent.as_bytes(), policy=policy.default)
    assert read["From"] == '"bley on mx1.example.org" <bley@mx1.example.org>'
    assert (read["To"], read["Subject"]) == ("jane@example.org", "1 mail deferred")
    assert parsedate_to_datetime(read["Date"]) == NOON
    assert read["Message-ID"].endswith("@mx1.example.org>")
    assert read["Auto-Submitted"] == "auto-generated"
    assert read.get_content_type() == "text/plain"
    assert read.get_content_charset() == "utf-8"
    assert read.get_content() == "".join(f"{line}\n" for line in LINES)
    assert sent.as_bytes().isascii()
    assert b"\r" not in sent.as_bytes(), "sendmail reads lines that end in LF"


def test_a_short_host_name_is_no_domain() -> None:
    """The mail server adds its own."""
    assert str(make_mail(LINES, "x", "root", "mx1", NOON)["From"]) == "bley on mx1 <bley>"
