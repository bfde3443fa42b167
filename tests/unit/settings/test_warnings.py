"""Warnings about settings that are valid, but probably do not do what the operator expects."""

from pathlib import Path

import pytest

from bley.settings.file import load


def _warnings(folder: Path, text: str) -> list[str]:
    """The warnings about a file, each from its line number on."""
    file = folder / "bley.conf"
    file.write_text(f"[bley]\n{text}\n", encoding="utf-8")
    return [warning.removeprefix(f"{file}:") for warning in load(file).warnings]


_SIGN = "has a negative weight, which counts against its clients in dnswls, other than in postscreen"


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        pytest.param(
            "dnswls = list.dnswl.org=127.0.[0..255].[1..3]*-2",
            [f"2: dnswls: list.dnswl.org=127.0.[0..255].[1..3]*-2 {_SIGN}: remove the minus sign"],
            id="postscreen's allowlist",
        ),
        pytest.param(
            "dnswls = list.dnswl.org, wl.example*-1",
            [f"2: dnswls: wl.example*-1 {_SIGN}: remove the minus sign"],
            id="one of two",
        ),
        pytest.param("dnswls = list.dnswl.org, bl.spamcop.net*-1", [], id="a blocklist against trust"),
        pytest.param("dnsbls = zen.spamhaus.org*3, list.dnswl.org*-2", [], id="an allowlist against blocklists"),
        pytest.param(
            "dnsbls = zen.spamhaus.org, list.dnswl.org",
            ["2: dnsbls: list.dnswl.org is an allowlist, and delays its clients here: write it in dnswls"],
            id="allowlist among blocklists",
        ),
        pytest.param(
            "\ndnswls = list.dnswl.org\n zen.spamhaus.org",
            ["3: dnswls: zen.spamhaus.org is a blocklist, and lets its clients pass here: write it in dnsbls"],
            id="blocklist among allowlists",
        ),
        pytest.param("dnsbls = hostkarma.junkemailfilter.com\ndnswls = hostkarma.junkemailfilter.com", [], id="both"),
        pytest.param(
            "dnsbls = zen.spamhaus.org, dbl.spamhaus.org",
            ["2: dnsbls: dbl.spamhaus.org is a list of domains, and is not queried here: write it in domain_lists"],
            id="a domain list among blocklists",
        ),
        pytest.param(
            "domain_lists = zen.spamhaus.org, list.dnswl.org, rep.mailspike.net",
            [
                "2: domain_lists: zen.spamhaus.org is known as a list of addresses: write it in dnsbls",
                "2: domain_lists: list.dnswl.org is known as a list of addresses: write it in dnswls",
                "2: domain_lists: rep.mailspike.net is known as a list of addresses: write it in dnsbls or dnswls",
            ],
            id="address lists among domain lists",
        ),
        pytest.param(
            "domain_lists = dwl.example*-2",
            [
                (
                    "2: domain_lists: dwl.example*-2 has a negative weight, and anyone can forge a sender of a domain "
                    "that it lists: remove the minus sign"
                )
            ],
            id="a domain in favor of the client",
        ),
        pytest.param(
            "domain_lists = dbl.spamhaus.org*3",
            [
                (
                    "2: domain_lists: dbl.spamhaus.org has codes of good domains that are abused, and all count: "
                    "write dbl.spamhaus.org=127.0.1.[2..99]*3"
                )
            ],
            id="without its filter",
        ),
        pytest.param("domain_lists = dbl.spamhaus.org=127.0.1.[2..99], fresh.fmb.la, dbl.example", [], id="domains"),
        pytest.param(
            "domain_lists = rhsbl.sorbs.net, dbl.example",
            [
                (
                    "2: domain_lists: rhsbl.sorbs.net has been dead since 2024-06-05: it was emptied and closed by its "
                    "operator; it is not queried: use dbl.spamhaus.org instead"
                )
            ],
            id="a dead one",
        ),
    ],
)
def test_lists_that_count_for_the_wrong_side(tmp_path: Path, text: str, warnings: list[str]) -> None:
    assert _warnings(tmp_path, text) == warnings


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        pytest.param(
            "dnsbl_threshold = 3",
            ["2: dnsbl_threshold = 3 is never reached: the weights of the living lists of dnsbls add up to 2"],
            id="default lists",
        ),
        pytest.param(
            "dnsbls = bl.example*0, bl2.example*-5",
            ["2: dnsbl_threshold = 1 is never reached: the weights of the living lists of dnsbls add up to 0"],
            id="default threshold, and no positive weight",
        ),
        pytest.param("dnsbl_threshold = 3\ndomain_lists = dbl.example", [], id="reached with domain lists"),
        pytest.param(
            "dnsbl_threshold = 4\ndomain_lists = dbl.example",
            [
                (
                    "2: dnsbl_threshold = 4 is never reached: the weights of the living lists of dnsbls "
                    "and domain_lists add up to 3"
                )
            ],
            id="not even with domain lists",
        ),
        pytest.param(
            "dnsbls =\ndomain_lists = dbl.example*0",
            ["3: dnsbl_threshold = 1 is never reached: the weights of the living lists of domain_lists add up to 0"],
            id="domain lists alone",
        ),
        pytest.param(
            "dnswl_threshold = 4\ndnswls = a.example=127.0.0.2*2, a.example=127.0.0.3",
            ["2: dnswl_threshold = 4 is never reached: the weights of the living lists of dnswls add up to 3"],
            id="several entries of a list",
        ),
        pytest.param(
            "rfc_threshold = 900",
            ["2: rfc_threshold = 900 is never reached: all scores add up to"],
            id="scores",
        ),
        pytest.param(
            "scores = bley2, spf-fail=0\nrfc_threshold = 5",
            ["3: rfc_threshold = 5 is never reached: all scores add up to 4"],
            id="fewer scores",
        ),
        pytest.param("scores = bley2\nrfc_threshold = 5", [], id="just reached"),
        pytest.param(
            "scores = bley2\nrfc_threshold = 5\nuse_spf = 0",
            ["3: rfc_threshold = 5 is never reached: all scores add up to 4"],
            id="without SPF",
        ),
        pytest.param("dnsbl_threshold = 999\ndnswl_threshold = 999\nrfc_threshold = 999", [], id="meant to be off"),
        pytest.param("dnsbls =\ndnswls =\ndnsbl_threshold = 9\ndnswl_threshold = 9", [], id="no lists"),
    ],
)
def test_threshold_that_nothing_reaches(tmp_path: Path, text: str, warnings: list[str]) -> None:
    """It is named with the setting that limits it, at the line that the file has."""
    found = _warnings(tmp_path, text)
    assert [warning.startswith(start) for warning, start in zip(found, warnings, strict=True)] == [True] * len(warnings)


