"""The header fields that the trial reads, of good and of broken mail."""

import pytest

from bley.trial.mail_header import MOST_RECEIVED, is_header_line, read_header


def test_fields_are_unfolded_in_their_order() -> None:
    header = read_header(
        b"Return-Path: <a@example.com>\r\nDelivered-To: b@example.org\nReceived: from x\n\tby y;\n  date\n"
        b"X-Original-To: c@example.org\nRECEIVED : second\nSubject: Received: no\nFrom: A B <a@example.net>\n"
    )
    assert header.received == ["from x by y; date", "second"]
    assert (header.envelope_sender, header.recipient) == ("a@example.com", "c@example.org")
    assert header.author == "a@example.net"


@pytest.mark.parametrize(
    ("field", "sender"),
    [
        (b"Return-Path: <>", ""),
        (b"return-path:a@example.com", "a@example.com"),
        (b"X-Envelope-From: <a@example.com>", "a@example.com"),
        (b"Return-Path:", None),
        (b"X-Return-Path: <a@example.com>", None),
    ],
)
def test_the_null_sender_is_not_a_missing_one(field: bytes, sender: str | None) -> None:
    assert read_header(field).envelope_sender == sender


@pytest.mark.parametrize("header", [b"", b"\0\0", b"Received", b"Received:", b"\r\r\r", b"From:\xff\xfe", b"\n\n :"])
def test_broken_headers_have_no_fields(header: bytes) -> None:
    assert "".join(read_header(header).received) == ""


def test_8_bit_text_and_a_bare_cr_do_not_end_a_field() -> None:
    assert read_header(b"Received: from \xe4\xff\rby x\0y").received == ["from \\xe4\\xff by x\0y"]


def test_a_loop_of_received_headers_is_cut() -> None:
    assert len(read_header(b"Received: x\n" * 100_000).received) == MOST_RECEIVED


def test_header_lines() -> None:
    assert is_header_line(b"X-a: b")
    assert not is_header_line(b"no header: x")
    assert not is_header_line(b"")
