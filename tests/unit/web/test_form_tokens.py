"""A token is of one form, one user and one hour."""

import pytest

from bley.web.form_tokens import FormTokens

FIELDS = {"kind": "sender", "entry": "a@example.com"}


@pytest.mark.parametrize(
    ("user", "path", "fields", "seconds", "is_valid"),
    [
        ("jane", "/act/allow", FIELDS, 0, True),
        ("jane", "/act/allow", dict(reversed(FIELDS.items())), 3599, True),
        ("jane", "/act/allow", FIELDS, 3602, False),
        ("joe", "/act/allow", FIELDS, 0, False),
        ("jane", "/act/disallow", FIELDS, 0, False),
        ("jane", "/act/allow", FIELDS | {"entry": "b@example.com"}, 0, False),
        ("jane", "/act/allow", {"kind": "sender"}, 0, False),
        ("jane", "/act/allow", FIELDS | {"more": ""}, 0, False),
        ("jane", "/act/allow", {"kind": "sender&entry=a@example.com"}, 0, False),
    ],
)
def test_it_is_valid_for_its_form_alone(
    user: str, path: str, fields: dict[str, str], seconds: float, is_valid: bool
) -> None:
    now = [1000.0]
    tokens = FormTokens(lambda: now[0])
    token = tokens.make("jane", "/act/allow", FIELDS)
    now[0] += seconds
    assert tokens.is_valid(token, user, path, fields) == is_valid


@pytest.mark.parametrize("token", ["", ".", "x.y", "99999999999", "99999999999.", "é.\ud800", "-1.0"])
def test_another_text_is_none(token: str) -> None:
    assert not FormTokens().is_valid(token, "jane", "/act/allow", FIELDS)


def test_that_of_another_process_is_invalid() -> None:
    """A restart ends all forms."""
    assert not FormTokens().is_valid(FormTokens().make("jane", "/act/allow", FIELDS), "jane", "/act/allow", FIELDS)