def test_dead_lists_reach_no_threshold(tmp_path: Path) -> None:
    """They are not queried."""
    *_, last = _warnings(tmp_path, "dnsbls = ix.dnsbl.manitu.net, dnsbl.sorbs.net")
    assert last == "2: dnsbl_threshold = 1 is never reached: the weights of the living lists of dnsbls add up to 0"


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "10.0.0.0/8, ::ffff:0:0/96"])
def test_everybody_is_trusted(tmp_path: Path, network: str) -> None:
    warnings = _warnings(tmp_path, f"trusted_networks = {network}")
    assert warnings == ["2: trusted_networks includes every address: no mail is delayed"]


_QUOTES = "quotes are part of a value: remove them"
_COMMENT = "a comment needs a line of its own"


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ('reject_msg = "try later"', [f"2: reject_msg: {_QUOTES}"]),
        ("log_file = '/var/log/bley.log'", [f"2: log_file: {_QUOTES}"]),
        ('recipient_delimiter = "+"', [f"2: recipient_delimiter: {_QUOTES}"]),
        ("log_file = /var/log/bley.log  # ours", [f"2: log_file: {_COMMENT}"]),
        ("dbname = bley.db ;comment", [f"2: dbname: {_COMMENT}"]),
        pytest.param('dbpass = "a # b"', [], id="a password may have any character"),
        pytest.param("greylist_header = X-Greylist: yes ; and why", [], id="a text may have a semicolon"),
        pytest.param('reject_msg = say "please" to "us"', [], id="quotes within"),
        pytest.param("log_file = a;b#c", [], id="no white space before"),
    ],
)
def test_marks_of_other_programs_files(tmp_path: Path, text: str, warnings: list[str]) -> None:
    """They would be a part of a name, or of what each client reads."""
    assert _warnings(tmp_path, text) == warnings


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("5.7.1 greylisted", "begins with the status of another reply: a deferral has 4.7.1, or none here"),
        ("4.7.1", "has only a status: write a text after it"),
        ("450 4.7.1 greylisted", "begins with a reply code, which Postfix writes itself: write the text alone"),
        ("DEFER_IF_PERMIT greylisted", "begins with an action, which bley writes itself: write the text alone"),
        ("action=DEFER try later", "begins with an action, which bley writes itself: write the text alone"),
    ],
)
def test_text_that_is_a_whole_reply(tmp_path: Path, text: str, why: str) -> None:
    assert _warnings(tmp_path, f"reject_msg = {text}") == [f"2: reject_msg {why}"]


