"""haproxy and Postfix must agree on the PROXY protocol."""

import pytest

from bley.commands.doctor.finding import Level
from bley.commands.doctor.haproxy import examine_proxy, parse_haproxy
from bley.commands.doctor.postfix_settings import PostfixSettings, Service

CONFIGURATION = """
defaults
    mode tcp
listen smtp
    bind :25
    server mail 127.0.0.1:10025 send-proxy-v2  # check
backend other
    server mail 127.0.0.1:587 check   # send-proxy
listen all
    default-server send-proxy
    server six [::1]:2525
    server named mail.example
defaults
    default-server send-proxy-v2
backend of_defaults
    server mail 127.0.0.1:26
backend own
    server mail 127.0.0.1:27
defaults
backend of_the_next_defaults
    server mail 127.0.0.1:28
"""


def test_servers_are_read_with_their_ports() -> None:
    assert parse_haproxy(CONFIGURATION) == {10025: True, 587: False, 2525: True, 26: True, 27: True, 28: False}


@pytest.mark.parametrize(
    ("expects", "sends", "levels"),
    [
        (True, True, []),
        (False, None, []),
        (True, None, [Level.NOTE]),
        (False, True, [Level.FAULT]),
        (True, False, [Level.FAULT]),
        (False, False, [Level.WARNING]),
    ],
)
@pytest.mark.parametrize("has_postscreen", [True, False])
def test_both_sides(*, expects: bool, sends: bool | None, levels: list[Level], has_postscreen: bool) -> None:
    name = "postscreen" if has_postscreen else "smtpd"
    front = Service("127.0.0.1:10025", "inet", "n", name)
    services = (front, Service("smtpd", "pass", "n", "smtpd")) if has_postscreen else (front,)
    settings = PostfixSettings({f"{name}_upstream_proxy_protocol": "haproxy" if expects else ""}, services)
    haproxy = {} if sends is None else {10025: sends}
    assert [each.level for each in examine_proxy(settings, services[-1], haproxy)] == levels
