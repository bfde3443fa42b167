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
    "Yahoo, today": (
        (
            "from 192.0.2.1 (EHLO mail.example.com)\n by 10.197.32.140 with SMTPs\n (version=TLS1_3 "
            "cipher=TLS_AES_128_GCM_SHA256); Fri, 06 Nov 2026 09:00:00 +0000"
        ),
        ("10.197.32.140", "192.0.2.1", "", "mail.example.com", "", None, 1793955600),
    ),
    "Yahoo, inner hop": (
        ("from 10.197.32.140\n by atlas107.free.mail.bf1.example.com with HTTPS; Fri, 6 Nov 2026 09:00:00 +0000"),
        ("atlas107.free.mail.bf1.example.com", None, "", "", "", None, 1793955600),
    ),
    "altavista": (
        "from 192.0.2.1 (HELO daisy) by mx.example.org (209.228.22.152) with SMTP",
        ("mx.example.org", "192.0.2.1", "", "daisy", "", None, None),
    ),
    "simta, in capitals": (
        (
            "FROM mail.example.com (line.example.net [192.0.2.1])\n\tBY mx.example.org ID 434B508E.174A6.13932 "
            "; 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "line.example.net", "mail.example.com", "", None, 1793955600),
    ),
    "Ipswitch IMail": (
        (
            "from oemcomputer [192.0.2.1] by mx.example.org (SMTPD32-7.07) id A4CE7F2A0028; Fri, 6 Nov 2026 "
            "10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "", "oemcomputer", "", None, 1793955600),
    ),
    "Ipswitch IMail, today": (
        (
            "from mail.example.com [192.0.2.1] by mx.example.org with ESMTP\n  (SMTPD-12.4.1) id a5b2; Fri, 6 "
            "Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "", "mail.example.com", "", None, 1793955600),
    ),
    "MDaemon, old": (
        (
            "from mail.example.com [192.0.2.1] by mx.example.org [203.0.113.27] with SMTP "
            "(MDaemon.PRO.v5.0.6.R) for <jane@example.org>; Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "", "mail.example.com", "jane@example.org", None, 1793955600),
    ),
    "MDaemon": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1]) by mx.example.org (MDaemon PRO v23.5.1)\n\t"
            "with ESMTPS id md5001000234567.MSG; Fri, 06 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, 1793955600),
    ),
    "MDaemon, without the client": (
        "from mail.example.com by mx.example.org (203.0.113.27) (MDaemon PRO v23.5.1) with ESMTPS id md5001",
        ("mx.example.org", None, "", "", "", None, None),
    ),
    "Exim 3": (
        ("from mail.example.com [192.0.2.1] by mx.example.org with esmtp (Exim 3.35 #1 (Debian)) id 18SWRe-0006X6-00"),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, None),
    ),
    "Exim, ident": (
        "from mail.example.com ([192.0.2.1] ident=jane) by mx.example.org with esmtp (Exim 4.96) id 1",
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, None),
    ),
    "Exim, a literal by IPv6": (
        ("from [2001:db8::1] (port=4711 helo=[IPv6:2001:db8::1]) by mx.example.org with esmtps (Exim 4.96) id 1"),
        ("mx.example.org", "2001:db8::1", "unknown", "[IPv6:2001:db8::1]", "", None, None),
    ),
    "Postfix, a certificate": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1])\n\t(using TLSv1.3 with cipher AES_256_GCM "
            '(256/256 bits))\n\t(Client CN "mail.example.com", Issuer "R11" (verified OK))\n\tby mx.example.org '
            "(Postfix) with ESMTPS id 1\n\tfor <jane@example.org>; Fri, 6 Nov 2026 10:00:00 +0100 (CET)"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "jane@example.org", None, 1793955600),
    ),
    "Postfix, a certificate with a client": (
        (
            'from mail.example.com (mail.example.com [192.0.2.1]) (Client CN "x? (y [203.0.113.9]) by '
            'mx.evil.example ((((a)))))", Issuer "a (b) by c" (not verified)) by mx.example.org (Postfix) '
            "with ESMTPS id 1"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, None),
    ),
    "a certificate with an unbalanced name": (
        (
            'from mail.example.com (mail.example.com [192.0.2.1]) (Client CN "a) by x", Issuer "b" (verified '
            "OK)) by mx.example.org (Postfix) with ESMTPS id 1"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, None),
    ),
    "sendmail, IPv6": (
        (
            "from mail.example.com (mail.example.com [IPv6:2001:db8:0:0:0:0:0:1]) by mx.example.org "
            "(8.18.1/8.18.1) with ESMTPS id a (version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 "
            "verify=NOT)"
        ),
        ("mx.example.org", "2001:db8::1", "mail.example.com", "mail.example.com", "", None, None),
    ),
    "sendmail, ident": (
        ("from friend (IDENT:jane@mail.example.com [192.0.2.1]) by mx.example.org (8.11.6/8.11.6) with ESMTP id a"),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "friend", "", None, None),
    ),
    "sendmail, via": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1]) via ESMTP by mx.example.org (8.12.1/) id "
            "h06GHYLZ022481"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, None),
    ),
    "Exchange 2007, IPv6": (
        (
            "from mail.example.com (2001:db8::1) by EX01.example.org (2001:db8::5) with Microsoft SMTP Server"
            " (TLS) id 8.3.83.0; Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("ex01.example.org", "2001:db8::1", "", "mail.example.com", "", None, 1793955600),
    ),
    "Exchange, inner hop": (
        (
            "from EX01.example.org ([fe80::1c5a:1234%11]) by EX02.example.org ([fe80::a1b2%12]) with mapi id "
            "14.03.0123.003"
        ),
        ("ex02.example.org", "fe80::1c5a:1234", "", "EX01.example.org", "", None, None),
    ),
    "IIS": (
        (
            "from friend ([192.0.2.1] RDNS failed) by mx.example.org with Microsoft SMTPSVC(8.5.9600.16384); "
            "Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "", "friend", "", None, 1793955600),
    ),
    "Gmail, inner hop today": (
        "by 2002:a17:906:c1d4:b0:a3f with SMTP id bw20csp1; Fri, 6 Nov 2026 01:00:00 -0800 (PST)",
        ("2002:a17:906:c1d4:b0:a3f", None, "", "", "", None, 1793955600),
    ),
    "Haraka": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1])\n\tby mx.example.org (Haraka/3.0.5) with "
            "ESMTPS id 5F2A.1\n\tenvelope-from <a@example.com>\n\ttls TLS_AES_256_GCM_SHA384; Fri, 6 Nov 2026 "
            "10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", "a@example.com", 1793955600),
    ),
    "Haraka, without a name": (
        (
            "from mail.example.com (NXDOMAIN [192.0.2.1]) by mx.example.org (Haraka/3.0.5) with ESMTP id "
            "5F2A.1 envelope-from <>"
        ),
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "", "", None),
    ),
    "OpenSMTPD": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1])\n\tby mx.example.org (OpenSMTPD) with ESMTPS "
            "id 1a2b3c (TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO)\n\tfor <jane@example.org>;\n\tFri, 6 Nov 2026 "
            "10:00:00 +0100 (CET)"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "jane@example.org", None, 1793955600),
    ),
    "OpenSMTPD, without a name": (
        "from friend (<unknown> [192.0.2.1]) by mx.example.org (OpenSMTPD) with ESMTP id 1a2b3c",
        ("mx.example.org", "192.0.2.1", "unknown", "friend", "", None, None),
    ),
    "Courier": (
        (
            "from mail.example.com (mail.example.com [::ffff:192.0.2.1])\n  (TLS: "
            "TLSv1.3,256bits,TLS_AES_256_GCM_SHA384)\n  by mx.example.org with ESMTPS\n  id "
            "0000000000012345.65488; Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, 1793955600),
    ),
    "Courier, without a name": (
        "from friend (softdnserr [::ffff:192.0.2.1]) by mx.example.org with esmtp",
        ("mx.example.org", "192.0.2.1", "unknown", "friend", "", None, None),
    ),
    "Courier, old, without a name": (
        "from mail.example.com ([::ffff:192.0.2.1]) by mx.example.org with esmtp",
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "", None, None),
    ),
    "Courier, ident": (
        "from friend (IDENT: nobody, mail.example.com [::ffff:192.0.2.1]) by mx.example.org with ESMTP id 1",
        ("mx.example.org", "192.0.2.1", "mail.example.com", "friend", "", None, None),
    ),
    "Kerio Connect": (
        (
            "from mail.example.com ([192.0.2.1])\n\tby mx.example.org (Kerio Connect 9.4.0)\n\twith ESMTPS\n\tfor "
            "jane@example.org; Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "jane@example.org", None, 1793955600),
    ),
    "Zimbra, LMTP": (
        (
            "from mx.example.org (LHLO mx.example.org) (192.0.2.1) by store.example.org with LMTP; Fri, 6 Nov"
            " 2026 10:00:00 +0100"
        ),
        ("store.example.org", None, "", "", "", None, 1793955600),
    ),
    "hMailServer": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1])\n\tby mx.example.org with ESMTPS\n\t"
            "(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256)\n\t; Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, 1793955600),
    ),
    "hMailServer, old": (
        (
            "from mail.example.com ([192.0.2.1])\n\tby mx.example.org\n\twith hMailServer ; Fri, 6 Nov 2026 "
            "10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "", None, 1793955600),
    ),
    "MailEnable": (
        ("from mail.example.com ([192.0.2.1]) by mx.example.org with MailEnable ESMTP; Fri, 6 Nov 2026 10:00:00 +0100"),
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "", None, 1793955600),
    ),
    "IceWarp": (
        (
            "from mail.example.com ([192.0.2.1])\n\tby mx.example.org (IceWarp 14.0.0.9 x64) with ESMTP (SSL) "
            "id 202611061000001234; Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "", None, 1793955600),
    ),
    "GroupWise": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1])\n\tby gwia.example.org with ESMTP; Fri, 6 Nov"
            " 2026 10:00:00 +0100"
        ),
        ("gwia.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, 1793955600),
    ),
    "GroupWise, without a HELO": (
        "from ([192.0.2.1]) by gwia.example.org with ESMTP",
        ("gwia.example.org", "192.0.2.1", "unknown", "unknown", "", None, None),
    ),
    "GroupWise, inner hop": (
        "from EXAMPLE-MTA by gwia.example.org\n\twith Novell_GroupWise; Fri, 6 Nov 2026 10:00:00 +0100",
        ("gwia.example.org", None, "", "", "", None, 1793955600),
    ),
    "Domino": (
        (
            "from mail.example.com ([192.0.2.1])\n          by mx.example.org (HCL Domino Release 12.0.2)"
            "\n          with ESMTP id 2026110610000012-1; Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "", None, 1793955600),
    ),
    "Cisco": (
        (
            "from mail.example.com ([192.0.2.1])\n  by mx.example.org with ESMTP/TLS/ECDHE-RSA-AES256-GCM-"
            "SHA384; Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, 1793955600),
    ),
    "Cisco, another HELO": (
        "from unknown (HELO mail.example.com) ([192.0.2.1]) by mx.example.org with ESMTP",
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "", None, None),
    ),
    "James": (
        (
            "from 192.0.2.1 (EHLO mail.example.com) ([192.0.2.1])\n          by mx.example.org (JAMES SMTP "
            "Server ) with ESMTP ID 2a\n          for <jane@example.org>; Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "jane@example.org", None, 1793955600),
    ),
    "MX Logic": (
        "from unknown [192.0.2.1] (EHLO mail.example.com) by mx.example.org(mxl_mta-8.0) with ESMTP id 1",
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "", None, None),
    ),
    "CommuniGate Pro": (
        (
            "from [192.0.2.1] (HELO mail.example.com) by mx.example.org (CommuniGate Pro SMTP 6.3) with "
            "ESMTPS id 875522 for jane@example.org"
        ),
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "jane@example.org", None, None),
    ),
    "CommuniGate Pro, verified": (
        (
            "from mail.example.com ([192.0.2.1] verified) by mx.example.org (CommuniGate Pro SMTP 6.3) with "
            "ESMTPS id 875522"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, None),
    ),
    "Momentum": (
        (
            "from ([192.0.2.1:53798] helo=mail.example.com) by mx.example.org (ecelerity 4.4.0.1 r()) with "
            "ESMTP id 5A/F0"
        ),
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "", None, None),
    ),
    "XMail": (
        (
            "from mail.example.com (192.0.2.1:23198) by mx.example.org (203.0.113.9:25) with [XMail 1.27 "
            "ESMTP Server] id <S72E>"
        ),
        ("mx.example.org", "192.0.2.1", "", "mail.example.com", "", None, None),
    ),
    "Mercury": (
        "from mail.example.com (192.0.2.1) by mx.example.org (Mercury/32 v4.80) with ESMTP ID MG000A2B",
        ("mx.example.org", "192.0.2.1", "", "mail.example.com", "", None, None),
    ),
    "PowerMTA": (
        (
            "from mail.example.com (192.0.2.1) by mx.example.org id h1abc for <jane@example.org>; Fri, 6 Nov "
            "2026 10:00:00 +0100 (envelope-from <a@example.com>)"
        ),
        ("mx.example.org", "192.0.2.1", "", "mail.example.com", "jane@example.org", "a@example.com", 1793955600),
    ),
    "qmail, encrypted": (
        (
            "from mail.example.com (HELO out.example.com) (192.0.2.1)\n  by mx.example.org with "
            "(TLS_AES_256_GCM_SHA384 encrypted) SMTP; 6 Nov 2026 09:00:00 -0000"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "out.example.com", "", None, 1793955600),
    ),
    "chasquid": (
        (
            "from [192.0.2.1] (mail.example.com)\n\tby mx.example.org (chasquid) with ESMTPS\n\tid abc\n\t(over "
            "TLS-1.3-TLS_AES_128_GCM_SHA256)\n\t; Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "unknown", "mail.example.com", "", None, 1793955600),
    ),
    "maddy": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1]) by mx.example.org (envelope-sender "
            "<a@example.com>) with ESMTPS id 5d1a; Fri, 6 Nov 2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", "a@example.com", 1793955600),
    ),
    "Stalwart": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1] (AS64496 Example, DE)) (using TLSv1.3 with "
            "cipher TLS13_AES_256_GCM_SHA384) by mx.example.org (Stalwart SMTP) with ESMTPS id 3; Fri, 6 Nov "
            "2026 10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, 1793955600),
    ),
    "mox": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1]) by mx.example.org ([203.0.113.9]) via tcp "
            "with ESMTPS id x (TLS1.3 TLS_AES_128_GCM_SHA256) for <jane@example.org>; Fri, 6 Nov 2026 "
            "10:00:00 +0100"
        ),
        ("mx.example.org", "192.0.2.1", "mail.example.com", "mail.example.com", "jane@example.org", None, 1793955600),
    ),
    "1&1": (
        (
            "from mail.example.com ([192.0.2.1]) by mx.kundenserver.example (mxeue001 [203.0.113.41]) with "
            "ESMTPS (Nemesis) id 1M-1 for <jane@example.org>"
        ),
        ("mx.kundenserver.example", "192.0.2.1", "unknown", "mail.example.com", "jane@example.org", None, None),
    ),
    "Mimecast": (
        (
            "from mail.example.com (mail.example.com [192.0.2.1]) (Using TLS) by relay.example.net with ESMTP"
            " with STARTTLS (version=TLSv1.3, cipher=x) id m-1"
        ),
        ("relay.example.net", "192.0.2.1", "mail.example.com", "mail.example.com", "", None, None),
    ),
    "Surgemail": (
        "from friend (unverified [192.0.2.1]) by mx.example.org (SurgeMail 7.3b) with ESMTP id 1",
        ("mx.example.org", "192.0.2.1", "unknown", "friend", "", None, None),
    ),
    "AT&T": (
        (
            "from friend (<unknown.domain>[192.0.2.1]) by mx.example.org (rwcrmhc53) with SMTP id "
            "<2002112823351305300akl1ue>"
        ),
        ("mx.example.org", "192.0.2.1", "unknown", "friend", "", None, None),
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
    "with_",
    [
        "with ESMTPSA id 1",
        "with esmtpsa (Exim 4.96) id 1",
        "(Authenticated sender: jane) with ESMTP id 1",
        "with MailEnable ESMTPA",
        "(IceWarp 14.0.0.9 x64) with ASMTP (SSL) id 1",
    ],
)
def test_authenticated_mail_is_told_apart(with_: str) -> None:
    hop = parse_received(f"from [192.0.2.1] (line.example.net [192.0.2.1]) by mx.example.org (Postfix) {with_}")
    assert hop.is_authenticated


def test_authenticated_mail_of_courier() -> None:
    hop = parse_received("from a ([::ffff:192.0.2.1]) (AUTH: LOGIN jane@example.org) by mx.example.org with esmtp")
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
