"""The table of the sender domains whose mail came back most."""

import pytest

from bley.core.exemptions.list_files import read_senders
from bley.core.exemptions.lookup import SenderExemptions
from bley.core.history.advice import ListFiles
from bley.core.history.delayed_mail import DelayedDomain, DelayedMail, DomainMail, MostDelayed
from bley.web.delayed_domains import DelayedDomains, DelayedRow, delayed_domains
from tests.fakes import NOON

FILES = ListFiles("clients.local", "senders.local", "recipients.local", option=("-c", "bley.conf"))
BACK = DomainMail(undelayed=1, deferred=4, came_back=3)


def table(
    domains: dict[str, int],
    mail: DomainMail = BACK,
    senders: SenderExemptions | None = None,
    *,
    most: int = 9,
    observes: bool = False,
) -> DelayedDomains:
    """The table of these domains, each with its mails that came back within 5 minutes."""
    found = [DelayedDomain(name, {"300": number}) for name, number in domains.items()]
    delayed = DelayedMail(MostDelayed(NOON, 20, found), {}, dict.fromkeys(domains, mail), 28)
    return delayed_domains(delayed, FILES, senders or SenderExemptions(), "7d", most, observes=observes)


def row(name: str, mail: DomainMail = BACK, senders: SenderExemptions | None = None) -> DelayedRow:
    """The row of this domain."""
    (only,) = table({name: 5}, mail, senders).rows
    return only


def test_a_domain_has_its_figures_and_the_line_that_would_end_its_delays() -> None:
    shop = row("shop.example")
    assert (shop.domain.came_back, shop.share, shop.median_delay) == (5, 0.25, "5\N{NO-BREAK SPACE}min")
    assert shop.command == "bley allow -c bley.conf --sender shop.example"
    assert shop.note == "It would have exempted 4 deferred mails of the last 28 days."
    assert shop.search == "/search?q=shop.example&range=7d"
    assert shop.act == "/act/allow?kind=sender&entry=shop.example&q=shop.example"
    assert "that would have been deferred" in table({"shop.example": 5}, observes=True).rows[0].note


@pytest.mark.parametrize(
    ("mail", "why"),
    [
        (BACK._replace(is_ours=True), "Only while SPF passes: it is your own domain, which others forge."),
        (
            BACK._replace(deferred=7),
            "Only while SPF passes, since the name may be forged: 3 of 7 deferred mails came back in 28 days.",
        ),
    ],
)
def test_a_domain_that_others_forge_is_exempted_only_with_spf(mail: DomainMail, why: str) -> None:
    forged = row("shop.example", mail)
    assert forged.command == "bley allow -c bley.conf --sender spf:shop.example"
    assert forged.note == why
    assert "entry=spf%3Ashop.example" in forged.act


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gmail.com", "No line for a large provider: it would exempt spam too. Exempt single senders."),
        ("yahoo.co.uk", "No line for a large provider: it would exempt spam too. Exempt single senders."),
        ("192.0.2.1", "No line: this is no domain of a single owner."),
        ("co.uk", "No line: this is no domain of a single owner."),
        ("localhost", "No line: this is no domain of a single owner."),
    ],
)
def test_where_no_line_is_safe_the_reason_is_shown(name: str, why: str) -> None:
    shown = row(name)
    assert (shown.command, shown.act, shown.note) == ("", "", why)


def test_an_entry_that_exempts_the_domain_now_is_named() -> None:
    exempt = row("shop.example", senders=read_senders([("senders.local", "# mine\nspf:shop.example\n")]))
    assert (exempt.command, exempt.act, exempt.note) == ("", "", "It is exempt now, by senders.local:2.")


def test_the_null_sender_and_uncounted_domains_are_no_rows() -> None:
    found = table({"*": 9, "a.example": 4, "<>": 3, "b.example": 2, "c.example": 1}, most=2)
    assert [each.domain.name for each in found.rows] == ["a.example", "b.example"]
    assert (found.came_back, found.null_sender) == (20, 3)
    assert table({}).rows == []
