"""The text of a fault about an invalid value of `bley.conf`."""

import re

from pydantic_core import ErrorDetails

from bley.core.dnslists.syntax import hide_keys
from bley.settings.database import hide_password
from bley.settings.foreign import find_mark

__all__ = ["hide_secrets", "invalid_value"]

_REACHED_BY_ALL = {
    "rfc_threshold": "must be at least 1; classic = 1 delays every stranger",
    "dnsbl_threshold": "must be at least 1; classic = 1 delays every stranger",
    "dnswl_threshold": "must be at least 1; mode = off delays no mail",
}
"""Every client would reach a threshold of 0."""


_PASSWORD = re.compile(r"(?is)(?<=pass|word|_pwd)\s+.*")
"""The text after the name of a password, in a line without = or with one in the password."""


def hide_secrets(text: str) -> str:
    """Mask the password and customers' keys in a line that is no setting, or in an unknown key."""
    return hide_keys(_PASSWORD.sub(" ********", text))


def invalid_value(key: str, text: str, detail: ErrorDetails) -> str:
    """Describe pydantic's error after the key and its text, without secrets."""
    why = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
    if detail["type"].startswith("int_"):
        why = "is not a whole number"
    elif detail["type"].endswith("too_short"):
        why = "must not be empty"
    elif detail["type"] == "greater_than_equal" and key.endswith("_threshold"):
        why = _REACHED_BY_ALL[key]
    why = hide_keys(why)
    if "\n" in why:  # it quotes the text, with a caret below the error
        return f"{key}: {why}"
    if mark := find_mark(text):
        why = f"{why}; {mark}"
    shown = "********" if key == "dbpass" else hide_keys(text)
    return f"{key} = {hide_password(shown) if key == 'database' else shown}: {why}"
