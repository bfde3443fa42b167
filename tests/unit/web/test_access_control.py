"""The client address of a request. Access itself is tested in integration, over real connections."""

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
        pytest.param("192.0.2.9", ["10.9.8.7, 198.51.100.7"], "198.51.100.7", id="sent by the client itself"),
        pytest.param("192.0.2.9", ["10.9.8.7", "198.51.100.7"], "198.51.100.7", id="in a header line of its own"),
        pytest.param("192.0.2.9", ["10.9.8.7, 198.51.100.7, 192.0.2.10"], "198.51.100.7", id="a second own proxy"),
        pytest.param("192.0.2.9", ["10.9.8.7, unknown"], "192.0.2.9", id="not an address"),
        pytest.param("192.0.2.9", [""], "192.0.2.9", id="empty"),
        pytest.param("192.0.2.2", ["198.51.100.7"], "192.0.2.2", id="ignored from other peers"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxy(peer: str, forwarded: list[str], client: str) -> None:
    """Wrong passwords are counted for this address."""
    settings = Settings.model_validate({"web_password_file": "web", "web_proxy": "192.0.2.9, 192.0.2.10"})
    access = AccessControl()
    access.reconfigure(replace(load(), settings=settings, web_password=cheap_hash("secret")))
    assert access._client(ip_address(peer), forwarded) == ip_address(client)
