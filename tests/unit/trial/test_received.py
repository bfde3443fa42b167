"""The Received headers of mail servers, as they write them."""

import pytest

from bley.core.mail import parse_address
from bley.trial.received import LONGEST_RECEIVED, Hop, parse_date, parse_received

_Expected = tuple[str, str | None, str, str, str, str | None, int | None]

FORMS: dict[str, tuple[str, _Expected]] = {
    "Postfix": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1])\n\t(using TLSv1.3 with cipher AES_256_GCM (256/256 "
            "bits)\n\t key-exchange X25519)\n\t(No client certificate requested)\n\tby mx.example.org (Postfix) "
            "with ESMTPS id 4abc\n\tfor <jane@example.org>; Fri,  6 Nov 2026 10:00:00 +0100 (CET)"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "jane@example.org", None, 1793955600),
    ),
    "Postfix, without a name": (
        (
            "from friend (unknown [IPv6:2001:db8::1]) by mx.example.org (Postfix) with ESMTP id 1; "
            "Fri, 06 Nov 2026 09:00:00 +0000 (UTC)"
        ),
        ("mx.example.org", "2001:db8::1", "unknown", "friend", "", None, 1793955600),
    ),
    "Postfix, a literal": (
        "from [192.0.2.1] (line.example.net [192.0.2.1]) by mx.example.org (Postfix) with SMTP id 1",
        ("mx.example.org", "192.0.2.1", "line.example.net", "[192.0.2.1]", "", None, None),
    ),
    "Postfix, a client in the HELO": (
        (
            "from x (mail.example.com [203.0.113.9]) by mx.evil.example (Postfix) (unknown [192.0.2.1]) "
            "by mx.example.org (Postfix) with SMTP id 1"
        ),
        (
            "mx.example.org",
            "192.0.2.1",
            "unknown",
            "x (mail.example.com [203.0.113.9]) by mx.evil.example (Postfix)",
            "",
            None,
            None,
        ),
    ),
    "sendmail": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1]) by mx.example.org (8.17.1/8.17.1) with ESMTPS id a "
            "(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO) for <jane@example.org>; "
            "Fri, 6 Nov 2026 09:00:00 GMT"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "jane@example.org", None, 1793955600),
    ),
    "sendmail, forged": (
        "from friend (root@mail.example.com [192.0.2.1] (may be forged)) by mx.example.org (8.17.1/8.17.1) with SMTP",
        ("mx.example.org", "192.0.2.1", "unknown", "friend", "", None, None),
    ),
    "sendmail, without a name": (
        "from friend ([192.0.2.1]) by mx.example.org (8.17.1/8.17.1) with SMTP id a",
        ("mx.example.org", "192.0.2.1", "unknown", "friend", "", None, None),
    ),
    "Exim": (
        (
            "from mail.example.com ([192.0.2.1] helo=out.example.com)\n\tby mx.example.org with esmtps  (TLS1.3) "
            "tls TLS_AES_256_GCM_SHA384\n\t(Exim 4.96)\n\t(envelope-from <a@example.com>)\n\tid 1q-2\n\t"
            "for jane@example.org;\n\tFri, 06 Nov 2026 10:00:00 +0100"
        ),
        (
            "mx.example.org",
            "192.0.2.1",
            "mail.example.com",
            "out.example.com",
            "jane@example.org",
            "a@example.com",
            1793955600,
        ),
    ),
    "Exim, the HELO is the name": (
        "from mail.example.com ([2001:db8::1]:4711) by mx.example.org with esmtp (Exim 4.96) (envelope-from <>) id 1",
        ("mx.example.org", "2001:db8::1", "mail.example.com", "mail.example.com", "", "", None),
    ),
    "Exim, without a name": (
        "from [192.0.2.1] (port=25 helo=friend) by mx.example.org with smtp (Exim 4.96) id 1",
        ("mx.example.org", "192.0.2.1", "unknown", "friend", "", None, None),
    ),
    "Exim, a literal": (
        "from [192.0.2.1] by mx.example.org with esmtp (Exim 4.96) id 1",
        ("mx.example.org", "192.0.2.1", "unknown", "[192.0.2.1]", "", None, None),
    ),
    "qmail": (
        (
            "from mail.example.com (HELO out.example.com) (192.0.2.1)\n  by mx.example.org with SMTP; "
            "6 Nov 2026 09:00:00 -0000"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "out.example.com", "", None, 1793955600),
    ),
    "qmail, the HELO is the name": (
        "from mail.example.com (jane@192.0.2.1) by mx.example.org with SMTP; 6 Nov 2026 09:00:00 -0000",
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, 1793955600),
    ),
    "qmail, a literal": (
        "from unknown (HELO [203.0.113.9]) (192.0.2.1) by 0 with SMTP; 6 Nov 2026 09:00:00 -0000",
        ("0", "192.0.2.1", "unknown", "[203.0.113.9]", "", None, 1793955600),
    ),
    "Exchange": (
        (
            "from out.example.com (192.0.2.1) by MX.example.org\n (10.0.0.5) with Microsoft SMTP Server (TLS1_2 "
            "cipher=x) id\n 15.1.2507; Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "", "out.example.com", "", None, 1793955600),
    ),
    "Gmail": (
        (
            "from mail.example.com (mail.example.com. [192.0.2.1]) by mx.google.com with ESMTPS id a "
            "for <jane@example.org> (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256 bits=128/128); "
            "Fri, 06 Nov 2026 01:00:00 -0800 (PST)"
        ),
        ("mx.google.com", "192.0.2.1", "mail.example.com", "mail.example.com", "jane@example.org", None, 1793955600),
    ),
    "Gmail, inner hop": (
        "by 2002:a05:6a10:1234:0:0:0:0 with SMTP id x12csp1; Fri, 6 Nov 2026 01:00:00 -0800 (PST)",
        ("2002:a05:6a10:1234:0:0:0:0", None, "", "", "", None, 1793955600),
    ),
    "Yahoo": (
        (
            "from 192.0.2.1  (EHLO out.example.com) (192.0.2.1) by mta1.mail.example.net with SMTP; "
            "Fri, 06 Nov 2026 09:00:00 +0000"
        ),
        ("mta1.mail.example.net", "192.0.2.1", "unknown", "out.example.com", "", None, 1793955600),
    ),
    "amavis, by XFORWARD": (
        (
            "from mail.example.com ([192.0.2.1]) by localhost (mx.example.org [127.0.0.1]) (amavis, port 10024) "
            "with ESMTP id x for <jane@example.org>"
        ),
        ("localhost", None, "", "", "jane@example.org", None, None),
    ),
    "Exchange Online": (
        (
            "from mail.example.com (192.0.2.1) by AM7EUR03FT006.mail.protection.outlook.com (100.127.140.160) "
            "with Microsoft SMTP Server (version=TLS1_2, cipher=x) id 15.20.5791.20 via Frontend Transport"
        ),
        ("am7eur03ft006.mail.protection.outlook.com", "192.0.2.1", "", "mail.example.com", "", None, None),
    ),
    "Exchange Online, inner hop": (
        (
            "from AM7EUR03FT006.eop-EUR03.prod.protection.outlook.com (2603:10a6:20b:469::3e) by "
            "AS9PR0301CA0033.outlook.office365.com (2603:10a6:20b:469::31) with Microsoft SMTP Server id 15.20"
        ),
        ("as9pr0301ca0033.outlook.office365.com", None, "", "", "", None, None),
    ),
    "Exchange Online, last hop": (
        "from DB9.eurprd04.prod.outlook.com (2603:10a6:10:2cf::20) by AM0.eurprd04.prod.outlook.com with HTTPS",
        ("am0.eurprd04.prod.outlook.com", None, "", "", "", None, None),
    ),
    "Postfix, a HELO of Exchange Online": (
        "from db9.eurprd04.prod.outlook.com (unknown [192.0.2.1]) by mx.example.org (Postfix) with ESMTP id 1",
        ("mx.example.org", "192.0.2.1", "unknown", "db9.eurprd04.prod.outlook.com", "", None, None),
    ),
    "Postfix, a HELO of amavis": (
        "from (amavis (unknown [192.0.2.1]) by mx.example.org (Postfix) with ESMTP id 1",
        ("mx.example.org", "192.0.2.1", "unknown", "(amavis", "", None, None),
    ),
    "Dovecot, LMTP": (
        "from mx.example.org ([192.0.2.1]) by imap.example.org with LMTP id x (envelope-from <a@example.com>)",
        ("imap.example.org", None, "", "", "", "a@example.com", None),
    ),
    "fetchmail": (
        "from pop.example.net [192.0.2.1] by home.example.org with POP3 (fetchmail-6.4) for <jane@localhost>",
        ("home.example.org", None, "", "", "jane@localhost", None, None),
    ),
    "Postfix, pickup": (
        "by mx.example.org (Postfix, from userid 0) id 4x; Fri, 6 Nov 2026 10:00:00 +0100 (CET)",
        ("mx.example.org", None, "", "", "", None, 1793955600),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_client_and_the_envelope(form: str) -> None:
    text, (by, address, name, helo, recipient, sender, at) = FORMS[form]
    assert parse_received(text) == Hop(
        by, parse_address(address) if address else None, name, helo, recipient, sender, at
    )


@pytest.mark.parametrize(
    "with_", ["with ESMTPSA id 1", "with esmtpsa (Exim 4.96) id 1", "(Authenticated sender: jane) with ESMTP id 1"]
)
def test_authenticated_mail_is_told_apart(with_: str) -> None:
    hop = parse_received(f"from [192.0.2.1] (line.example.net [192.0.2.1]) by mx.example.org (Postfix) {with_}")
    assert hop.is_authenticated


@pytest.mark.parametrize(
    "text", ["", "from", "by", "from a by b", "from a (b", "from a ([999.1.1.1]) by c", ";", "\0" * 99]
)
def test_anything_else_has_no_client(text: str) -> None:
    assert parse_received(text).address is None


def test_a_long_header_is_read_in_part() -> None:
    assert parse_received("from " + "a" * LONGEST_RECEIVED + " (b [192.0.2.1]) by c").address is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Thu, 1 Jan 1970 00:00:00 +0000", None),
        ("Fri, 6 Nov 2026 10:00 +0100", 1793955600),
        ("Fri, 6 Nov 2026 04:00:00 EST", 1793955600),
        ("Fri, 6 Nov 2026 09:00:00", 1793955600),
        ("Fri, 99 Foo 20261 99:99:99 +9999", None),
        ("Fri, 6 Nov 9999 09:00:00 +0000", None),
        ("", None),
    ],
)
def test_dates(text: str, at: int | None) -> None:
    assert parse_date(text) == at