@pytest.mark.parametrize("text", ["4.7.1 greylisted", "Deferred: try later", "5 minutes, please", "OKAY", "4512 times"])
def test_ordinary_text_of_a_reply(tmp_path: Path, text: str) -> None:
    assert _warnings(tmp_path, f"reject_msg = {text}") == []


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        pytest.param(
            "greylist_period = 300",
            ["2: greylist_period = 300 is 5h, since its unit is the minute: write 300s for seconds, or a unit"],
            id="postgrey's seconds",
        ),
        ("greylist_period = 300s", []),
        ("greylist_period = 5h", []),
        ("greylist_period = 29", []),
        (
            "greylist_max = 4h\ngreylist_period = 5h",
            ["3: greylist_period = 5h is longer than greylist_max, 4h, which is the wait then"],
        ),
        ("greylist_max = 1", ["2: greylist_period = 5m is longer than greylist_max, 1m, which is the wait then"]),
    ],
)
def test_long_waits(tmp_path: Path, text: str, warnings: list[str]) -> None:
    assert _warnings(tmp_path, text) == warnings


def test_sections_for_recipients_have_warnings_of_their_own(tmp_path: Path) -> None:
    """At their lines, and only about what they change."""
    text = (
        "greylist_period = 90\n[recipients a]\nmatch = a.example\ndnsbl_threshold = 5\n"
        "[recipients b]\nmatch = b.example\nmode = observe\n"
        "[recipients c]\nmatch = c.example\ngreylist_period = 300\nscores = bley2\nrfc_threshold = 6\n"
    )
    assert _warnings(tmp_path, text) == [
        "2: greylist_period = 90 is 90m, since its unit is the minute: write 90s for seconds, or a unit",
        "5: dnsbl_threshold = 5 is never reached: the weights of the living lists of dnsbls add up to 2",
        "11: greylist_period = 300 is 5h, since its unit is the minute: write 300s for seconds, or a unit",
        "13: rfc_threshold = 6 is never reached: all scores add up to 5",
    ]


_DESTINATION = "is the name of a file here: write -, syslog or journald for another destination"
_AS_IT_IS = "a file name is taken as it is: write it without ~, variables and placeholders"


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("pid_file = ~/bley.pid", [f"2: pid_file: {_AS_IT_IS}"]),
        ("log_file = $HOME/bley.log", [f"2: log_file: {_AS_IT_IS}"]),
        ("destdir = %(here)s/graphs", [f"2: destdir: {_AS_IT_IS}"]),
        ("log_file = /var/log/bley~.log", []),
        ("log_file = stderr", [f"2: log_file {_DESTINATION}"]),
        ("log_file = syslog:mail", [f"2: log_file {_DESTINATION}"]),
        ("log_file = None", [f"2: log_file {_DESTINATION}"]),
        ("log_file = journald", []),
        ("pid_file = none", ["2: pid_file = none is the name of a file here: write nothing after = for none"]),
        ("dbhost = localhost:5432", ["2: dbhost has a port: write it as dbport"]),
        ("dbhost = 2001:db8::1", []),
        (
            "recipient_delimiter = none",
            [
                (
                    "2: recipient_delimiter has letters or digits, each of which cuts addresses: "
                    "write +, or nothing for none"
                )
            ],
        ),
        ("recipient_delimiter = +-_=", []),
        ("recipient_delimiter =", []),
    ],
)
def test_words_that_mean_something_to_other_programs_only(tmp_path: Path, text: str, warnings: list[str]) -> None:
    assert _warnings(tmp_path, text) == warnings
