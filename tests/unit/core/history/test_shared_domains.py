"""The domains under which strangers of all kinds send mail."""

import pytest

from bley.core.history.shared_domains import _DOMAINS, is_shared
from bley.core.names.domains import registered_domain


@pytest.mark.parametrize(
    "domain",
    [
        "gmail.com",
        "yahoo.co.uk",
        "eur.prod.outlook.com",
        "a1-2.smtp-out.amazonses.com",
        "mac.com",
        "mout.kundenserver.de",
        "com",
        "co.uk",
        "dyndns.org",
    ],
)
def test_shared(domain: str) -> None:
    """A provider, or a public suffix."""
    assert is_shared(domain)


@pytest.mark.parametrize("domain", ["example.com", "mail.example.co.uk", "gmail.example.net", "jane.dyndns.org"])
def test_of_one_owner(domain: str) -> None:
    assert not is_shared(domain)


def test_each_domain_of_the_tables_can_match() -> None:
    """The registered domain of a name is looked up there."""
    assert {registered_domain(domain) for domain in _DOMAINS} == _DOMAINS
