"""The senders whose mail came back most, and the lines that exempt them."""

from collections.abc import Mapping

from bley.commands.report.senders import Senders
from bley.core.exemptions.lookup import SenderExemptions
from bley.core.history.advice import ListFiles
from bley.core.history.delayed_mail import DelayedDomain, DelayedMail, DomainMail, MostDelayed
from bley.web.delayed_domains import delayed_domains
from tests.fakes import NOON

FILES = ListFiles("clients", "senders", "recipients")


def senders(came_back: Mapping[str, int] = {}, *, observes: bool = False) -> Senders:
    """Return the table of domains with this number of mails that came back, each of ten more that were deferred."""
    domains = [DelayedDomain(name, {"600": number}) for name, number in came_back.items()]
    mail = {name: DomainMail(5, number + 10, number) for name, number in came_back.items()}
    most = DelayedMail(MostDelayed(NOON, sum(came_back.values()), domains), {}, mail, 28)
    return Senders(delayed_domains(most, FILES, SenderExemptions(), "", 10, observes=observes), observes)


def test_each_domain_has_its_part_and_its_delay() -> None:
    lines = list(senders({"example.net": 30, "example.edu": 10}).lines(80))
    assert lines[:3] == [
        "mail that came back, by sender  came back  of all  median delay",
        "example.net                            30   75.0%        10 min",
        "example.edu                            10   25.0%        10 min",
    ]


def test_the_lines_that_exempt_follow_the_order_of_the_table() -> None:
    """With the mail that each would have exempted; a provider of many senders, and a forged domain, have no such."""
    lines = list(senders({"gmail.com": 90, "example.net": 30, "forged.example.edu": 3}).lines(80))
    remedies = lines[lines.index("") + 1 :]
    assert remedies[:3] == [
        "To exempt first, if these senders are wanted:",
        "  bley allow --sender example.net",
        "    It would have exempted 40 deferred mails of the last 28 days.",
    ]
    assert remedies[3] == "  bley allow --sender spf:forged.example.edu"
    assert "while SPF passes" in " ".join(remedies[4:])


def test_no_line_where_none_would_be_safe() -> None:
    lines = list(senders({"gmail.com": 90}).lines(80))
    assert len(lines) == 2
    assert lines[1].startswith("gmail.com")


def test_an_observing_bley_says_would() -> None:
    text = "\n".join(senders({"example.net": 30}, observes=True).lines(80))
    assert text.startswith("mail that came again, by sender  came again  of all  median time")
    assert "It would have exempted 40 mails of the last 28 days that would have been" in text


def test_numbers_are_those_of_plain_text() -> None:
    """The dashboard has spaces of its own in numbers."""
    text = "\n".join(senders({"example.net": 4000, "example.edu": 3000}).lines(80))
    assert text.isascii()


def test_no_mail_came_back() -> None:
    assert list(senders().lines(80)) == []


def test_a_few_lines_are_enough() -> None:
    lines = list(senders({f"d{number}.example.net": 30 for number in range(10)}).lines(80))
    assert sum(line.startswith("  bley allow") for line in lines) == 5


def test_the_document_has_all_domains() -> None:
    [found] = senders({"example.net": 30}).document
    assert found == {
        "domain": "example.net",
        "came_back": 30,
        "came_back_share": 1.0,
        "median_delay_seconds": 600,
        "deferred": 40,
        "command": "bley allow --sender example.net",
        "note": "It would have exempted 40 deferred mails of the last 28 days.",
    }
