"""The domains under which strangers of all kinds send mail."""

import pytest

from bley.core.history.shared_domains import is_shared


@pytest.mark.parametrize(
    "domain",
    ["gmail.com", "yahoo.co.uk", "eur.prod.outlook.com", "a1-2.smtp-out.amazonses.com", "com", "co.uk", "dyndns.org"],
)
def test_shared(domain: str) -> None:
    """A provider, or a public suffix."""
    assert is_shared(domain)


@pytest.mark.parametrize("domain", ["example.com", "mail.example.co.uk", "gmail.example.net", "jane.dyndns.org"])
def test_of_one_owner(domain: str) -> None:
    assert not is_shared(domain)
