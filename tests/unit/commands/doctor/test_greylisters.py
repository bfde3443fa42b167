"""Other greylisters are known by their places."""

import pytest

from bley.commands.doctor.greylisters import find_greylister


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("inet:127.0.0.1:10023", "postgrey"),
        ("inet:[::1]:60000", "postgrey"),
        ("unix:postgrey/socket", "postgrey"),
        ("inet:127.0.0.1:2501", "sqlgrey"),
        ("inet:localhost:10031", "policyd (cluebringer)"),
        ("unix:private/tumgreyspf", "tumgreyspf"),
        ("/var/run/greylistd/socket", "greylistd"),
        ("unix:private/mygreylist", "another greylister"),
    ],
)
def test_a_greylister_is_named(place: str, name: str) -> None:
    assert (other := find_greylister(place))
    assert other.name == name


@pytest.mark.parametrize("place", ["unix:private/policyd-spf", "inet:127.0.0.1:12340", "inet:127.0.0.1:12525", ""])
def test_other_policy_services_are_none(place: str) -> None:
    assert find_greylister(place) is None
