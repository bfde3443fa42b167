"""The address that a request is taken to come from. Who is let in is in integration, over real connections."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from bley.settings.file import load
from bley.settings.settings import Settings
from bley.web.access_control import AccessControl
from tests.unit.web.test_password_gate import cheap_hash


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.9", [], "192.0.2.9"),
        ("192.0.2.9", ["198.51.100.7"], "198.51.100.7"),
        ("192.0.2.9", ["198.51.100.7:51234"], "198.51.100.7"),
        ("192.0.2.9", ["2001:db8::7"], "2001:db8::7"),
        ("192.0.2.9", ["[2001:db8::7]:51234"], "2001:db8::7"),
        ("192.0.2.9", ["::ffff:198.51.100.7"], "198.51.100.7"),
        pytest.param("192.0.2.9", ["10.9.8.7, 198.51.100.7"], "198.51.100.7", id="the client sent one itself"),
        pytest.param("192.0.2.9", ["10.9.8.7", "198.51.100.7"], "198.51.100.7", id="in a line of its own"),
        pytest.param("192.0.2.9", ["10.9.8.7, 198.51.100.7, 192.0.2.10"], "198.51.100.7", id="a second proxy of ours"),
        pytest.param("192.0.2.9", ["10.9.8.7, unknown"], "192.0.2.9", id="no address"),
        pytest.param("192.0.2.9", [""], "192.0.2.9", id="empty"),
        pytest.param("192.0.2.2", ["198.51.100.7"], "192.0.2.2", id="who is no proxy may write anything"),
    ],
)
def test_the_last_address_that_is_no_proxy_of_ours(peer: str, forwarded: list[str], client: str) -> None:
    """By which wrong passwords are counted."""
    settings = Settings.model_validate({"web_password_file": "web", "web_proxy": "192.0.2.9, 192.0.2.10"})
    guard = AccessControl()
    guard.take(replace(load(), settings=settings, web_password=cheap_hash("secret")))
    assert guard._client(ip_address(peer), forwarded) == ip_address(client)
