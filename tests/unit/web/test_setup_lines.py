"""The lines by which Postfix and Exim query bley."""

from pathlib import Path

import pytest

from bley.web.setup_lines import setup_lines

ACL = Path(__file__).parents[3].joinpath("contrib/exim-acl.conf").read_text()


@pytest.mark.parametrize(
    ("places", "postfix", "exim"),
    [
        ([], "inet:127.0.0.1:1337", "inet:127.0.0.1:1337"),
        (["127.0.0.1:1337"], "inet:127.0.0.1:1337", "inet:127.0.0.1:1337"),
        (["0.0.0.0:1400"], "inet:127.0.0.1:1400", "inet:127.0.0.1:1400"),
        (["[::]:1337"], "inet:[::1]:1337", "inet:[::1]:1337"),
        (["unix:/run/bley/bley.sock", "192.0.2.1:1337"], "inet:192.0.2.1:1337", "inet:192.0.2.1:1337"),
        (["unix:/run/bley/bley.sock"], "unix:/run/bley/bley.sock", "/run/bley/bley.sock"),
        (["unix:/var/spool/postfix/private/bley"], "unix:private/bley", "/var/spool/postfix/private/bley"),
    ],
)
def test_they_have_the_place_of_this_bley(places: list[str], postfix: str, exim: str) -> None:
    lines = setup_lines(places)
    assert f"    check_policy_service {{ {postfix}, default_action=DUNNO }}\n" in lines.postfix
    assert lines.postfix.index("reject_unauth_destination") < lines.postfix.index("check_policy_service")
    assert f"${{readsocket{{{exim}}}" in lines.exim


def test_the_acl_is_the_one_of_the_documentation() -> None:
    """A real Exim runs it in tests/integration/test_exim.py."""
    assert setup_lines([]).exim == ACL
