"""The errors of database drivers: their codes, and their texts in one line."""

from pydantic_core import PydanticSerializationError

__all__ = ["VALUE_ERRORS", "driver_message", "errno", "printable", "sqlstate"]

VALUE_ERRORS = (UnicodeError, PydanticSerializationError)
"""The errors for text that cannot be sent to any database: half of a surrogate pair."""

_MAX_CHARACTERS = 300


def sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE that asyncpg reports; empty if there is none."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def errno(error: BaseException) -> object:
    """Return the error number that MySQL's driver reports; None if there is none."""
    arguments = getattr(getattr(error, "orig", None), "args", ())
    return arguments[0] if arguments else None


def driver_message(error: BaseException) -> str:
    """Return the driver's message in one line, without its number, and with the system error that caused it."""
    error = getattr(error, "orig", None) or error
    text = error.args[1] if len(error.args) == 2 and not isinstance(error, OSError) else error  # MySQL: number, text
    words = printable(" ".join(str(text).split()).removesuffix("."))
    if isinstance(error.__cause__, OSError):
        words = words if str(error.__cause__) in words else f"{words}: {error.__cause__}"
    return words or ("no answer" if isinstance(error, TimeoutError) else type(error).__name__)


def printable(text: str) -> str:
    """Return at most 300 characters, with escapes: some drivers repeat the value that they refuse."""
    characters = text[:_MAX_CHARACTERS]
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in characters)
